"""The contextual adapter's network and its work on one utterance."""

import resource
import subprocess
import sys

import numpy as np
import pytest
import torch

from pipeline.acoustic.adapter import Catalog, ContextualAdapter, Frames, OutputLayer, pad_spellings
from pipeline.acoustic.adapter_chain import NEVER, chain_of_tensors, chain_scores
from pipeline.acoustic.adapter_runner import replace_frames
from pipeline.types.emissions import SparseLogProbs
from pipeline.types.entity import EntityList
from tests.support.sparse import sparsify
from tests.support.tiny_adapter import listed, runner, small_adapter, spell, states


def test_the_chain_finds_the_best_whole_reading() -> None:
    match = torch.full((1, 1, 2, 5, 1), -1.0)  # two subwords, five frames, one spelling
    match[0, 0, 0, 1] = match[0, 0, 1, 3] = 2.0
    scores = chain_scores(match, torch.tensor([2]), 4)[0, 0, :, :, 0]
    assert scores[0, 1] == scores[1, 3] == 4.0  # both subwords, where they are said
    assert scores[0, 3] == -2.0  # the first where the second is said: the second must follow, unheard
    assert scores[0, 4] < NEVER / 2  # nothing can follow the last frame
    near = chain_scores(match, torch.tensor([2]), 1)[0, 0, :, :, 0]
    assert near[0, 1] == 1.0  # within one frame the second is not heard


def test_compiled_and_tensor_chains_are_equal_forwards_and_backwards() -> None:
    torch.manual_seed(0)
    match = torch.randn(2, 2, 5, 20, 7, requires_grad=True)
    sizes, weights = torch.tensor([1, 2, 3, 4, 5, 5, 2]), torch.randn(2, 2, 5, 20, 7)
    gradients = []
    for chain in (chain_scores, chain_of_tensors):
        scores = chain(match, sizes, 8)
        real = scores > NEVER / 2
        gradients.append(torch.autograd.grad((scores * weights)[real].sum(), match)[0])
    assert torch.equal(chain_scores(match, sizes, 8)[real], chain_of_tensors(match, sizes, 8)[real])
    assert torch.allclose(*gradients, atol=1e-5)


def encoded(adapter: ContextualAdapter, texts: list[str]) -> Catalog:
    return adapter.catalog(pad_spellings([(spell(text), ()) for text in texts], 0))


def frames_of(adapter: ContextualAdapter, *utterances: np.ndarray) -> Frames:
    longest = max(one.shape[1] for one in utterances)
    padded = torch.zeros(len(utterances), 2, longest, 8)
    for row, one in enumerate(utterances):
        padded[row, :, : one.shape[1]] = torch.from_numpy(one.astype(np.float32))
    lengths = torch.tensor([one.shape[1] for one in utterances])
    return adapter.frames(padded[:, -1], adapter.query_of(padded), lengths)


def test_a_batch_of_different_lists_gives_what_each_gives_alone() -> None:
    adapter, short, long = small_adapter(), states(6, 1), states(11, 2)
    catalog = encoded(adapter, ["abc", "de", "fghij"])
    members = torch.tensor([[True, False, True], [False, True, False]])
    with torch.inference_mode():
        together, attention = adapter(frames_of(adapter, short, long), catalog, members)
        for row, (one, texts) in enumerate(((short, ["abc", "fghij"]), (long, ["de"]))):
            alone, looked = adapter(frames_of(adapter, one), encoded(adapter, texts))
            assert torch.allclose(together[row, : one.shape[1]], alone[0], atol=1e-4)
            assert torch.allclose(attention.no_bias[row, : one.shape[1]], looked.no_bias[0], atol=1e-5)
    assert float(attention.subwords[0, :, :, 1].max()) == 0.0  # not on its list
    whole = attention.subwords.sum((2, 3)) + attention.no_bias
    assert torch.allclose(whole, torch.ones_like(whole), atol=1e-5)


def test_long_lists_are_taken_in_parts_without_a_difference(monkeypatch: pytest.MonkeyPatch) -> None:
    work, heard = runner(), states(9)
    entities = listed("abc", "de", "fghij", "kk", "abab", "c")
    encoded_list = work.encode(entities)
    assert encoded_list is not None
    with torch.inference_mode():
        frames = work.frames(heard[-1], work.query(heard), None)
        whole = work.look(frames, encoded_list.catalog)
        monkeypatch.setattr("pipeline.acoustic.adapter_runner._CELLS", 1)
        assert len(list(work.scores(frames, encoded_list.catalog))) == 6
        parts = work.look(frames, encoded_list.catalog)
        direct = work._adapter.attend(frames, encoded_list.catalog)
    for name in ("no_bias", "rows", "expected", "value"):
        assert torch.allclose(getattr(whole, name), getattr(parts, name), atol=1e-5)
    assert torch.allclose(whole.no_bias, direct.no_bias[0], atol=1e-5)


