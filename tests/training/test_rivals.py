"""An adapter learns to tell what is said from what retrieval finds beside it."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch

from jobs.train_adapter import main
from pipeline.acoustic import adapter_checkpoint
from pipeline.acoustic.adapter import OutputLayer
from pipeline.config import joint
from pipeline.lexicon.pronunciation import Pronouncer
from pipeline.retrieval.ranked import Ranked
from pipeline.training.adapter_data import ListConfig, ListDrawer, Utterance
from pipeline.training.adapter_states import StateRow
from pipeline.training.rivals import first_pass, with_rivals
from tests.support.audio_files import labelled_noise
from tests.support.large_lists import OTHERS, SMALL, TOKENS, frames, heard, listed
from tests.support.tiny_model import tiny_model


def as_it_is() -> OutputLayer:
    """An output layer that takes log-probs for states."""
    size = len(TOKENS.pieces)
    return OutputLayer(torch.eye(size), torch.zeros(size), torch.arange(size))


def utterance() -> Utterance:
    rows, phones = frames()
    row = StateRow("u", "s", "we met nilsson", rows[None].astype(np.float16), phones)
    return Utterance(row, ("we", "met", "nilsson"), (), (), np.zeros(len(rows), np.int32))


def test_the_first_pass_is_as_it_was_heard() -> None:
    found, before = first_pass(utterance().row, as_it_is(), 32), heard()
    assert np.array_equal(found.tokens.ids[:, 0], before.tokens.ids[:, 0])
    assert found.tokens.values[:, 0].tolist() == pytest.approx(before.tokens.values[:, 0].tolist(), abs=0.2)
    assert np.array_equal(found.phone_log_probs, before.phone_log_probs)


def test_rivals_are_what_is_found_and_not_said() -> None:
    cut = dataclasses.replace(SMALL, bound=-7.0)
    ranked = Ranked.build(dataclasses.replace(joint(), cut=cut), Pronouncer(), TOKENS)
    names = listed("nilsson", *OTHERS)
    chosen = ranked.select(first_pass(utterance().row, as_it_is(), 32), names)
    assert chosen is not None
    found = {entity.text for entity in names.at(chosen.tolist())}
    one = with_rivals([utterance()], names, ranked, as_it_is(), 32)[0]
    assert "nilsson" in found
    assert set(one.rivals) == found - {"nilsson", "met"}
    assert "nielson" in one.rivals


def test_lists_have_rivals_beside_what_is_said() -> None:
    config = ListConfig(most_distractors=5, only_distractors=0.0, common_said=0.0, retrieved=1.0, most_retrieved=3)
    drawer = ListDrawer(config, frozenset({"we", "met"}), ("zebedee",), lambda word: ())
    rivals = ("nielson", "nelson", "neilson", "nielsen")
    lists = [drawer.draw(("we", "met", "nilsson"), np.random.default_rng(seed), rivals) for seed in range(40)]
    assert {name for one in lists for name in one} == {"nilsson", *rivals}
    assert {sum(name in rivals for name in one) for one in lists} == {1, 2, 3}
    without = drawer.draw(("we", "met", "nilsson"), np.random.default_rng(1))
    assert not set(without) & set(rivals)


@pytest.fixture(scope="module")
def recipe(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    folder = tmp_path_factory.mktemp("recipe")
    texts = ("zebedee jumps", "dizzy fox", "seventy boxes", "lazy quirinus")
    speech = labelled_noise(folder / "speech.parquet", texts, speakers=2)
    return [
        "--model", str(tiny_model(folder / "model")), "--train", str(speech),
        "--validation-speakers", "s1", "--steps", "2", "--batch-frames", "200", "--cell-budget", "20000",
        "--cache", str(folder / "cache"), "--output", str(folder / "adapter"),
    ]  # fmt: skip


def test_training_finds_rivals_in_a_large_list(
    recipe: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sounds = [a + b + c for a in "bdfgklmn" for b in "aeiou" for c in ("", "r", "n", "l")]
    names = sorted({f"{first}{last}" for first in sounds for last in sounds[:40]})
    (tmp_path / "names.txt").write_text("\n".join(names))
    assert len(names) > 5000
    assert main([*recipe, "--rivals", str(tmp_path / "names.txt")]) == 0
    assert "rivals: " in capsys.readouterr().out
    folder = Path(recipe[recipe.index("--output") + 1])
    assert adapter_checkpoint.load(folder).adapter is not None
    assert "`names.txt`" in (folder / "MODEL_CARD.md").read_text()


def test_a_small_list_has_no_rivals(recipe: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "names.txt").write_text("zebedee\nquirinus")
    assert main([*recipe, "--rivals", str(tmp_path / "names.txt")]) == 2
    assert "more than 5,000 are needed" in capsys.readouterr().err
