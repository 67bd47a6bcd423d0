"""The adapter over many utterances at once, on a CPU that stands in for a GPU: what each would be given alone."""

import numpy as np
import pytest
import torch

from pipeline.acoustic import adapter_batch
from pipeline.acoustic.adapter_batch import Adapted, Listened
from pipeline.acoustic.adapter_runner import AdapterRunner, replace_frames
from pipeline.acoustic.adapter_spelling import Speller
from pipeline.acoustic.batching import rank
from pipeline.lexicon.phones import PHONES
from pipeline.lexicon.pronunciation import Pronouncer
from pipeline.types.emissions import SparseLogProbs
from pipeline.types.entity import EntityList
from tests.support.sparse import sparsify
from tests.support.tiny_adapter import TOKENS, listed, small_adapter, states
from tests.support.waits import counted

COLUMNS = len(PHONES) + 1
LISTS = (
    listed("cab", "face", "xyz"),
    listed("bad"),
    listed("high", "cage", "jade", "fig", "decade"),
    listed("cab", "bad"),
)
FRAMES = (9, 40, 23, 31)


def runner(phones: bool = True, looks: float = -20.0) -> AdapterRunner:
    """An adapter that looks at the list everywhere, with a pronunciation for every word where there are phones."""
    adapter = small_adapter(phones=COLUMNS if phones else 0)
    adapter.no_bias.bias.data.fill_(looks)
    work = AdapterRunner(adapter, Speller(TOKENS, Pronouncer() if phones else None), prior=0.5)
    work.together = True
    return work


def log_probs(frames: int, columns: int, seed: int) -> np.ndarray:
    return np.log(np.random.default_rng(seed).dirichlet(np.full(columns, 0.3), frames) + 1e-6).astype(np.float32)


def listened(work: AdapterRunner, frames: int, entities: EntityList, seed: int) -> Listened:
    heard = states(frames, seed)
    first = sparsify(log_probs(frames, 12, seed), 5)
    phones = log_probs(frames, COLUMNS, seed + 100).astype(np.float16)
    return Listened(first, heard[-1], work.query(heard), phones, entities)


def block(work: AdapterRunner, lists: tuple[EntityList, ...] = LISTS) -> list[Listened]:
    return [listened(work, frames, entities, n) for n, (frames, entities) in enumerate(zip(FRAMES, lists, strict=True))]


def alone(work: AdapterRunner, one: Listened) -> Adapted:
    return work.adapt(one.first, one.last, one.query, one.phones, one.entities)


def assert_alike(ours: list[Adapted], theirs: list[Adapted]) -> None:
    """Shares to 0.002, log-probabilities to 0.01 nats, and the same candidates, but for what rounds to a tie."""
    for one, other in zip(ours, theirs, strict=True):
        assert np.array_equal(np.isnan(one.attended), np.isnan(other.attended))
        np.testing.assert_allclose(one.attended[:, 0], other.attended[:, 0], atol=2e-3)
        np.testing.assert_allclose(one.attended[:, 1], other.attended[:, 1], rtol=5e-3, atol=2e-3)
        assert (one.tokens is None) == (other.tokens is None)
        if one.tokens is not None and other.tokens is not None:
            assert (one.tokens.ids.dtype, one.tokens.values.dtype) == (np.int16, np.float16)
            gap = one.tokens.values.astype(np.float32) - other.tokens.values.astype(np.float32)
            assert np.abs(gap).max() < 0.01
            assert (one.tokens.ids == other.tokens.ids).mean() > 0.99


@pytest.mark.parametrize("phones", [True, False])
def test_together_as_one_by_one(phones: bool) -> None:
    work = runner(phones)
    utterances = block(work)
    together = work.adapt_all(utterances)
    assert_alike(together, [alone(work, one) for one in utterances])
    assert all(one.tokens is not None for one in together)
    assert not np.array_equal(together[1].tokens.values, utterances[1].first.values)  # type: ignore[union-attr]


