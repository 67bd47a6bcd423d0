"""Windows of what was heard, and names, as features that can be compared: phone n-grams by place, and letters.

A window is what the phone head heard from the beginning of a word of the first pass to the end of it or of one of the
next three, and what the first pass wrote there. Its features are hashed:

    pairs of phones, and pairs with one phone between them
    triples of kinds of phones (stops of the lips, front vowels, ...), which a phone misheard for a similar one leaves
    triples of letters of what was written, without spaces

each with ends marked, weighted by (1 + exp(-place / DECAY)) / 2, so that the beginning counts more, and by how rare it
is among background names (TF-IDF; Salton and Buckley 1988). The phones are scaled to length 1, the letters to LETTERS.
"""

import dataclasses

import numpy as np
import numpy.typing as npt

from pipeline.compiled import array_kernel
from pipeline.lexicon.phones import PHONES
from pipeline.types.emissions import Emissions
from pipeline.types.tokens import WORD_START, Tokens

_BITS = 13
SIZE = 2 << _BITS
"""Features; the first half are of phones, the second of letters."""
WORDS = 4
"""Most words of a window."""
_LEAST, _MOST = 2, 30  # phones of a window
_DECAY = 6.0  # places in which the weight of the beginning falls to a third
_EARLY = 1.0  # phone frames by which a word's first phone may come before its first subword
_KINDS = ("P B", "T D", "K G", "F V TH DH", "S Z SH ZH CH JH", "M N NG", "L R", "W Y HH", "IY IH EY EH", "AE AH AA AO",
          "OW UH UW", "AY AW OY ER")  # fmt: skip

Floats = npt.NDArray[np.float32]
Bytes = npt.NDArray[np.uint8]
Ints = npt.NDArray[np.int32]

_BEGIN, _END = np.uint32(40), np.uint32(41)  # beside the 39 phones
_BEGIN_KIND, _END_KIND = np.uint32(13), np.uint32(14)  # beside the kinds
KINDS = np.array([next(at for at, kind in enumerate(_KINDS) if phone in kind.split()) for phone in PHONES], np.uint8)
"""[39] the kind of each phone."""
PLACES = ((1 + np.exp(-np.arange(64) / _DECAY)) / 2).astype(np.float32)
"""Weight of each place; of what lies further the last."""
LETTERS = np.float32(0.5)
"""Length of the features of letters beside those of phones, which have 1."""


@dataclasses.dataclass(frozen=True)
class Windows:
    """W windows: window w is phones[starts[w] : ends[w]] and letters[letter_starts[w] : letter_ends[w]]."""

    phones: Bytes
    starts: Ints
    ends: Ints
    letters: npt.NDArray[np.uint16]
    letter_starts: Ints
    letter_ends: Ints

    def __len__(self) -> int:
        return len(self.starts)


def heard_windows(heard: Emissions, tokens: Tokens) -> Windows:
    """Return the windows of an utterance; none without phones."""
    phones, edges, words = heard_words(heard, tokens)
    letters = [letters_of(word) for word in words]
    letter_edges = np.concatenate([[0], np.cumsum([len(one) for one in letters])]).astype(np.int64)
    pairs = [(a, b) for a in range(len(words)) for b in range(a + 1, min(len(words), a + WORDS) + 1)]
    kept = [(a, b) for a, b in pairs if _LEAST <= edges[b] - edges[a] <= _MOST]
    a, b = np.array(kept, np.int64).reshape(-1, 2).T
    return Windows(
        phones,
        edges[a].astype(np.int32),
        edges[b].astype(np.int32),
        np.concatenate([np.zeros(0, np.uint16), *letters]),
        letter_edges[a].astype(np.int32),
        letter_edges[b].astype(np.int32),
    )


def heard_words(heard: Emissions, tokens: Tokens) -> tuple[Bytes, npt.NDArray[np.int64], list[str]]:
    """Return the phones that were heard and the words of the first pass; word w has phones[edges[w] : edges[w + 1]]."""
    phones, frames = heard_phones(heard)
    words, begins = _words(heard, tokens)
    first = np.searchsorted(frames, np.array(begins) * heard.phone_rate - _EARLY)
    edges = np.append(first, len(phones)).astype(np.int64)
    edges[0] = 0
    return phones, edges, words


