"""The recognisers that the benchmarks make for themselves: what their training computes is what transformers loads."""

import doctest
import json
import random
import re
from pathlib import Path
from types import ModuleType

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from torch import nn

from benchmarks.second_models import conformer, corpus, files, german, measure, train
from benchmarks.second_models.corpus import Letters
from pipeline.acoustic.loading import load_model
from pipeline.acoustic.whisper_encoder import WhisperEncoder
from pipeline.config import AcousticConfig
from pipeline.training.base_data import Example
from tests.support.audio_files import encoded, noise

GERMAN = Letters(german.LETTERS)


@pytest.fixture(scope="module")
def network() -> nn.Module:
    torch.manual_seed(0)
    made: nn.Module = conformer.make(len(GERMAN.outputs))
    for layer in made.wav2vec2_conformer.encoder.layers:  # which begin as zero
        nn.init.normal_(layer.conv_module.pointwise_conv2.weight, std=0.05)
        nn.init.normal_(layer.self_attn.pos_bias_u)
        nn.init.normal_(layer.ffn1.output_dense.weight, std=0.05)
    return made


@pytest.mark.parametrize("module", [corpus, files, german])
def test_the_examples_of_the_docstrings_hold(module: ModuleType) -> None:
    outcome = doctest.testmod(module)
    assert outcome.attempted > 0
    assert outcome.failed == 0


def test_the_fast_forward_pass_is_that_of_transformers(network: nn.Module) -> None:
    samples, lengths = torch.randn(2, 24_000), torch.tensor([24_000, 16_000])
    samples[1, 16_000:] = 0
    frames = conformer.frames_of(lengths)
    with torch.no_grad():
        ours = network.lm_head(conformer.encode(network, conformer.front(network, samples), frames)[-1])
        whole = network(samples[:1]).logits
        masked = network(samples, attention_mask=(torch.arange(24_000) < lengths[:, None]).long()).logits
    assert frames.tolist() == network._get_feat_extract_output_lengths(lengths).tolist()
    torch.testing.assert_close(ours[:1], whole, atol=1e-5, rtol=1e-4)
    # Near its end transformers' convolutions see what pads an utterance, which ours, as the loader's, do not.
    reach = conformer.LAYERS * 3
    kept = int(frames[1]) - reach
    assert kept > 20
    assert (ours[1, :kept] - masked[1, :kept]).abs().max() < 0.05 * masked.abs().max()


def test_what_is_written_is_loaded_as_any_checkpoint_is(network: nn.Module, tmp_path: Path) -> None:
    files.write(network, GERMAN, tmp_path, "de", "made for a test")
    model = load_model(AcousticConfig(model=str(tmp_path), dtype="float32"))
    waveform = np.random.default_rng(0).normal(0, 0.1, 16_000).astype(np.float32)
    assert model.frame_seconds == pytest.approx(0.02)
    assert set(model.tokens.alphabet.letters) == set(german.LETTERS)
    heard = model.encode([waveform])[0].tokens
    samples, lengths = train.normalised([example(waveform, "ein wort")])
    with torch.no_grad():
        states = conformer.encode(network, conformer.front(network, samples), conformer.frames_of(lengths))[-1]
        best = network.lm_head(states)[0, : heard.frames].softmax(-1)
    ours = best[torch.arange(heard.frames), torch.from_numpy(heard.ids[:, 0].astype(np.int64))]
    assert np.exp(heard.values[:, 0].astype(np.float64)) == pytest.approx(ours.numpy(), abs=0.02)
    english = Letters("abcdefghijklmnopqrstuvwxyz")
    smaller = files.read(tmp_path, english)
    files.write(smaller, english, tmp_path / "english", "en", "made for a test")
    again = files.read(tmp_path / "english", GERMAN).lm_head.weight
    assert torch.equal(again[:-5], network.lm_head.weight[:-5])  # what both write
    assert torch.equal(again[GERMAN.outputs.index("ö")], network.lm_head.weight[GERMAN.outputs.index("o")])
    assert torch.equal(again[GERMAN.outputs.index("ß")], network.lm_head.weight[GERMAN.outputs.index("s")])


def test_greedy_word_errors_of_a_model_are_counted(
    network: nn.Module, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    files.write(network, GERMAN, tmp_path, "de", "made for a test")
    audio = {"bytes": encoded(noise(1.0)), "path": None}
    rows = [{"utterance_id": name, "speaker": name, "text": "zwei wörter", "audio": audio} for name in "ab"]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "audio.parquet")
    monkeypatch.setattr("sys.argv", ["measure", str(tmp_path), str(tmp_path / "audio.parquet")])
    measure.main()
    said = capsys.readouterr().out
    assert re.search(r"all +[\d.]+% of 4 words", said)
    assert "zwei wörter" in said
    tokens = load_model(AcousticConfig(model=str(tmp_path))).tokens
    a, b, gap = (GERMAN.outputs.index(one) for one in "ab|")
    assert measure.greedy(tokens, [0, a, a, 0, a, gap, gap, b, 0]) == "aa b"


def test_blocks_begin_as_those_of_whisper_do() -> None:
    torch.manual_seed(0)
    whisper = WhisperEncoder(conformer.WIDTH, conformer.LAYERS, conformer.HEADS, 1500, 80).requires_grad_(False)
    for layer in whisper.layers:
        layer.self_attn.q_proj.weight *= 8  # so that attention attends to something
        layer.self_attn.k_proj.weight *= 8
    network = conformer.make(7)
    embedded = torch.randn(2, 60, conformer.WIDTH)
    plain = conformer.make(7)
    conformer.begin_blocks(network, whisper)
    near = conformer.fit_to(network, whisper, embedded)
    assert min(near) > 0.9
    theirs = embedded + whisper.embed_positions.weight[:60]
    for layer in whisper.layers:
        theirs = layer(theirs, None)
    frames = torch.tensor([60, 60])
    with torch.no_grad():
        ours = conformer.encode(network, embedded + conformer.mean_position(whisper), frames)[-2]
        new = conformer.encode(plain, embedded, frames)[-2]
    cosine = nn.functional.cosine_similarity
    assert float(cosine(ours, theirs, dim=-1).mean()) > float(cosine(new, theirs, dim=-1).mean())


