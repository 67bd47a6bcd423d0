"""The tree leads to what was said, the same way whatever else is on a list, and looks at little else."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.acoustic.loading import load_tokens
from pipeline.config import AcousticConfig, CutConfig, RunConfig, ShortlistConfig, TreeConfig, joint
from pipeline.config.fingerprint import config_fingerprint
from pipeline.entities.catalog import write_catalog
from pipeline.errors import ConfigError, ModelError
from pipeline.lexicon.phones import PHONES, phone_ids
from pipeline.lexicon.pronunciation import Pronouncer
from pipeline.reprocess.touched import Touching
from pipeline.retrieval.catalog import build_sound, build_spelling, build_tree
from pipeline.retrieval.phonetic import Phonetic
from pipeline.retrieval.shortlist import Shortlister, build_shortlister
from pipeline.retrieval.sound_index import build_index, encode
from pipeline.retrieval.tree_model import ROOTS, TreeModel, index_tree, read_tree
from pipeline.retrieval.windows import KINDS, PLACES, SIZE, heard_windows, letters_of, phone_features
from pipeline.training import tree_fit
from pipeline.training.heard_names import count_confusions
from pipeline.training.tree_fit import fit_tree, instances_of, joined, misheard
from pipeline.types.emissions import Emissions
from pipeline.types.entity import Entity, EntityList
from tests.support.sparse import sparsify
from tests.support.speech import spoken

TOKENS = load_tokens(AcousticConfig())
CUT = CutConfig(above=3, bound=-5.0, per_doubling=0.0)
NAMES = (
    "nilsson", "nielson", "nelson", "newton", "norwich", "nairobi", "naples", "nottingham", "novak", "nokia",
    "gorbachev", "gandhi", "geneva", "galway", "glasgow", "gibson", "graham", "greta", "gordon", "gilbert",
    "thatcher", "vancomycin", "met", "michael", "monica", "manchester", "morgan", "madrid", "milan", "munich",
)  # fmt: skip


@pytest.fixture(scope="module")
def pronouncer() -> Pronouncer:
    return Pronouncer()


@pytest.fixture(scope="module")
def model(pronouncer: Pronouncer, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tree of small leaves, fitted on the names as a recogniser that takes N for M would hear them."""
    said = [
        (tuple(phone_ids(pronouncer.entity(Entity(one, one))[0]).tolist()), letters_of(one).tolist()) for one in NAMES
    ]
    heard = [([PHONES.index("M")], [PHONES.index("N")])] * 9
    instances = joined([misheard(said, count_confusions(heard), 4, 0), instances_of([(*said[0], 0)])])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tree_fit, "LEAF", 4)
        patch.setattr(tree_fit, "_TARGET", 3)
        tree = fit_tree([phones for phones, _ in said], instances)
    path = tmp_path_factory.mktemp("tree") / "tree.safetensors"
    tree.save(path)
    return path


def shortlister(pronouncer: Pronouncer, model: Path, **more: float) -> Shortlister:
    tree = TreeConfig(weights=str(model), **more)  # type: ignore[arg-type]
    return build_shortlister(dataclasses.replace(joint(), cut=CUT, tree=tree), pronouncer, TOKENS)


def listed(*names: str) -> EntityList:
    return EntityList(tuple(Entity(name, name) for name in sorted(names)))


def heard(text: str = "we met nilsson") -> Emissions:
    """The phones and the subwords of it, each frame sure of its symbol."""
    phones = np.repeat(spoken("W IY - M EH T - N IH L S AH N -"), 2, axis=0)
    rows = np.full((len(phones), len(TOKENS.pieces)), -9.0, np.float32)
    rows[:, TOKENS.blank] = -0.01
    for word, begin in zip(text.split(), (0, 6, 14), strict=True):
        for at, token in enumerate(TOKENS.encoder(word)):
            rows[begin + 2 * at, token], rows[begin + 2 * at, TOKENS.blank] = -0.01, -9.0
    return Emissions(sparsify(rows, 32), phones.astype(np.float16))


def names(found: EntityList) -> list[str]:
    return [one.text for one in found.entities]


def test_windows_are_of_one_to_four_words() -> None:
    windows = heard_windows(heard(), TOKENS)
    assert len(windows) == 6
    texts = {
        "".join(map(chr, windows.letters[a:b])) for a, b in zip(windows.letter_starts, windows.letter_ends, strict=True)
    }
    assert texts == {"we", "met", "nilsson", "wemet", "metnilsson", "wemetnilsson"}
    spans = {
        tuple(PHONES[one] for one in windows.phones[a:b]) for a, b in zip(windows.starts, windows.ends, strict=True)
    }
    assert tuple(["W", "IY", "M", "EH", "T", "N", "IH", "L", "S", "AH", "N"]) in spans
    assert not len(heard_windows(dataclasses.replace(heard(), phone_log_probs=None), TOKENS))


def test_what_was_said_is_found_among_less(pronouncer: Pronouncer, model: Path) -> None:
    found = shortlister(pronouncer, model).shortlist(heard(), listed(*NAMES))
    assert found.strategies_of("nilsson") == ("tree",)
    plain = build_shortlister(dataclasses.replace(joint(), cut=CUT), pronouncer, TOKENS).shortlist(
        heard(), listed(*NAMES)
    )
    assert set(names(found.entities)) <= set(names(plain.entities))
    assert not names(shortlister(pronouncer, model, fit=1.1).shortlist(heard(), listed(*NAMES)).entities)


