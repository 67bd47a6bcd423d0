"""The spelling branch: what it may change, what it is trained on, that its training resumes."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from jobs import train_spelling
from pipeline.acoustic import checkpoint, model_files
from pipeline.acoustic.loading import load_model
from pipeline.acoustic.model import RollcallCtc
from pipeline.acoustic.network import CtcNetwork
from pipeline.acoustic.spelling import SpellingBranch, SpellingConfig
from pipeline.config import AcousticConfig
from pipeline.errors import InputError, ModelError, RowError
from pipeline.lexicon.phones import PHONE_IDS, PHONES
from pipeline.lexicon.pronunciation import Pronouncer
from pipeline.training.adapter_states import StateRow
from pipeline.training.spelling_data import (
    SpellingData,
    SpellingExample,
    TextConfig,
    TextWindows,
    collate,
    harder,
    posterior_of,
)
from pipeline.training.spelling_loop import SpellingTraining, learning_rate_share
from pipeline.training.spoken_text import PAUSE, Said, SpokenSegments
from tests.support.tiny_model import BACKBONE, tiny_network, tiny_tokeniser

CONFIG = SpellingConfig(width=16, blocks=2, heads=2, kernel=3)
SAT = Said.of([PHONE_IDS[phone] for phone in ("S", "AE", "T")])
DEMO = Path(__file__).resolve().parents[2] / "examples" / "demo.parquet"


def with_branch(seed: int = 0) -> CtcNetwork:
    network = tiny_network(seed)
    network.spelling = SpellingBranch(CONFIG, network.head.config.phones, network.head.tokens)
    return network.eval()


def mel(frames: int, seed: int = 1) -> torch.Tensor:
    return torch.randn(1, 80, 2 * frames, generator=torch.Generator().manual_seed(seed))


def test_a_branch_that_corrects_nothing_changes_nothing() -> None:
    network = with_branch()
    torch.nn.init.zeros_(network.spelling.final.weight)
    torch.nn.init.zeros_(network.spelling.final.bias)
    torch.nn.init.constant_(network.spelling.gate.bias, 100.0)
    corrected, plain = network(mel(30), torch.tensor([30])), tiny_network()(mel(30), torch.tensor([30]))
    assert torch.equal(corrected.tokens, plain.tokens)
    assert torch.equal(corrected.states, plain.states)


def test_log_probs_are_those_of_the_corrected_last_state() -> None:
    """What biases the last state starts from the same log-probs as the search."""
    network = with_branch()
    heard, plain = network(mel(30), torch.tensor([30])), tiny_network()(mel(30), torch.tensor([30]))
    assert not torch.allclose(heard.tokens, plain.tokens)
    assert torch.allclose(network.head.tokens(heard.states[:, -1]).log_softmax(-1), heard.tokens, atol=1e-5)
    assert torch.equal(heard.states[:, :-1], plain.states[:, :-1])
    assert torch.equal(heard.phones, plain.phones)


@pytest.mark.parametrize("frames", [18, 20])
def test_padding_changes_nothing(frames: int) -> None:
    """9 and 10 output frames, the odd number among them, in a batch with 15."""
    network = with_branch()
    alone = network(mel(frames), torch.tensor([frames])).tokens[0]
    batch = torch.zeros(2, 80, 60)
    batch[0, :, : 2 * frames], batch[1] = mel(frames)[0], mel(30, 2)[0]
    together = network(batch, torch.tensor([frames, 30])).tokens[0, : frames // 2]
    # The backbone's convolution sees the padding at the last frames.
    assert torch.allclose(alone[: frames // 2 - 4], together[: frames // 2 - 4], atol=0.2)


def test_a_branch_alone_does_not_see_padding() -> None:
    network = with_branch()
    phones = torch.rand(1, 9, len(PHONES) + 1).softmax(-1)
    last = torch.randn(1, 9, 32)
    alone = network.spelling(network.head.tokens, phones, last, torch.tensor([9])).levels[-1][0]
    padded = torch.zeros(2, 14, len(PHONES) + 1)
    padded[:, :, 0] = 1.0
    padded[0, :9] = phones
    states = torch.zeros(2, 14, 32)
    states[0, :9] = last
    together = network.spelling(network.head.tokens, padded, states, torch.tensor([9, 14])).levels[-1][0, :9]
    assert torch.allclose(alone, together, atol=1e-5)


def test_a_model_directory_keeps_the_branch(tmp_path: Path) -> None:
    network = with_branch()
    tokeniser = tiny_tokeniser(tmp_path / "tokeniser")
    checkpoint.save(tmp_path / "model", network, BACKBONE, tokeniser, PHONES)
    loaded, config = checkpoint.load(tmp_path / "model")
    assert checkpoint.shapes(config)[2] == CONFIG
    assert torch.allclose(loaded.spelling.heard.weight, network.spelling.heard.weight, atol=2e-3)
    checkpoint.save(tmp_path / "plain", tiny_network(), BACKBONE, tokeniser, PHONES)
    weights = [(tmp_path / name / model_files.WEIGHTS).read_bytes() for name in ("model", "plain")]
    assert weights[0] == weights[1]  # the branch has a file of its own
    before = model_files.content_hash(tmp_path / "model")
    model = load_model(AcousticConfig(model=str(tmp_path / "model")))
    assert isinstance(model, RollcallCtc)
    assert len(model.encode([np.zeros(16_000, np.float32)])[0].tokens.ids) == 25
    (tmp_path / "model" / model_files.SPELLING).write_bytes(b"broken")
    assert model_files.content_hash(tmp_path / "model") != before
    with pytest.raises(ModelError, match=r"spelling\.safetensors: cannot be read"):
        checkpoint.load(tmp_path / "model")


def test_a_model_of_before_there_were_branches_loads(tmp_path: Path) -> None:
    checkpoint.save(tmp_path / "model", tiny_network(), BACKBONE, tiny_tokeniser(tmp_path / "tokeniser"), PHONES)
    path = tmp_path / "model" / model_files.CONFIG
    config = json.loads(path.read_text())
    del config["spelling"]
    path.write_text(json.dumps(config))
    assert checkpoint.load(tmp_path / "model")[0].spelling is None


def recording(phones: list[str], frames_each: int = 3) -> np.ndarray:
    """Log-probs [T, P] in which every phone is heard for a frame, with blanks after it."""
    heard = np.zeros((len(phones) * frames_each, len(PHONES) + 1), np.float32)
    heard[:, 0] = 1.0
    for place, phone in enumerate(phones):
        heard[place * frames_each] = 0.0
        heard[place * frames_each, 0 if phone == "_" else PHONE_IDS[phone] + 1] = 1.0
    return np.log(np.maximum(heard, 1e-6)).astype(np.float16)


def row(log_probs: np.ndarray, text: str) -> StateRow:
    """The last state of a frame is the frame's number."""
    return StateRow("u", "s", text, np.arange(len(log_probs), dtype=np.float16)[None, :, None], log_probs)