def test_frames_that_look_elsewhere_keep_their_bytes() -> None:
    work = runner(looks=12.0)  # here and there a frame looks at the list
    utterances = block(work)
    together, one_by_one = work.adapt_all(utterances), [alone(work, one) for one in utterances]
    assert_alike(together, one_by_one)
    kept = 0
    for said, expected, one in zip(together, one_by_one, utterances, strict=True):
        if said.tokens is not None and expected.tokens is not None:
            same = (expected.tokens.values == one.first.values).all(1)
            kept += int(same.sum())
            assert np.array_equal(said.tokens.values[same], one.first.values[same])
    assert kept > 0


def test_lists_that_cannot_be_attended_to_change_nothing_and_disturb_nobody() -> None:
    work = runner()
    lists = (EntityList(), listed("bad"), listed("xyz"), listed("cab", weight=0.0))
    utterances = block(work, lists)
    together = work.adapt_all(utterances)
    assert_alike(together, [alone(work, one) for one in utterances])
    assert [one.tokens is None for one in together] == [True, False, True, True]
    assert work.adapt_all([]) == []


def test_small_memory_makes_more_batches_and_long_lists_go_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    work = runner()
    utterances = block(work)
    expected = work.adapt_all(utterances)
    begun: list[int] = []
    real = adapter_batch.BatchedAdapter._begin

    def begin(self: adapter_batch.BatchedAdapter, group: list[Listened], *more: object) -> object:
        begun.append(len(group))
        return real(self, group, *more)  # type: ignore[arg-type]

    monkeypatch.setattr(adapter_batch.BatchedAdapter, "_begin", begin)
    monkeypatch.setattr(adapter_batch, "_CELLS", 2 * 40 * 4 * 2)
    assert_alike(work.adapt_all(utterances), expected)
    assert sum(begun) < 4, "the longest list is left to the path of one utterance"
    assert len(begun) > 1


def test_spellings_are_encoded_once_and_the_oldest_make_room(monkeypatch: pytest.MonkeyPatch) -> None:
    work, sizes = runner(), list[int]()
    catalog = work._adapter.catalog.forward

    def counting(spelled: adapter_batch.Catalog, *more: object) -> object:
        sizes.append(len(spelled.sizes))
        return catalog(spelled, *more)  # type: ignore[arg-type]

    monkeypatch.setattr(work._adapter.catalog, "forward", counting)
    utterances = block(work)
    expected = work.adapt_all(utterances)
    longer = [*utterances, listened(work, 12, listed("decade", "headache", "fig"), 9)]
    first = sizes.copy()
    again = work.adapt_all(longer)
    assert len(first) == 1
    assert sizes[1:] == [len(work.speller.rows(listed("headache").entities[0]))], "only what is new"
    assert_alike(again[:-1], expected)
    monkeypatch.setattr(adapter_batch, "_KEPT_SPELLINGS", first[0])
    assert_alike(work.adapt_all([longer[-1]]), [again[-1]])
    assert_alike(work.adapt_all(utterances), expected)


def test_two_copies_in_and_two_out(monkeypatch: pytest.MonkeyPatch) -> None:
    work = runner()
    utterances = block(work) * 16
    work.adapt_all(utterances)
    with counted(monkeypatch) as found:
        work.adapt_all(utterances)
    # The host fills the features through their own .numpy(); found candidates and shares are copied out.
    assert found == {"numpy": 1 + 2}


def test_what_comes_first_is_kept_whatever_its_log_prob() -> None:
    generator = torch.Generator().manual_seed(0)
    values = torch.randn(3, 20, 40, generator=generator).log_softmax(-1)
    expected = torch.rand(3, 20, 40, generator=generator)
    ids, kept = rank(values, 8, first=expected >= 0.9)
    for row in range(3):
        empty = SparseLogProbs(np.zeros((20, 8), np.int16), np.zeros((20, 8), np.float16))
        shares = np.where(expected[row].numpy() >= 0.9, 1.0, 0.0).astype(np.float32)
        chosen = replace_frames(empty, np.arange(20), values[row].numpy(), shares)
        assert np.array_equal(ids[row].numpy(), chosen.ids)
        assert np.array_equal(kept[row].numpy(), chosen.values)