def test_lists_that_cannot_be_attended_to_change_nothing() -> None:
    work, heard = runner(), states(9)
    first = sparsify(np.log(np.random.default_rng(0).dirichlet(np.ones(12), 9)).astype(np.float32), 5)
    for entities in (EntityList(), listed("abc", weight=0.0), listed("abc", weight=-1.0), listed("xyz")):
        said = work.adapt(first, heard[-1], work.query(heard), None, entities)
        assert said.tokens is None
        assert said.attended.shape == (len(entities), 3)
        assert np.isnan(said.attended).all()
    careful = runner(prior=1e6)  # and neither does a list that nothing is attended to in
    said = careful.adapt(first, heard[-1], work.query(heard), None, listed("abc"))
    assert said.tokens is None
    assert said.attended.tolist() == [[0.0, 0.0, 0.0]]


def test_attention_is_told_apart_by_entity() -> None:
    adapter, heard = small_adapter(), states(9)
    adapter.no_bias.bias.data.fill_(-20.0)
    first = sparsify(np.log(np.random.default_rng(0).dirichlet(np.ones(12), 9)).astype(np.float32), 5)
    work, entities = runner(adapter), listed("abc", "xyz", "de")
    said = work.adapt(first, heard[-1], work.query(heard), None, entities).attended
    shares = work.attention(heard[-1], work.query(heard), None, entities)
    assert np.isnan(said).any(1).tolist() == [text == "xyz" for text in [one.text for one in entities.entities]]
    spelled = ~np.isnan(said).any(1)
    assert np.allclose(said[spelled, 0], shares[:-1].max(1)[spelled], atol=1e-3)
    assert np.allclose(said[spelled, 1], shares[:-1].sum(1)[spelled], atol=1e-2)
    assert np.array_equal(said[spelled, 2], shares[:-1].argmax(1)[spelled])
    assert np.allclose(shares.sum(0), 1.0, atol=1e-5)


def test_the_same_input_gives_the_same_bytes_and_lists_are_encoded_once() -> None:
    adapter, heard = small_adapter(), states(9)
    adapter.no_bias.bias.data.fill_(-20.0)  # looks at the list everywhere
    first = sparsify(np.log(np.random.default_rng(0).dirichlet(np.ones(12), 9)).astype(np.float32), 5)
    one, other = runner(adapter), runner(adapter)
    entities = listed("abc", "de")
    results = [w.adapt(first, heard[-1], w.query(heard), None, entities) for w in (one, other, one)]
    tokens = [result.tokens for result in results]
    assert tokens[0] is not None
    assert all(one is not None and np.array_equal(tokens[0].values, one.values) for one in tokens)
    assert one.encode(listed("de", "abc")) is one.encode(entities)  # by content


def test_attended_subwords_stay_among_the_candidates() -> None:
    first = SparseLogProbs(np.array([[1, 2], [1, 2]], np.int16), np.array([[-0.1, -3], [-0.1, -3]], np.float16))
    log_probs = np.array([[-0.1, -2.0, -3.0, -9.0]], np.float32)
    shares = np.array([[0.0, 0.0, 0.0, 0.5]], np.float32)
    changed = replace_frames(first, np.array([1]), log_probs, shares)
    assert changed.ids.tolist() == [[1, 2], [0, 3]]  # 3 for 1 and 2, best first
    assert changed.values[0].tolist() == first.values[0].tolist()


def test_what_is_attended_to_is_raised() -> None:
    adapter = small_adapter(vocabulary=12, width=16)
    raised = adapter.output(torch.zeros(1, 16) + 4.0 * adapter.directions[3])
    assert int(raised.argmax()) == 3


def test_equal_pieces_add_up() -> None:
    layer = OutputLayer(torch.eye(4), torch.zeros(4), torch.tensor([0, 1, 1, -1]))
    probs = layer(torch.tensor([[0.0, 0.0, 0.0, 5.0]])).exp()[0]
    assert torch.allclose(probs, torch.tensor([1 / 3, 2 / 3, 0.0, 0.0]), atol=1e-6)


MEMORY = """
import resource, numpy as np, torch
from tests.support.tiny_adapter import LETTERS, runner, listed, states
generator = np.random.default_rng(0)
texts = {"".join(generator.choice(list(LETTERS), 8)) for _ in range(5000)}
work, heard = runner(), states(750)
encoded = work.encode(listed(*texts))
with torch.inference_mode():
    looked = work.look(work.frames(heard[-1], work.query(heard), None), encoded.catalog)
print(len(texts), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


def test_5000_entities_against_30_seconds_fit_in_4_gb() -> None:
    assert resource.RLIMIT_AS  # POSIX only, as the project is
    done = subprocess.run([sys.executable, "-c", MEMORY], capture_output=True, text=True, check=True)
    count, kilobytes = map(int, done.stdout.split())
    assert count > 4990
    assert kilobytes < 4 << 20