def reading(posteriors: np.ndarray) -> list[str]:
    best = posteriors.argmax(1)
    changed = [column for place, column in enumerate(best) if place == 0 or column != best[place - 1]]
    return [PHONES[column - 1] for column in changed if column]


class Dictionary(Pronouncer):
    """The words of one recording of all phones, as they are said there."""

    def __init__(self) -> None:
        self.words = {f"word{number}": (phone,) for number, phone in enumerate(PHONES)}
        self.words |= {"cat": ("K", "AE", "T"), "sat": ("S", "AE", "T")}

    def pronounce(self, text: str) -> tuple[tuple[str, ...], ...]:
        return (self.words[text],) if text in self.words else ()


@pytest.fixture(scope="module")
def segments() -> SpokenSegments:
    every = recording([*PHONES])
    paused = recording(["_", "_", "_", "_", "K", "AE", "T", *"_" * 40, "S", "AE", "T"])
    heard = [row(every, " ".join(f"word{number}" for number in range(len(PHONES)))), row(paused, "cat sat")]
    return SpokenSegments.collect(heard, Dictionary())


def test_text_is_spoken_with_what_was_heard(segments: SpokenSegments) -> None:
    generator = np.random.default_rng(0)
    said = Said.joined([Said.of([PAUSE]), SAT, Said.of([PAUSE]), Said.of([PHONE_IDS["K"], PHONE_IDS["AE"]])])
    for _ in range(20):
        posteriors, states = segments.say(said, generator)
        assert reading(posteriors) == ["S", "AE", "T", "K", "AE"]
        # A pause of 40 times 3 frames was heard; at most 25 frames of it are laid, twice here.
        assert 7 < len(posteriors) <= 5 * 6 + 2 * 25
        assert states.shape == (len(posteriors), 1)


def test_a_recorded_word_is_laid_whole(segments: SpokenSegments) -> None:
    generator = np.random.default_rng(0)
    said = segments.recorded("cat", generator)
    posteriors, states = segments.say(said, generator)
    assert reading(posteriors) == ["K", "AE", "T"]
    assert np.diff(states[:, 0]).tolist() == [1.0] * (len(states) - 1)  # its frames, in their order
    assert segments.recorded("dog", generator) is None


def test_the_same_seed_says_the_same(segments: SpokenSegments) -> None:
    first, again = (segments.say(SAT, np.random.default_rng(3))[0] for _ in range(2))
    assert np.array_equal(first, again)


