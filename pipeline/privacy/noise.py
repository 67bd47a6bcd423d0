"""Where chance comes from: a keyed hash of all that a draw depends on.

Equal inputs give equal noise, so that releasing the same rows again tells nothing new. Anything that differs, be it the
mechanism, epsilon, the text or the word itself, gives noise that is independent to everyone without the key.
"""

import base64
import binascii
import hashlib
import hmac
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from pipeline.errors import ConfigError

VARIABLE = "ROLLCALL_PRIVACY_KEY"
_LEAST_BYTES = 16
Bits = npt.NDArray[np.uint64]
"""[n, 4]: 256 bits a draw."""


def read_key(path: str | None) -> bytes:
    """Return the key, base64 in a file or else in the environment; raises ConfigError, whose message never has it."""
    if path is not None:
        try:
            text = Path(path).read_text(encoding="ascii")
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(f"--key {path}: cannot be read as text ({type(error).__name__}).") from None
        where = f"--key {path}"
    else:
        text, where = os.environ.get(VARIABLE, ""), VARIABLE
    if not text.strip():
        raise ConfigError(
            f"a private export needs a key: --key FILE or {VARIABLE}, base64 of {_LEAST_BYTES} bytes or more, such as "
            "`head -c 32 /dev/urandom | base64` prints. Keep it: without it nothing can be exported consistently again."
        )
    try:
        key = base64.b64decode("".join(text.split()), validate=True)
    except binascii.Error:
        raise ConfigError(f"{where}: is not base64.") from None
    if len(key) < _LEAST_BYTES:
        raise ConfigError(f"{where}: holds {len(key)} bytes; needed are {_LEAST_BYTES} or more.")
    return key


class Keyed:
    """A pseudorandom function of texts, under one key and for one purpose; purposes are independent of each other."""

    def __init__(self, key: bytes, *purpose: str) -> None:
        self._state = hmac.new(key, digestmod="sha256")
        self._state.update(packed(purpose))

    def digest(self, *parts: str) -> bytes:
        """Return 32 bytes; texts are packed so that no two sequences of texts are one."""
        state = self._state.copy()
        state.update(packed(parts))
        return state.digest()

    def name(self, *parts: str) -> str:
        """Return a pseudonym of 16 hex digits."""
        return self.digest(*parts).hex()[:16]

    def below(self, limit: int, *parts: str) -> int:
        """Return a whole number below ``limit``, uniform to within limit / 2**256."""
        return int.from_bytes(self.digest(*parts), "big") % limit

    def bits(self, utterance_id: str, text: str, positions: Sequence[int], words: Sequence[str]) -> Bits:
        """Return the noise of the words at these positions of an utterance whose whole text is ``text``.

        With the whole text in it, a second text of the same utterance does not show which of its words are new.
        """
        utterance = self._state.copy()
        utterance.update(packed((utterance_id, text)))
        digests = []
        for at, word in zip(positions, words, strict=True):
            state = utterance.copy()
            state.update(packed((str(at), word)))
            digests.append(state.digest())
        return np.frombuffer(b"".join(digests), np.uint64).reshape(-1, 4)


def packed(parts: Sequence[str]) -> bytes:
    """Return texts as bytes from which they could be read back: each with its length before it."""
    return "".join([f"{len(part)}:{part}," for part in parts]).encode(errors="surrogatepass")


def uniform(high: npt.NDArray[np.uint64], low: npt.NDArray[np.uint64]) -> npt.NDArray[np.float64]:
    """Return numbers above 0 and up to 1 of 128 bits each, rounded to float64.

    Small ones keep all 53 digits down to 2**-75, unlike those that divide 53 bits: what is as rare as that is drawn as
    rarely as it should be.
    """
    return (high.astype(np.float64) + (low.astype(np.float64) + 0.5) * 2.0**-64) * 2.0**-64


def stream(bits: Bits, count: int) -> npt.NDArray[np.float64]:
    """Return ``count`` numbers between 0 and 1 [n, count] for each draw, from SHAKE-256 of its bits."""
    data = b"".join(hashlib.shake_256(row.tobytes()).digest(8 * count) for row in bits)
    return (np.frombuffer(data, np.uint64).reshape(len(bits), count).astype(np.float64) + 0.5) * 2.0**-64
