"""Text as the base would hear it: phone posteriors and last states put together from segments of real ones.

Real speech is aligned to its words' phones; what the base made of each phone is a segment, right or wrong. A text is
"spoken" by laying segments end to end, each from the same phone between the same neighbours where there are such, and
as often as not the one that followed the last segment in the recording. So the posteriors have the base's own
confusions, doubts and timing, and no audio is made. (Concatenative synthesis, Hunt and Black 1996, of posteriors.)

The last states that are laid with them spell by ear, as the base does with words it never heard: each segment brings
the subwords of the word it comes from. Words that were recorded may be laid whole, spelled as the base spells them.
"""

import collections
import dataclasses
from collections.abc import Iterable, Mapping, Sequence

import numba
import numpy as np
import numpy.typing as npt

from pipeline.errors import InputError
from pipeline.lexicon.alignment import AlignedWord, align_words
from pipeline.lexicon.phones import PHONE_IDS
from pipeline.lexicon.pronunciation import Pronouncer
from pipeline.training.adapter_states import StateRow

PAUSE = len(PHONE_IDS)
"""Number of the pause among the phones; a longer stretch of blanks is a segment of its own."""
_PHONES = PAUSE + 1
_PAUSE_FRAMES = 7  # blanks between two phones from which on they are a pause: 0.28 s
_MARGIN = 2  # frames of a pause that stay with the phones on its sides
_LONGEST_PAUSES = (4, 8, 12, 25)  # frames that the pauses of an utterance last at most when it is laid: 0.16 to 1 s
_FLOOR = -9.0  # nats: no frame may decide an alignment alone
_MISALIGNED = 1.2  # nats per frame above which text and speech do not belong together
_FEW = 3  # segments of a context that are too few to draw from

Ints = npt.NDArray[np.int64]


@dataclasses.dataclass(frozen=True)
class Said:
    """What is to be said, all [N]: ``phones`` numbers (PAUSE for a pause), ``ends`` whether a word ends there,
    ``segments`` the segment to take, -1 where any that fits will do."""

    phones: Ints
    ends: npt.NDArray[np.bool_]
    segments: Ints

    @classmethod
    def of(cls, phones: Sequence[int]) -> "Said":
        """A word or a pause, said with any segments."""
        ends = np.arange(len(phones)) == len(phones) - 1
        return cls(np.array(phones, np.int64), ends, np.full(len(phones), -1, np.int64))

    @classmethod
    def joined(cls, parts: Sequence["Said"]) -> "Said":
        """One after the other."""
        return cls(*(np.concatenate([getattr(part, f.name) for part in parts]) for f in dataclasses.fields(cls)))


def _grouped(keys: Ints, count: int) -> tuple[Ints, Ints]:
    """Return segments by their key: those of key k are order[starts[k] : starts[k + 1]]."""
    order = np.argsort(keys, kind="stable").astype(np.int64)
    return order, np.searchsorted(keys[order], np.arange(count + 1)).astype(np.int64)


class SpokenSegments:
    """Segments of what a base heard, to speak any text with."""

    def __init__(
        self, posteriors: npt.NDArray[np.float16], states: npt.NDArray[np.float16], table: Ints,
        words: Mapping[str, Ints],
    ) -> None:  # fmt: skip
        """``posteriors`` [F, P] and ``states`` [F, D] of all frames; ``words`` the segments that are first in each.

        ``table`` [S, 4]: phone, first frame, frame after the last, 2 where the recording ends + 1 where a word does, in
        the order of the recordings. Raises InputError if a phone has no segment.
        """
        self._posteriors, self._states = posteriors, states
        self._words = words
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
    def collect(cls, rows: Iterable[StateRow], pronouncer: Pronouncer) -> "SpokenSegments":
        """Cut recordings into segments; what cannot be aligned is left out. Raises InputError if nothing is left."""
        posteriors, states, tables, words = [], [], [], collections.defaultdict[str, list[int]](list)
        frames = count = 0
        for row in rows:
            if row.phones is None:
                raise InputError("the base has no phone head; the spelling branch reads phones.")
            texts = row.text.split()
            values = np.maximum(row.phones.astype(np.float32), _FLOOR)
            aligned = align_words(values, [pronouncer.pronounce(text) for text in texts])
            if not any(word.phones for word in aligned.words) or aligned.cost > _MISALIGNED * len(values):
                continue
            table = _segments(aligned.words, len(values))
            said = [text for text, word in zip(texts, aligned.words, strict=True) if word.phones]
            for text, first in zip(said, _first_segments(table), strict=True):
                words[text].append(count + first)
            tables.append(table + np.array([0, frames, frames, 0]))
            posteriors.append(np.exp(row.phones.astype(np.float32)).astype(np.float16))
            states.append(row.states[-1])
            frames, count = frames + len(values), count + len(table)
        if not tables:
            raise InputError("nothing to speak with: no row has speech that can be aligned with its text.")
        starts = {word: np.array(found) for word, found in words.items()}
        return cls(np.concatenate(posteriors), np.concatenate(states), np.concatenate(tables), starts)

    def recorded(self, word: str, generator: np.random.Generator) -> Said | None:
        """Return a word as it was said once, None if it never was."""
        found = self._words.get(word)
        if found is None:
            return None
        first = last = int(found[generator.integers(len(found))])
        while not self._word_end[last]:
            last += 1
        segments = np.arange(first, last + 1)
        return Said(self._phone[segments], self._word_end[segments], segments)

    def say(
        self, said: Said, generator: np.random.Generator, run_on: float = 0.8
    ) -> tuple[npt.NDArray[np.float16], npt.NDArray[np.float16]]:
        """Return the posteriors [T, P] and last states [T, D] of a text.

        ``run_on``: how often the next segment of a recording is taken if it fits.
        """
        table = (self._phone, self._right, self._next, self._word_end)
        chosen = _choose(said.segments, said.phones, said.ends, table, self._groups, generator, run_on)
        frames = _lay(chosen, self._start, self._end, self._phone, int(generator.choice(_LONGEST_PAUSES)))
        return self._posteriors[frames], self._states[frames]


def _first_segments(table: Ints) -> list[int]:
    """Return the segment that each word begins with."""
    spoken = np.flatnonzero(table[:, 0] != PAUSE)
    begins = [True, *(table[spoken[:-1], 3] % 2 == 1)]
    return [int(segment) for segment, begin in zip(spoken, begins, strict=True) if begin]


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
def _choose(given, phones, ends, table, groups, generator, run_on):  # type: ignore[no-untyped-def]
    """Return the segment of every phone [N]."""
    phone, right, following, word_end = table
    (both, both_at), (lefts, left_at), (rights, right_at), (ones, one_at) = groups
    count, before = len(phones), -1
    out = np.empty(count, np.int64)
    for at in range(count):
        here = phones[at]
        left = phones[at - 1] if at > 0 else PAUSE
        after = phones[at + 1] if at + 1 < count else PAUSE
        chosen = given[at]
        if chosen < 0 and before >= 0 and following[before] >= 0:
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
def _lay(chosen, start, end, phone, longest_pause):  # type: ignore[no-untyped-def]
    """Return the numbers of the segments' frames, one segment after the other [T]."""
    frames, total = np.empty(np.sum(end[chosen] - start[chosen]), np.int64), 0
    for segment in chosen:
        length = end[segment] - start[segment]
        if phone[segment] == PAUSE:
            length = min(length, longest_pause)
        for frame in range(length):
            frames[total] = start[segment] + frame
            total += 1
    return frames[:total]