def test_what_was_not_heard_cannot_be_spoken() -> None:
    with pytest.raises(InputError, match="AA"):
        SpokenSegments.collect([row(recording(["K", "AE", "T"]), "cat")], Dictionary())


def test_speech_that_is_not_its_text_is_left_out() -> None:
    with pytest.raises(InputError, match="nothing to speak"):
        SpokenSegments.collect([row(recording([*PHONES]), "cat sat")], Dictionary())


def spell(text: str) -> list[int]:
    if "ï" in text or "7" in text:
        raise RowError("cannot be written")
    return [len(text)]


def test_windows_hold_pauses_words_and_their_subwords(tmp_path: Path) -> None:
    text = tmp_path / "book.txt"
    text.write_text("The cat sat, the cat.\n\n7 cats\n", encoding="utf-8")
    config = TextConfig(least_words=6, most_words=6, rare_share=0.0, around_share=0.0, list_share=0.0)
    windows = TextWindows([(text, 1.0)], spell, Pronouncer(), [], config)
    generator = np.random.default_rng(0)
    drawn = [windows.draw(generator) for _ in range(30)]
    tokens = {found for _, found in drawn}
    assert tokens == {(3, 3, 3, 3, 3), (4,)}  # "7" is left out of the second book
    pauses = {int((said.phones == PAUSE).sum()) for said, found in drawn if len(found) == 5}
    assert {2, 3} <= pauses  # in front and behind, and mostly at the comma
    said = next(said for said, found in drawn if found == (4,))
    assert [PHONES[number] for number in said.phones[1:-1]] == ["K", "AE", "T", "S"]
    assert said.ends.tolist() == [True, False, False, False, True, True]


def drawn(tmp_path: Path, text: str, dictionary: list[str], config: TextConfig) -> list[tuple[int, ...]]:
    """The subwords of 40 windows; a word's is the number of its letters."""
    (tmp_path / "book.txt").write_text(text, encoding="utf-8")
    windows = TextWindows([(tmp_path / "book.txt", 1.0)], spell, Pronouncer(), dictionary, config)
    generator = np.random.default_rng(0)
    return [windows.draw(generator)[1] for _ in range(40)]


def test_rare_words_of_the_dictionary_are_put_in(tmp_path: Path) -> None:
    config = TextConfig(rare_share=0.5, around_share=0.0, list_share=0.0)
    found = drawn(tmp_path, "a a a a a a a a\n", ["zebra", "it's"], config)
    assert {token for window in found for token in window} == {1, 5}  # "a" and "zebra", not what is no plain word


def test_windows_lie_around_rare_words(tmp_path: Path) -> None:
    """One book has "zebra" once among 3,000 words; the other has no rare word."""
    text = "a " * 2000 + "zebra " + "a " * 1000 + "\n\n" + "a " * 3000
    by_chance = drawn(tmp_path, text, [], TextConfig(rare_share=0.0, around_share=0.0, list_share=0.0))
    around = drawn(tmp_path, text, [], TextConfig(rare_share=0.0, around_share=1.0, list_share=0.0))
    assert sum(5 in window for window in by_chance) < 5
    assert all(5 in window for window in around)
    assert {window.index(5) for window in around} >= {0, 1, 2, 3}  # anywhere in its window


def test_lists_are_rare_words_only_and_a_word_comes_as_often_as_the_root_of_its_count(tmp_path: Path) -> None:
    text = "cat " * 100 + "zebra " + "a " * 500
    found = [token for window in drawn(tmp_path, text, [], TextConfig(list_share=1.0)) for token in window]
    assert set(found) == {3, 5}
    assert 5 < found.count(3) / found.count(5) < 20


def test_no_text_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "empty.txt").write_text("\n")
    with pytest.raises(InputError, match=r"empty\.txt"):
        TextWindows([(tmp_path / "empty.txt", 1.0)], spell, Pronouncer(), [], TextConfig())


def test_harder_posteriors_are_still_posteriors() -> None:
    generator = np.random.default_rng(0)
    phones = np.exp(recording([*PHONES])).astype(np.float32)
    phones /= phones.sum(1, keepdims=True)
    before = phones.copy()
    for _ in range(20):
        assert np.allclose(harder(phones, generator).sum(1), 1.0, atol=1e-3)
    assert np.array_equal(phones, before)


def test_batches_pad_with_blanks() -> None:
    examples = [
        SpellingExample(np.full((n, 40), 0.025, np.float32), np.ones((n, 8), np.float32) if n % 2 else None, (1,) * n)
        for n in (3, 4)
    ]
    batch = collate(examples, 8, 6)
    assert batch.phones.shape == (2, 6, 40)
    assert batch.phones[0, 3].tolist() == [1.0] + [0.0] * 39
    assert batch.last[0].sum() == 24
    assert not batch.last[1].any()
    assert batch.lengths.tolist() == [3, 4]
    assert batch.tokens.tolist() == [1] * 7


