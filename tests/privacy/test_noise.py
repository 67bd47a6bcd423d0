"""The keyed noise: the same for the same, independent for anything else."""

import base64
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from pipeline.errors import ConfigError
from pipeline.privacy.config import PrivacyConfig
from pipeline.privacy.embeddings import Embeddings
from pipeline.privacy.mechanisms import build
from pipeline.privacy.noise import Keyed, read_key, uniform

THREE = Embeddings(("a", "b", "c"), np.array([[0, 9], [9, 0], [9, 9]], np.int8), 0.1, np.zeros(3, np.int32))
TRIES = 30_000


def drawn(epsilon: float, word: int, text: str = "the text", shared: bool = False) -> np.ndarray:
    """What comes out for a word under many keys, each of its own utterance."""
    purpose = PrivacyConfig(epsilon=9.0 if shared else epsilon).parameters
    noise = Keyed(b"k" * 32, purpose)
    bits = np.concatenate([noise.bits(f"u{at}", text, [0], [THREE.words[word]]) for at in range(TRIES)])
    return build(PrivacyConfig(epsilon=epsilon), THREE).draw(np.full(TRIES, word, np.int32), bits)


def joint_loss(first: list[np.ndarray], second: list[np.ndarray]) -> float:
    """The largest loss of two releases together, as counted."""
    counts = [Counter(zip(a.tolist(), b.tolist(), strict=True)) for a, b in zip(first, second, strict=True)]
    cells = [(x, y) for x in range(3) for y in range(3)]
    tables = np.array([[count[cell] + 1e-9 for cell in cells] for count in counts])
    return float(np.log(tables.max(axis=0) / tables.min(axis=0)).max())


def test_two_epsilons_tell_no_more_than_their_sum() -> None:
    first, second = ([drawn(epsilon, word) for word in range(3)] for epsilon in (1.0, 1.5))
    assert joint_loss(first, second) <= 2.5 + 0.15
    first, second = ([drawn(epsilon, word, shared=True) for word in range(3)] for epsilon in (1.0, 1.5))
    assert joint_loss(first, second) > 5, "one uniform draw for both would give the word away"


def test_two_texts_tell_no_more_than_the_sum() -> None:
    first, second = ([drawn(1.0, word, text) for word in range(3)] for text in ("one", "two"))
    assert joint_loss(first, second) <= 2.0 + 0.15
    again = [drawn(1.0, word, "one") for word in range(3)]
    assert all((a == b).all() for a, b in zip(first, again, strict=True)), "the same text tells nothing new"


def test_noise_depends_on_everything_that_it_should() -> None:
    base = (("p", "q"), "u", "text", [0, 1], ["a", "b"])

    def bits(purpose: tuple[str, ...], *rest: object, key: bytes = b"k" * 32) -> bytes:
        return Keyed(key, *purpose).bits(*rest).tobytes()  # type: ignore[arg-type]

    others = [
        (("p", "r"), *base[1:]),
        (("pq",), *base[1:]),
        (base[0], "v", *base[2:]),
        (base[0], "u", "other", *base[3:]),
        (*base[:3], [1, 0], base[4]),
        (*base[:4], ["a", "c"]),
    ]
    assert bits(*base) == bits(*base)
    assert len({bits(*one) for one in [base, *others]} | {bits(*base, key=b"l" * 32)}) == len(others) + 2


def test_small_numbers_keep_their_digits() -> None:
    high, low = np.array([0, 0, 2**64 - 1], np.uint64), np.array([0, 2**63, 2**64 - 1], np.uint64)
    numbers = uniform(high, low)
    assert 0 < numbers[0] < 2.0**-128
    assert numbers[1] == pytest.approx(2.0**-65)
    assert numbers[2] <= 1.0


def test_the_key_is_read_and_never_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ROLLCALL_PRIVACY_KEY", raising=False)
    with pytest.raises(ConfigError, match="needs a key"):
        read_key(None)
    monkeypatch.setenv("ROLLCALL_PRIVACY_KEY", base64.b64encode(bytes(range(32))).decode())
    assert read_key(None) == bytes(range(32))
    file = tmp_path / "key"
    for text in ("c2hvcnQ=", "n o t!base64"):
        file.write_text(text)
        with pytest.raises(ConfigError) as caught:
            read_key(str(file))
        assert text not in str(caught.value)
