"""The batch path on a CPU that stands in for a GPU: nothing leaks from padding, and the device is asked for nothing."""

from pathlib import Path

import numpy as np
import pytest
import torch

from pipeline.acoustic import checkpoint
from pipeline.acoustic.adapter_runner import AdapterRunner
from pipeline.acoustic.batching import MIRRORED, pad, padded_length, rank
from pipeline.acoustic.loading import load_model
from pipeline.acoustic.model import RollcallCtc
from pipeline.acoustic.spelling import SpellingBranch, SpellingConfig
from pipeline.config import AcousticConfig
from pipeline.types.emissions import Emissions
from tests.support.sparse import sparsify
from tests.support.tiny_adapter import eager
from tests.support.tiny_model import BACKBONE, tiny_model, tiny_network, tiny_tokeniser
from tests.support.waits import counted

CPU = torch.device("cpu")


def noise(samples: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, 0.1, samples).astype(np.float32)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny model with a spelling branch, whose positions hold two frames each."""
    from pipeline.lexicon.phones import PHONES

    path, network = tmp_path_factory.mktemp("model"), tiny_network()
    config = SpellingConfig(width=16, blocks=2, heads=2, kernel=3)
    network.spelling = SpellingBranch(config, network.head.config.phones, network.head.tokens).eval()
    checkpoint.save(path, network, BACKBONE, tiny_tokeniser(path / "tokeniser"), PHONES)
    return path


def load(folder: Path, dtype: str = "float32") -> RollcallCtc:
    model = load_model(AcousticConfig(model=str(folder), top_k=8, dtype=dtype, device="cpu"))
    assert isinstance(model, RollcallCtc)
    return model


def assert_alike(one: Emissions, other: Emissions, vocabulary: int, atol: float) -> None:
    pairs = [(one.phone_log_probs, other.phone_log_probs), (one.last, other.last), (one.query, other.query)]
    pairs.append((one.tokens.values, other.tokens.values))
    for ours, theirs in pairs:
        assert ours is not None
        assert theirs is not None
        np.testing.assert_allclose(ours.astype(np.float32), theirs.astype(np.float32), atol=atol)


@pytest.mark.parametrize("frames", [24, 25])
def test_a_short_utterance_beside_a_long_one_is_as_alone(folder: Path, frames: int) -> None:
    model, runner = load(folder), AdapterRunner(eager(tiny_model(folder / "base")), None)  # type: ignore[arg-type]
    short, long = noise(frames * 640 + 17, 1), noise(30 * 16_000, 2)  # the long one is heard in two windows
    alone = model.begin([short], query=runner.query_of)()[0]
    model.together = True
    together = model.begin([long, short], query=runner.query_of)()
    assert together[0].tokens.frames == 30 * 25
    assert together[1].tokens.frames == frames
    assert_alike(together[1], alone, 48, atol=4e-3)


def test_padding_is_not_heard(folder: Path) -> None:
    """What lies beyond the end may be anything: the network's output up to there is the same."""
    network, exact = load(folder).network, 25
    mel = torch.randn(1, 80, 4 * exact, generator=torch.Generator().manual_seed(0))
    padded = torch.zeros(1, 80, 4 * 32)
    padded[:, :, : 4 * exact] = mel
    with torch.inference_mode():
        alone = network(mel, torch.tensor([2 * exact]))
        within = network(padded, torch.tensor([2 * exact]))
    assert torch.allclose(within.tokens[:, :exact], alone.tokens, atol=1e-5)
    assert torch.allclose(within.phones[:, :exact], alone.phones, atol=1e-5)
    assert torch.allclose(within.states[:, :, :exact], alone.states, atol=1e-5)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_on_a_cpu_a_row_has_its_bytes_whatever_shares_its_batch(folder: Path, dtype: str) -> None:
    model = load(folder, dtype)
    waves = [noise(n, n) for n in (16_000, 9_000, 40_000, 16_640)]
    for alone, among in zip([model.encode([wave], True)[0] for wave in waves], model.encode(waves, True), strict=True):
        assert np.array_equal(alone.tokens.ids, among.tokens.ids)
        assert np.array_equal(alone.tokens.values, among.tokens.values)
        assert np.array_equal(alone.states, among.states)  # type: ignore[arg-type]


def test_whole_numbers_are_the_same_audio(folder: Path) -> None:
    model, whole = load(folder), (noise(20_000, 5) * 32_768).astype(np.int16)
    one, other = model.encode([whole]), model.encode([whole.astype(np.float32) / 32_768])
    assert np.array_equal(one[0].tokens.values, other[0].tokens.values)
    mixed = pad([whole, noise(100, 1)], 400, 0, CPU).samples
    assert torch.equal(mixed[0, :20_000], pad([whole], 400, 0, CPU).samples[0, :20_000])


def test_ends_are_mirrored() -> None:
    batch = pad([np.arange(500, dtype=np.float32), np.arange(400, dtype=np.float32)], 400, 0, CPU)
    assert batch.lengths.tolist() == [500, 400]
    assert batch.samples.shape == (2, 500 + MIRRORED)
    assert batch.samples[0, 498:503].tolist() == [498, 499, 498, 497, 496]
    assert batch.samples[1, 400:402].tolist() == [398, 397]
    assert batch.samples[1, 600:].abs().max() == 0


def test_few_lengths_and_little_padding() -> None:
    lengths = [padded_length(frames) for frames in range(1, 701)]
    assert len(set(lengths)) < 45
    assert all(frames <= length for frames, length in enumerate(lengths, 1))
    assert all(length <= 1.13 * frames for frames, length in enumerate(lengths, 1) if frames > 64)


def test_equal_log_probs_are_ranked_by_the_lower_id() -> None:
    coarse = torch.randint(-4, 1, (5, 40, 300), generator=torch.Generator().manual_seed(0)).float()
    fine = torch.randn(5, 40, 300, generator=torch.Generator().manual_seed(1)).log_softmax(-1)
    for values in (coarse, fine, torch.full((1, 2, 5), -0.0)):
        ids, kept = rank(values, 32)
        for row in range(len(values)):
            expected = sparsify(values[row].numpy(), 32)
            assert np.array_equal(ids[row].numpy(), expected.ids)
            assert np.array_equal(kept[row].numpy(), expected.values)


def test_a_batch_costs_eight_copies_at_most(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model, runner = load(folder), AdapterRunner(eager(tiny_model(folder / "base2")), None)  # type: ignore[arg-type]
    model.together = True
    waves = [noise(3_000 + 10 * n, n) for n in range(64)]
    model.begin(waves, query=runner.query_of)()
    with counted(monkeypatch) as found:
        heard = model.begin(waves, query=runner.query_of)()
    assert len(heard) == 64
    # Samples and lengths are copied in, and ids, log-probs, phones, last states and queries out; the host fills the
    # samples through their own .numpy().
    assert found == {"numpy": 1 + 5}
    assert found.total() + 2 <= 8