def test_batches_have_few_shapes_and_keep_to_their_budget(segments: SpokenSegments, tmp_path: Path) -> None:
    (tmp_path / "book.txt").write_text("cat sat " * 40 + "\n")
    config = TextConfig(real_share=0.2)
    windows = TextWindows([(tmp_path / "book.txt", 1.0)], spell, Pronouncer(), [], config)
    data = SpellingData(windows, segments, [row(recording(["K", "AE", "T"]), "cat")], spell, config)
    batches = data.batches(800, np.random.default_rng(0))
    drawn = [next(batches) for _ in range(30)]
    assert all(len(batch.lengths) == 800 // batch.phones.shape[1] for batch in drawn)
    assert {batch.phones.shape[1] % 40 for batch in drawn} == {0}
    assert any(batch.last.any() for batch in drawn)
    assert drawn[0].last.shape[2] == 1


def test_the_learning_rate_is_held_and_then_falls() -> None:
    config = SpellingTraining(steps=1000, warmup_steps=100, cooling_share=0.4)
    shares = [learning_rate_share(step, config) for step in (49, 500, 800, 999)]
    assert shares == pytest.approx([0.5, 1.0, 0.5, 0.01])


def arguments(folder: Path, steps: int) -> list[str]:
    return [
        "--train", str(DEMO), "--text", f"{folder}/book.txt=0.5", "--validation-speakers", "kokoro:af_bella",
        "--cache", str(folder / "cache"), "--output", str(folder / "model"), "--steps", str(steps),
        "--batch-frames", "600", "--validate-every", "2",
    ]  # fmt: skip


def test_the_job_trains_a_branch_and_nothing_else_and_resumes(tmp_path: Path) -> None:
    (tmp_path / "book.txt").write_text("It was the best of times, it was the worst of times.\n")
    assert train_spelling.main(arguments(tmp_path, 2)) == 0
    curve = (tmp_path / "model" / "training" / "curve.jsonl").read_text().splitlines()
    assert train_spelling.main(arguments(tmp_path, 4)) == 0
    longer = (tmp_path / "model" / "training" / "curve.jsonl").read_text().splitlines()
    assert longer[: len(curve)] == curve
    assert len(longer) == len(curve) + 1  # the validation after step 4; nothing is done again
    shipped, _ = checkpoint.load(Path(AcousticConfig().model))
    trained, config = checkpoint.load(tmp_path / "model")
    assert checkpoint.shapes(config)[2] == train_spelling.SHAPE
    before = {name: value for name, value in shipped.state_dict().items() if not name.startswith("spelling.")}
    after = {name: value for name, value in trained.state_dict().items() if not name.startswith("spelling.")}
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)


def test_the_job_goes_on_from_a_branch(tmp_path: Path) -> None:
    network = tiny_network()
    network.spelling = SpellingBranch(CONFIG, network.head.config.phones, network.head.tokens)
    checkpoint.save(tmp_path / "base", network, BACKBONE, tiny_tokeniser(tmp_path / "tokeniser"), PHONES)
    options = train_spelling.build_parser().parse_args(["--model", str(tmp_path / "base"), *arguments(tmp_path, 1)])
    begun, _, base = train_spelling.begin(options)
    stored = checkpoint.load(tmp_path / "base")[0].spelling.state_dict()
    assert all(torch.equal(stored[name], value) for name, value in begun.spelling.state_dict().items())
    assert checkpoint.load(base)[0].spelling is None  # what is heard is what the base hears without it
    options.anew = True
    begun, _, _ = train_spelling.begin(options)
    assert begun.spelling.heard.weight.shape != stored["heard.weight"].shape


def test_the_job_says_what_is_missing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "book.txt").write_text("It was the best of times.\n")
    without_text = arguments(tmp_path, 2)
    without_text[without_text.index(f"{tmp_path}/book.txt=0.5")] = str(tmp_path / "none.txt")
    assert train_spelling.main(without_text) == 2
    assert "none.txt" in capsys.readouterr().err


def test_words_may_be_said_as_they_were_once(tmp_path: Path) -> None:
    (tmp_path / "book.txt").write_text("cat cat cat cat\n")
    windows = TextWindows([(tmp_path / "book.txt", 1.0)], spell, Pronouncer(), [], TextConfig(rare_share=0.0))
    said, tokens = windows.draw(np.random.default_rng(0), lambda word: SAT if word == "cat" else None)
    assert [number for number in said.phones if number != PAUSE] == [*SAT.phones] * len(tokens)


def test_rows_without_phones_are_refused() -> None:
    with pytest.raises(ValueError, match="phone head"):
        posterior_of(StateRow("u", "s", "a", np.zeros((1, 2, 4), np.float16)))