def test_distances_are_fitted_where_they_were_measured() -> None:
    torch.manual_seed(0)
    frames = 40
    network = conformer.make(7)
    part = network.wav2vec2_conformer.encoder.layers[0].self_attn
    distances = network.wav2vec2_conformer.encoder.embed_positions(torch.zeros(1, frames, conformer.WIDTH))[0]
    steps = torch.arange(2 * frames - 1) - frames + 1  # key less query
    wanted = torch.stack([-0.1 * (steps - head).abs().float() for head in range(conformer.HEADS)])
    queries = torch.randn(conformer.HEADS, 200, 64) * torch.linspace(0.1, 3, 64)
    conformer.fit_distances(part, wanted, frames - steps.abs(), distances, queries)
    with torch.no_grad():
        scores = conformer.distance_scores(part, queries[None, :, :frames], distances[None])[0]
    for head, query, key in [(0, 20, 20), (3, 20, 23), (3, 20, 12), (7, 5, 30)]:
        assert float(scores[head, query, key]) == pytest.approx(-0.1 * abs(key - query - head), abs=0.15)


def test_letters_that_a_model_cannot_write_are_not_trained_on() -> None:
    assert GERMAN.encode("Größe") == tuple(GERMAN.outputs.index(letter) for letter in "größe")
    assert GERMAN.encode("20 Euro") == ()
    assert GERMAN.encode("Привет") == ()
    assert Letters("abcdefghijklmnopqrstuvwxyz").encode("naïve") == GERMAN.encode("naive")


def test_what_lies_below_is_computed_once(network: nn.Module, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    chance = np.random.default_rng(0)
    batch = [example(chance.normal(0, 0.1, size).astype(np.float32), "wort", str(size)) for size in (16_000, 24_000)]
    states = train.Below(network, batch, 2, tmp_path)
    with torch.no_grad():
        plain, log = train.Teach(network, None, 0)(batch, 0)
        kept = [train.Teach(network, None, 0, states)(part, 0)[0] for part in (batch, batch)]
    assert log["ctc"] == pytest.approx(float(plain))
    assert [float(one) for one in kept] == pytest.approx([float(plain)] * 2, rel=1e-2)
    monkeypatch.setattr(train, "below", None)
    again = train.Below(network, batch, 2, tmp_path)
    torch.testing.assert_close(again(batch)[0], states(batch)[0])


def test_batches_go_on_where_they_stopped() -> None:
    examples = [example(np.zeros(16_000 * seconds, np.float32), "wort") for seconds in (1, 2, 3, 4, 5, 6)]
    whole = train.batches(examples, 6, 0)
    heard = [next(whole) for _ in range(9)]
    assert next(train.batches(examples, 6, 8)) == heard[8]


def test_names_of_the_test_are_not_spoken_in_training(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(german, "Names", _Names)
    monkeypatch.setattr(german, "speak", lambda text, voice, chance: np.zeros(16_000, np.float32))
    texts = [f"Dies ist der {word} Satz davon" for word in ("erste", "zweite", "dritte", "vierte", "fünfte", "sechste")]
    texts += ["Gestern kam Aachen an die Reihe", *(f"Noch ein Satz mit {letter}" for letter in "abcdefghijklmnop")]
    rows, names = german.test(texts, 0.5, 1)
    spoken = list(german.training(texts, 1.0, 1))
    assert {one["speaker"] for one in rows} == set(german.TEST_VOICES)
    assert not {one["speaker"] for one in rows} & {one["speaker"] for one in spoken}
    assert not {one["text"] for one in rows} & {one["text"] for one in spoken}
    assert not any("aachen" in one["text"].split() for one in spoken)
    assert all(set(one["entities"]) <= set(one["list"]) <= set(names) for one in rows)
    assert all(len(one["list"]) == german.LIST_SIZE for one in rows)


class _Names:
    """Names made of letters in place of those of the packages."""

    def __init__(self, test: bool, chance: random.Random) -> None:
        kind = "Aa" if test else "Bö"
        self.first = self.family = [f"{kind}{one}{two}" for one in "bcdfghklm" for two in "bcdfghklmnprst"]
        self.cities = ["Aachen"] if test else ["Köln"]
        self._chance = chance

    def _draw(self, names: list[str]) -> str:
        return self._chance.choice(names)

    fill = german.Names.fill


def test_lists_are_written_as_the_benchmark_writes_them(tmp_path: Path) -> None:
    row = {"utterance_id": "a", "text": "herr köhler", "entities": ["Köhler"], "list": ["Köhler", "Straße"]}
    german.write_test([row], ["Köhler", "Straße"], tmp_path)
    name, text, spoken, listed = (tmp_path / "german_test.lists.tsv").read_text(encoding="utf-8").split("\t")
    assert (name, text) == ("a", "herr köhler")
    assert (json.loads(spoken), json.loads(listed)) == (["köhler"], ["köhler", "straße"])


def example(samples: np.ndarray, text: str, name: str = "a") -> Example:
    return Example(name, "someone", text, (samples * 32767).astype(np.int16), GERMAN.encode(text), ())
