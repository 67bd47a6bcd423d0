"""Text as the phone head would hear it: phone posteriors put together from segments of real ones.

Real speech is aligned to its words' phones; what the head wrote over each phone is a segment, right or wrong. A text
is "spoken" by laying segments end to end, each from the same phone between the same neighbours where there are such,
and as often as not the one that followed the last segment in the recording. So the posteriors have the head's own
confusions, doubts and timing, and no audio is made. (Concatenative synthesis, Hunt and Black 1996, of posteriors.)
"""

import dataclasses
from collections.abc import Iterable, Sequence

import numba
import numpy as np
import numpy.typing as npt

from pipeline.errors import InputError
from pipeline.phonetics.alignment import AlignedWord, align_words
from pipeline.phonetics.phones import PHONE_IDS
from pipeline.phonetics.pronunciation import Pronouncer

PAUSE = len(PHONE_IDS)
"""Number of the pause among the phones; a longer stretch of blanks is a segment of its own."""
_PHONES = PAUSE + 1
_PAUSE_FRAMES = 7  # blanks between two phones from which on they are a pause: 0.28 s
_MARGIN = 2  # frames of a pause that stay with the phones on its sides
_LONGEST_PAUSE = 25  # frames that a pause lasts at most when it is laid: 1 s
_FLOOR = -9.0  # nats: no frame may decide an alignment alone
_MISALIGNED = 1.2  # nats per frame above which text and speech do not belong together
_FEW = 3  # segments of a context that are too few to draw from

Ints = npt.NDArray[np.int64]


@dataclasses.dataclass(frozen=True)
class Said:
    """A text to speak: ``phones`` [N] numbers (PAUSE for a pause), ``ends`` [N] whether a word ends there."""

    phones: Ints
    ends: npt.NDArray[np.bool_]


def _grouped(keys: Ints, count: int) -> tuple[Ints, Ints]:
    """Return segments by their key: those of key k are order[starts[k] : starts[k + 1]]."""
    order = np.argsort(keys, kind="stable").astype(np.int64)
    return order, np.searchsorted(keys[order], np.arange(count + 1)).astype(np.int64)


class PhoneSegments:
    """Segments of real phone posteriors, to speak any text with."""

    def __init__(self, posteriors: npt.NDArray[np.float16], table: npt.NDArray[np.int64]) -> None:
        """``posteriors`` [F, P]; ``table`` [S, 4]: phone, first frame, frame after the last, 2 where the recording
        ends + 1 where a word does, in the order of the recordings. Raises InputError if a phone has no segment."""
        self._frames = np.ascontiguousarray(posteriors).view(np.uint16)  # numba knows no float16
        self._phone, self._start, self._end, flags = (np.ascontiguousarray(column) for column in table.T)
        self._word_end, last = flags % 2 == 1, flags >= 2
        missing = sorted(set(range(_PHONES)) - set(self._phone.tolist()))
        if missing:
            names = [*PHONE_IDS, "a pause"]
            raise InputError(f"nothing to speak {[names[k] for k in missing]} with; more transcribed speech is needed.")
        numbers = np.arange(len(self._phone))
        self._next = np.where(last, -1, numbers + 1)
        left = np.where(np.roll(last, 1), PAUSE, np.roll(self._phone, 1))
        right = np.where(last, PAUSE, np.roll(self._phone, -1))
        self._right = right
        both = (left * _PHONES + self._phone) * _PHONES + right
        self._groups = (
            _grouped(both, _PHONES**3),
            _grouped(left * _PHONES + self._phone, _PHONES**2),
            _grouped(self._phone * _PHONES + right, _PHONES**2),
            _grouped(self._phone, _PHONES),
        )

    def __len__(self) -> int:
        return len(self._phone)

    @classmethod
    def collect(cls, heard: Iterable[tuple[npt.NDArray[np.float16], str]], pronouncer: Pronouncer) -> "PhoneSegments":
        """Cut recordings, each [T, P] log-probs and its words, into segments. What cannot be aligned is left out."""
        posteriors, tables, begin = [np.zeros((0, _PHONES), np.float16)], [np.zeros((0, 4), np.int64)], 0
        for log_probs, text in heard:
            values = np.maximum(log_probs.astype(np.float32), _FLOOR)
            aligned = align_words(values, [pronouncer.pronounce(word) for word in text.split()])
            if len(values) and aligned.cost <= _MISALIGNED * len(values) and any(w.phones for w in aligned.words):
                tables.append(_segments(aligned.words, len(values)) + np.array([0, begin, begin, 0]))
                posteriors.append(np.exp(log_probs.astype(np.float32)).astype(np.float16))
                begin += len(values)
        return cls(np.concatenate(posteriors), np.concatenate(tables))

    def say(self, said: Said, generator: np.random.Generator, run_on: float = 0.8) -> npt.NDArray[np.float16]:
        """Return [T, P] posteriors of a text; ``run_on``: how often the next segment of a recording is taken if it
        fits."""
        table = (self._phone, self._right, self._next, self._word_end)
        chosen = _choose(said.phones, said.ends, table, self._groups, generator, run_on)
        laid: npt.NDArray[np.uint16] = _lay(chosen, self._start, self._end, self._phone, self._frames)
        return laid.view(np.float16)