def test_why_a_name_is_not_found(pronouncer: Pronouncer, model: Path) -> None:
    strict, fitting = shortlister(pronouncer, model, fit=1.1), Entity("nilsson", "Nilsson")
    assert strict.reason(heard(), fitting, 30) == "it fits, but the tree does not lead to it"
    assert "log odds" in shortlister(pronouncer, model).reason(heard(), fitting, 30)
    assert "its phones cost" in strict.reason(heard(), Entity("gorbachev", "Gorbachev"), 30)


def test_a_tree_without_a_cut_is_said(pronouncer: Pronouncer, model: Path) -> None:
    config = dataclasses.replace(joint(), cut=None, tree=TreeConfig(weights=str(model)))
    with pytest.raises(ConfigError, match="and there is none; set cut"):
        build_shortlister(config, pronouncer, TOKENS)


def test_each_is_found_as_if_it_were_alone(pronouncer: Pronouncer, model: Path) -> None:
    every = listed(*NAMES)
    sized = shortlister(pronouncer, model).sized(len(every))
    alone = [name for name in names(every) if len(sized.shortlist(heard(), listed(name)).entities)]
    assert names(shortlister(pronouncer, model).shortlist(heard(), every).entities) == alone
    touching = Touching(shortlister(pronouncer, model))
    assert names(touching.touches(heard(), listed(*NAMES[1:]), every)) == ["nilsson"]


def test_a_catalog_is_searched_as_its_list(pronouncer: Pronouncer, model: Path, tmp_path: Path) -> None:
    plain = listed(*NAMES)
    catalog = write_catalog(plain, tmp_path)
    build_sound(catalog, tmp_path, 1)
    build_spelling(catalog, TOKENS)
    build_tree(catalog, model)
    assert any(part.name.startswith("tree-") for part in catalog.parts)
    ours, theirs = (shortlister(pronouncer, model).shortlist(heard(), one) for one in (catalog, plain))
    assert (ours.entities.entities, ours.strategies) == (theirs.entities.entities, theirs.strategies)


PRONUNCIATIONS = st.lists(st.lists(st.sampled_from(PHONES), min_size=1, max_size=9), min_size=1, max_size=12)


@settings(max_examples=30, deadline=None)
@given(said=PRONUNCIATIONS, least=st.sampled_from((0.1, 0.3, 0.6)))
def test_leaves_and_cosines_are_those_of_each_pronunciation_alone(
    model: Path, said: list[list[str]], least: float
) -> None:
    tree = read_tree(model)
    index = build_index([encode([tuple(one)]) for one in said])
    together = index_tree(index, tree)
    windows = heard_windows(heard(), TOKENS)
    everywhere = [np.array(one, np.int32) for one in zip(*_all_pairs(len(windows), tree), strict=True)]
    found = together.fitting(index, tree, windows, (everywhere[0], everywhere[1]), least).tolist()
    span = [(windows.phones[a:b]) for a, b in zip(windows.starts, windows.ends, strict=True)]
    for k in range(len(index.lengths)):
        own = index.phones[index.starts[k] : index.starts[k + 1]]
        leaf = tree.leaves_of(own, np.array([0, len(own)], np.int32))[0]
        place = int(np.flatnonzero(together.order == k)[0])
        assert together.starts[leaf] <= place < together.starts[leaf + 1]
        best = max(float(_dense(tree, own) @ _dense(tree, one)) for one in span)
        assert (k in found) is (best >= least) or abs(best - least) < 1e-4


def _all_pairs(windows: int, tree: TreeModel) -> list[tuple[int, int]]:
    return [(w, leaf) for w in range(windows) for leaf in range(len(tree.first)) if not tree.children[leaf]]


def _dense(tree: TreeModel, phones: np.ndarray) -> np.ndarray:
    found, weights = np.empty(200, np.uint32), np.empty(200, np.float32)
    count = phone_features(phones, tree.idf, KINDS, PLACES, found, weights)
    dense = np.zeros(SIZE, np.float32)
    np.add.at(dense, found[:count], weights[:count])
    return dense


def test_what_is_looked_at_costs_what_it_costs_among_all(pronouncer: Pronouncer) -> None:
    phonetic = Phonetic(ShortlistConfig(), pronouncer)
    index = phonetic.compile(listed(*NAMES))
    log_probs = heard().phone_log_probs
    assert log_probs is not None
    every, some = phonetic.matching(log_probs, index), np.arange(0, len(index.lengths), 2, dtype=np.int32)
    laid = phonetic.laid(phonetic.slots(log_probs), index, some)
    expected = {k: cost for k, cost in zip(every.pronunciations, every.costs, strict=True) if k % 2 == 0}
    assert dict(zip(laid.pronunciations, laid.costs, strict=True)) == expected


def test_the_tree_is_balanced_and_its_file_checked(model: Path, tmp_path: Path) -> None:
    tree = read_tree(model)
    assert tree.children[0] == ROOTS
    assert (tree.children[1 : ROOTS + 1] > 0).any()
    assert tree.weights.dtype == np.int8
    (tmp_path / "tree.safetensors").write_bytes(b"no tree")
    with pytest.raises(ModelError, match=r"tree.safetensors: is no tree of retrieval"):
        read_tree(tmp_path / "tree.safetensors")


def test_off_it_leaves_fingerprints_as_they_were(model: Path) -> None:
    assert config_fingerprint(RunConfig(tree=TreeConfig(weights=str(model)))) != config_fingerprint(RunConfig())