def heard_phones(heard: Emissions) -> tuple[Bytes, npt.NDArray[np.int64]]:
    """Return the best phone of each run of frames with one, as indices into PHONES, and the frame it begins in."""
    if heard.phone_log_probs is None or not len(heard.phone_log_probs):
        return np.zeros(0, np.uint8), np.zeros(0, np.int64)
    best = heard.phone_log_probs.argmax(1)
    frames = np.flatnonzero((np.diff(best, prepend=0) != 0) & (best > 0))
    return (best[frames] - 1).astype(np.uint8), frames


def _words(heard: Emissions, tokens: Tokens) -> tuple[list[str], list[int]]:
    """Return the words that the first pass writes by itself, and the frame in which each begins."""
    best = heard.tokens.ids[:, 0].astype(np.int64)
    words, begins = list[str](), list[int]()
    for frame in np.flatnonzero(np.diff(best, prepend=-1) != 0).tolist():
        piece = tokens.pieces[best[frame]]
        if not piece:
            continue
        if piece.startswith(WORD_START) or not words:
            words.append("")
            begins.append(frame)
        words[-1] += piece.replace(WORD_START, "")
    return words, begins


def letters_of(text: str) -> npt.NDArray[np.uint16]:
    """Return the letters of a text as numbers, spaces left out."""
    codes = np.frombuffer(text.replace(" ", "").encode("utf-32-le"), np.uint32)
    return (codes & 0xFFFF).astype(np.uint16)


@array_kernel
def _hashed(code):  # type: ignore[no-untyped-def]
    """Fibonacci hashing to half of the features (Knuth 1973, 6.4)."""
    return np.uint32(np.uint32(code * np.uint32(2654435761)) >> np.uint32(32 - _BITS))


@array_kernel
def features_at(phones, begin, at, size, kinds):  # type: ignore[no-untyped-def]
    """The three features at one place, -1 for before the first, of the phones from ``begin``; the last place has one.

    Returns (how many, pair, pair with one between, kinds).
    """
    one = _BEGIN if at < 0 else np.uint32(phones[begin + at])
    two = _END if at + 1 >= size else np.uint32(phones[begin + at + 1])
    pair = _hashed(one * np.uint32(64) + two + np.uint32(1 << 14))
    if at + 1 >= size:
        return 1, pair, pair, pair
    three = _END if at + 2 >= size else np.uint32(phones[begin + at + 2])
    apart = _hashed(one * np.uint32(64) + three + np.uint32(2 << 14))
    first = _BEGIN_KIND if at < 0 else np.uint32(kinds[one])
    last = _END_KIND if at + 2 >= size else np.uint32(kinds[three])
    code = (first * np.uint32(16) + np.uint32(kinds[two])) * np.uint32(16) + last + np.uint32(3 << 14)
    return 3, pair, apart, _hashed(code)


@array_kernel
def _scale(weights, count, length):  # type: ignore[no-untyped-def]
    total = np.float32(0.0)
    for at in range(count):
        total += weights[at] * weights[at]
    factor = length / np.float32(max(np.sqrt(total), 1e-6))
    for at in range(count):
        weights[at] *= factor


@array_kernel
def phone_features(phones, idf, kinds, places, found, weights):  # type: ignore[no-untyped-def]
    """Write the features of a span of phones and their weights, of length 1 together; return how many there are.

    found, weights: at least 3 * (len(phones) + 1) long; a feature may be there twice
    """
    count, size = 0, len(phones)
    for at in range(-1, size):
        there, pair, apart, kind = features_at(phones, 0, at, size, kinds)
        place = places[min(max(at, 0), len(places) - 1)]
        found[count], weights[count] = pair, place * idf[pair]
        if there > 1:
            found[count + 1], weights[count + 1] = apart, place * idf[apart]
            found[count + 2], weights[count + 2] = kind, place * idf[kind]
        count += there
    _scale(weights, count, np.float32(1.0))
    return count


@array_kernel
def letter_features(letters, idf, places, found, weights, length):  # type: ignore[no-untyped-def]
    """As phone_features for letters, of ``length`` together; found, weights: at least len(letters) + 1 long."""
    count, size = 0, len(letters)
    for at in range(-1, size - 1):
        one = np.uint32(1) if at < 0 else np.uint32(letters[at])
        two = np.uint32(letters[at + 1])
        three = np.uint32(2) if at + 2 >= size else np.uint32(letters[at + 2])
        feature = np.uint32(1 << _BITS) + _hashed((one * np.uint32(31) + two) * np.uint32(1009) + three)
        found[count] = feature
        weights[count] = places[min(max(at, 0), len(places) - 1)] * idf[feature]
        count += 1
    _scale(weights, count, length)
    return count