def _segments(words: Sequence[AlignedWord], frames: int) -> Ints:
    """Return [S, 4] phone, first frame, frame after the last, flags, of one recording."""
    phones = [
        (PHONE_IDS[phone.phone], phone.start_frame, phone.end_frame, int(phone is word.phones[-1]))
        for word in words
        for phone in word.phones
    ]
    rows, begin = [], 0
    if phones[0][1] >= _PAUSE_FRAMES:
        begin = phones[0][1] - _MARGIN
        rows.append((PAUSE, 0, begin, 1))
    for number, (phone, _, end, word_end) in enumerate(phones):
        is_last = number + 1 == len(phones)
        following = frames if is_last else phones[number + 1][1]
        if following - end >= _PAUSE_FRAMES:
            rows.append((phone, begin, end + _MARGIN, word_end))
            begin = frames if is_last else following - _MARGIN
            rows.append((PAUSE, end + _MARGIN, begin, 1))
        else:
            cut = frames if is_last else end + (following - end + 1) // 2
            rows.append((phone, begin, cut, word_end))
            begin = cut
    table = np.array(rows, np.int64)
    table[-1, 3] += 2
    return table


@numba.njit(cache=True)
def _draw(generator, order, starts, key, word_end, wanted, tries):  # type: ignore[no-untyped-def]
    """Return a random segment of ``key``, one that ends a word if that is ``wanted`` within some tries; -1 for few."""
    first, after = starts[key], starts[key + 1]
    if after - first < _FEW:
        return -1
    for _ in range(tries):
        chosen = order[first + generator.integers(0, after - first)]
        if word_end[chosen] == wanted:
            break
    return chosen


@numba.njit(cache=True)
def _choose(phones, ends, table, groups, generator, run_on):  # type: ignore[no-untyped-def]
    """Return the segment of every phone [N]."""
    phone, right, following, word_end = table
    (both, both_at), (lefts, left_at), (rights, right_at), (ones, one_at) = groups
    count, before = len(phones), -1
    out = np.empty(count, np.int64)
    for at in range(count):
        here = phones[at]
        left = phones[at - 1] if at > 0 else PAUSE
        after = phones[at + 1] if at + 1 < count else PAUSE
        chosen = -1
        if before >= 0 and following[before] >= 0:
            candidate = following[before]
            fits = phone[candidate] == here and word_end[candidate] == ends[at]
            # Three in ten run on although what follows differs: coarticulation differs between speakers as well.
            if fits and (right[candidate] == after or generator.random() < 0.3) and generator.random() < run_on:
                chosen = candidate
        if chosen < 0 and generator.random() < 0.9:
            chosen = _draw(generator, both, both_at, (left * _PHONES + here) * _PHONES + after, word_end, ends[at], 4)
        if chosen < 0 and generator.random() < 0.5:
            chosen = _draw(generator, lefts, left_at, left * _PHONES + here, word_end, ends[at], 6)
        if chosen < 0:
            chosen = _draw(generator, rights, right_at, here * _PHONES + after, word_end, ends[at], 6)
        if chosen < 0:
            chosen = ones[one_at[here] + generator.integers(0, one_at[here + 1] - one_at[here])]
        out[at] = before = chosen
    return out


@numba.njit(cache=True)
def _lay(chosen, start, end, phone, frames):  # type: ignore[no-untyped-def]
    """Return the segments' frames one after the other [T, P]."""
    total = 0
    for segment in chosen:
        length = end[segment] - start[segment]
        total += min(length, _LONGEST_PAUSE) if phone[segment] == PAUSE else length
    out, at = np.empty((total, frames.shape[1]), np.uint16), 0
    for segment in chosen:
        length = end[segment] - start[segment]
        if phone[segment] == PAUSE:
            length = min(length, _LONGEST_PAUSE)
        for frame in range(length):
            out[at] = frames[start[segment] + frame]
            at += 1
    return out
