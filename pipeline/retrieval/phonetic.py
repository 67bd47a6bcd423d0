"""The strategy ``phonetic``: entities are plausible by the phones that the first pass heard, and by nothing else.

An entity is found if and only if one of its pronunciations p_1..p_m lies somewhere in the audio at

    cost(p) <= min(per_phone * (m - spare), most)

The audio is cut into slots: maximal runs of frames with the same best phone, and the runs of blanks in which some
phone comes within ``clip`` nats of the blank. gap_s(q) is by how much phone q stays below the best symbol in the best
frame for it of slot s, at most ``clip``; confused(q, r) = ``confusion`` * articulatory distance (0 to 1) is what
hearing r for q costs at least, so

    g_s(q) = min over r of (gap_s(r) + confused(q, r)), at most clip.

cost(p) is the cheapest way to lay the phones in their order over slots, beginning and ending anywhere: g_s(p_i) for
each, ``drop`` for a phone that takes no slot, and for each of at most three slots left out between two phones what
the blank lacks there, at most ``insert``.

Membership is a property of the entity and the audio, never of the other entities: two lists with the same shortlist
for an utterance give the same transcript, and whoever knows an utterance's phones knows which list changes can touch
it. Where there is no phone head every entity passes.

Lists may have a million entities, so nothing is laid that cannot come in. A pronunciation is made of blocks of a few
phones (pipeline.retrieval.sound_index), and no block costs less in it than it costs alone, wherever in the audio that
is cheapest. So first the halves of blocks are laid, forwards and backwards from their middle; both together give the
least cost of every block; pronunciations whose blocks cost more together than their limit are out; and only the
others are laid phone by phone. What is left out could not have come in: the bounds only save time.
"""

import copy
import dataclasses
import functools
from typing import Self

import numba
import numpy as np
import numpy.typing as npt

from pipeline.config import RunConfig, ShortlistConfig
from pipeline.entities.catalog import Catalog
from pipeline.lexicon.phones import ARPABET
from pipeline.lexicon.pronunciation import Pronouncer
from pipeline.retrieval.catalog import open_sound
from pipeline.retrieval.kept import Kept
from pipeline.retrieval.sound_index import WIDTH, SoundIndex, build_index, encode
from pipeline.retrieval.strategy import DEFAULT, Strategy
from pipeline.types.emissions import Emissions
from pipeline.types.entity import Entity, EntityList
from pipeline.types.tokens import Tokens

_LEVELS = (0.6, 0.8, 1.0, 1.2)
"""Share of the limit that a pronunciation may cost at each level (Strategy.at)."""
_ROUNDING = np.float32(1e-3)  # so that what is left out early would not have come in
_ANY_COST = 1000.0  # nats; more than any name costs
_PER_NAT = np.float32(10.0)  # steps in which the costs of blocks are counted, rounded down
_MOST = np.float32(127.0)  # steps that are counted for half a block, so that a byte holds those of a whole one


Slots = tuple[npt.NDArray[np.float32], npt.NDArray[np.float32], float]
"""Of Phonetic.slots."""


@dataclasses.dataclass(frozen=True)
class Fitting:
    """The entities of a list that fit an utterance.

    pronunciations, costs: [F] those of the index that are within their limit, ascending, and their costs in nats
    entities: ascending; those without any pronunciation always pass
    """

    pronunciations: npt.NDArray[np.int32]
    costs: npt.NDArray[np.float32]
    entities: npt.NDArray[np.int32]

    def per_phone(self, index: SoundIndex) -> npt.NDArray[np.float32]:
        """[N] nats per phone at which each entity fits by its best pronunciation; infinite where it does not."""
        fit = np.full(index.entities, np.inf, np.float32)
        which, owners = index.owned(self.pronunciations)
        np.minimum.at(fit, owners, (self.costs / index.lengths[self.pronunciations])[which])
        return fit


class Phonetic(Strategy):
    """Loaded once per worker, for all its threads; deterministic. ``matching`` is a pure function of its arguments."""

    name = "phonetic"
    part = "shortlist"
    pointwise = True

    def __init__(
        self, config: ShortlistConfig, pronouncer: Pronouncer, keep: int = 256, most: int | None = None
    ) -> None:
        """``keep``: compiled lists that are remembered; ``most``: entities of a list, above which others select."""
        self._config, self._pronouncer, self._most = config, pronouncer, most
        self._size: int | None = None
        self._said: dict[str, tuple[Entity, bytes]] = {}
        self._compiled = Kept[SoundIndex](keep)
        self._units = pronouncer.units
        self._confused = (self._units.substitutions * np.float32(config.confusion)).astype(np.float32)

    @classmethod
    def build(cls, config: RunConfig, pronouncer: Pronouncer, tokens: Tokens) -> Self:
        """Return the strategy; a cut, if there is one, is what selects of large lists."""
        assert config.shortlist is not None
        return cls(config.shortlist, pronouncer, most=None if config.cut is None else config.cut.above)

    def sized(self, size: int) -> "Phonetic":
        sized = copy.copy(self)
        sized._size = size
        return sized

    def at(self, level: int) -> "Phonetic":
        if level == DEFAULT:
            return self
        other, share = copy.copy(self), _LEVELS[level - 1]
        limits = {"per_phone": share * self._config.per_phone, "most": share * self._config.most}
        other._config = dataclasses.replace(self._config, **limits)
        return other

    def can_say(self, heard: Emissions, size: int) -> bool:
        return heard.phone_log_probs is not None and not self.kind_of_size(self._size or size)

    def limits(self, longest: int) -> npt.NDArray[np.float32]:
        """[longest + 1] the most that a pronunciation of so many phones may cost, in nats."""
        return _limits(self._config, longest)

    def kind_of_size(self, size: int) -> int:
        return int(self._most is not None and size > self._most)

    def select(self, heard: Emissions, entities: EntityList) -> npt.NDArray[np.int32] | None:
        """Return the indices, ascending, of the entities that fit; None without a phone head, and of large lists."""
        if heard.phone_log_probs is None or not self.can_say(heard, len(entities)):
            return None
        return self.matching(heard.phone_log_probs, self.compile(entities)).entities

    def reason(self, heard: Emissions, entity: Entity, size: int) -> str | None:
        if heard.phone_log_probs is None or self.kind_of_size(size):
            return None
        wide = dataclasses.replace(self._config, per_phone=self._config.drop, spare=0.0, most=_ANY_COST)
        index = build_index(self.pronounce(EntityList((entity,))))
        found = Phonetic(wide, self._pronouncer, keep=1).matching(heard.phone_log_probs, index)
        if not len(found.costs):
            return "nothing is known of its sound"
        limits = _limits(self._config, index.longest)[index.lengths[found.pronunciations]]
        best = int(np.argmin(found.costs - limits))
        return f"its phones cost {found.costs[best]:.1f} nats, at most {max(0.0, limits[best]):.1f} are allowed"

    def matching(self, phone_log_probs: npt.NDArray[np.float16], index: SoundIndex) -> Fitting:
        """Return what fits; see the module's text for the formula.

        phone_log_probs: [T, 40] in nats, column 0 the blank
        """
        found, costs = self._within(phone_log_probs, index)
        passed = np.zeros(index.entities, np.bool_)
        passed[index.silent] = True
        _pass_owners(found, index.owners, index.owner_starts, passed)
        return Fitting(found, costs, np.flatnonzero(passed).astype(np.int32))

    def laid(self, slots: Slots, index: SoundIndex, pronunciations: npt.NDArray[np.int32]) -> Fitting:
        """Return what of some ``pronunciations``, ascending, fits, as ``matching`` would say of them; ``slots``: of
        ``slots``."""
        limits = self.limits(index.longest)[index.lengths[pronunciations]]
        found, costs = self.within(slots, index, pronunciations, limits)
        _, owners = index.owned(found)
        return Fitting(found, costs, np.union1d(owners, index.silent).astype(np.int32))

    def within(
        self, slots: Slots, index: SoundIndex, pronunciations: npt.NDArray[np.int32], limits: npt.NDArray[np.float32]
    ) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.float32]]:
        """Return those of ``pronunciations`` [P], ascending, that cost no more than ``limits`` [P], and their costs."""
        gaps, skips, drop = slots
        laid: tuple[npt.NDArray[np.int32], npt.NDArray[np.float32]] = _laid(
            pronunciations, index.phones, index.starts, gaps, skips, limits, index.longest, np.float32(drop)
        )
        return laid

    def slots(self, phone_log_probs: npt.NDArray[np.float16]) -> Slots:
        """Return (g [phones, S], what each slot costs that is left out [S], ``drop``), in nats; S is padded.

        In what is padded g is far more than any name costs, and at least the last slot is.
        """
        clip, insert = np.float32(self._config.clip), np.float32(self._config.insert)
        gaps, skips, _, _ = _slots(phone_log_probs.astype(np.float32), self._confused, clip, insert)
        return gaps, skips, self._config.drop

    def through(
        self,
        phone_log_probs: npt.NDArray[np.float16],
        index: SoundIndex,
        pronunciations: npt.NDArray[np.int32],
        begins: npt.NDArray[np.int64],
        ends: npt.NDArray[np.int64],
    ) -> npt.NDArray[np.float32]:
        """Return [P] what each pronunciation costs from one frame to another: as ``cost``, but no slot is free.

        begins, ends: [P] half-open phone frames; every slot that has one of them counts. Whatever is heard there and
        is not of the pronunciation is left out at its cost.
        """
        config = self._config
        clip, insert = np.float32(config.clip), np.float32(config.insert)
        slots = _slots(phone_log_probs.astype(np.float32), self._confused, clip, insert)
        spans = pronunciations, begins, ends
        costs: npt.NDArray[np.float32] = _through(spans, index.phones, index.starts, slots, np.float32(config.drop))
        return costs

    def _within(
        self, phone_log_probs: npt.NDArray[np.float16], index: SoundIndex
    ) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.float32]]:
        config, drop = self._config, np.float32(self._config.drop)
        if len(phone_log_probs) == 0 or not index.longest:
            return np.zeros(0, np.int32), np.zeros(0, np.float32)
        log_probs = phone_log_probs.astype(np.float32)
        gaps, skips, _, _ = _slots(log_probs, self._confused, np.float32(config.clip), np.float32(config.insert))
        turned, left_out = _backwards(gaps, skips)
        lefts = _rows(index.left_phones, index.left_lengths, index.left_shared, gaps, skips, drop, True)
        rights = _rows(index.right_phones, index.right_lengths, index.right_shared, turned, left_out, drop, False)
        limits, best = _limits(config, index.longest), cheapest(lefts, rights, index.block_lefts, index.block_rights)
        possible = _affordable(index.parts, index.lengths, best, _in_steps(limits), np.uint32(WIDTH))
        found, costs = _verify(
            possible, index.phones, index.starts, (index.parts, index.part_starts, index.block_rights),
            (best, rights.min(1)), index.right_lengths, gaps, skips, limits, drop,
        )  # fmt: skip
        return found, costs

    def compile(self, entities: EntityList) -> SoundIndex:
        """Return the list's pronunciations as an index, built at most once while the list object is remembered.

        That of a catalog is mapped from its files, where it is one of phones.
        """
        return self._compiled.of(entities, lambda: self._index(entities))

    def _index(self, entities: EntityList) -> SoundIndex:
        mapped = entities if isinstance(entities, Catalog) and self._units is ARPABET else None
        found = None if mapped is None else open_sound(mapped)
        return build_index(self.pronounce(entities)) if found is None else found

    def pronounce(self, entities: EntityList) -> list[bytes]:
        """Return the pronunciations of each entity, encoded for an index; every entity is looked up once."""
        known, said = self._said, []
        for entity in entities.entities:
            # Known by their texts: lists of their own bring entities of their own, and hashing those whole takes longer
            # than all else that is done for most of them.
            kept = known.get(entity.text)
            if kept is None or (kept[0] is not entity and not _said_alike(kept[0], entity)):
                kept = known[entity.text] = entity, encode(self._pronouncer.entity(entity), self._units)
            said.append(kept[1])
        return said


def _said_alike(one: Entity, other: Entity) -> bool:
    shown = one.display_as == other.display_as
    return shown and one.aliases == other.aliases and one.pronunciations == other.pronunciations


@functools.lru_cache(maxsize=64)
def _limits(config: ShortlistConfig, longest: int) -> npt.NDArray[np.float32]:
    """[longest + 1] the most that a pronunciation of so many phones may cost."""
    phones = np.arange(longest + 1, dtype=np.float32)
    return np.minimum(config.per_phone * (phones - config.spare), config.most).astype(np.float32)


def _in_steps(limits: npt.NDArray[np.float32]) -> npt.NDArray[np.int32]:
    """Return the limits in steps, rounded so that nothing within a limit is above it in steps."""
    steps: npt.NDArray[np.int32] = np.floor((limits + _ROUNDING) * _PER_NAT).astype(np.int32)
    return steps


@numba.njit(cache=True, nogil=True)
def _pass_owners(found, owners, starts, passed):  # type: ignore[no-untyped-def]
    """Set passed [N] for the entities that have one of the pronunciations ``found``."""
    for index in found:
        passed[owners[starts[index] : starts[index + 1]]] = True


@numba.njit(cache=True, nogil=True)
def _slots(log_probs, confused, clip, insert):  # type: ignore[no-untyped-def]
    """Return (g [39, S + pad], cost of leaving out each slot [S + pad], first frames and frames after them [S])."""
    frames, phones = log_probs.shape[0], log_probs.shape[1] - 1
    # Phone by slot, as the last loop runs along the slots.
    raw, skip = np.full((phones, frames), clip, np.float32), np.empty(frames, np.float32)
    firsts, after = np.empty(frames, np.int64), np.empty(frames, np.int64)
    size, frame = 0, 0
    while frame < frames:
        best = np.argmax(log_probs[frame])
        firsts[size] = frame
        skip[size] = np.float32(0.0)
        heard = bool(best > 0)
        while frame < frames and np.argmax(log_probs[frame]) == best:
            top = log_probs[frame, best]
            skip[size] = max(skip[size], min(top - log_probs[frame, 0], insert))
            for phone in range(phones):
                gap = top - log_probs[frame, phone + 1]
                if gap < raw[phone, size]:
                    raw[phone, size] = gap
                    heard = True
            frame += 1
        after[size] = frame
        size += 1 if heard else 0
    padded = (size // 16 + 1) * 16
    gaps, skips = np.full((phones, padded), np.float32(1e4), np.float32), np.zeros(padded, np.float32)
    skips[:size] = skip[:size]
    for phone in range(phones):
        gaps[phone, :size] = raw[phone, :size]
        for other in range(phones):
            if confused[phone, other] < clip:
                _lower(gaps[phone, :size], raw[other, :size], confused[phone, other])
    return gaps, skips, firsts[:size], after[:size]


@numba.njit(cache=True, fastmath={"nnan", "ninf", "nsz"})
def _lower(least, gaps, more):  # type: ignore[no-untyped-def]
    """least = min(least, gaps + more), all of the same length."""
    for slot in range(len(least)):
        other = gaps[slot] + more
        least[slot] = other if other < least[slot] else least[slot]


@numba.njit(cache=True, fastmath={"nnan", "ninf", "nsz"})
def _place(lead, depth, gaps, phone, drop, own):  # type: ignore[no-untyped-def]
    """Lay one phone: from lead[depth], the least cost with i slots behind, to ``own``, with the phone the last."""
    size = len(own)
    before, gap = lead[depth], gaps[phone]
    own[0] = before[0] + drop
    for i in range(size - 1):  # no i - 1 here and below: it would keep the loops from becoming vector code
        placed = before[i] + gap[i]
        dropped = before[i + 1] + drop
        own[i + 1] = placed if placed < dropped else dropped


@numba.njit(cache=True)
def _least(bits):  # type: ignore[no-untyped-def]
    """The least of costs, given as their bits: as integers they have the same order, since none is below 0.

    The least of integers is found in vector code, that of floats one after the other.
    """
    low = bits[0]
    for i in range(len(bits)):
        low = bits[i] if bits[i] < low else low
    found = np.int32(low)
    return found.view(np.float32)


@numba.njit(cache=True, fastmath={"nnan", "ninf", "nsz"})
def _leave_out(own, once, skips, lead, depth):  # type: ignore[no-untyped-def]
    """Write lead[depth + 1]: ``own`` with up to three slots left out after the phone. ``once`` is scratch."""
    size, after = len(own), lead[depth + 1]
    once[0] = own[0]
    for i in range(size - 1):
        skipped = own[i] + skips[i]
        once[i + 1] = own[i + 1] if own[i + 1] < skipped else skipped
    after[0], after[1] = once[0], once[1]
    for i in range(size - 2):
        skipped = once[i] + skips[i] + skips[i + 1]
        after[i + 2] = once[i + 2] if once[i + 2] < skipped else skipped


@numba.njit(cache=True, nogil=True)
def _backwards(gaps, skips):  # type: ignore[no-untyped-def]
    """Return slots and costs of leaving them out in the other direction; the last slot, which is none, stays last."""
    last = gaps.shape[1] - 1
    turned, left_out = np.full_like(gaps, np.float32(1e4)), np.zeros_like(skips)
    for slot in range(last):
        left_out[slot] = skips[last - 1 - slot]
    for phone in range(len(gaps)):
        for slot in range(last):
            turned[phone, slot] = gaps[phone, last - 1 - slot]
    return turned, left_out


@numba.njit(cache=True, nogil=True)
def _rows(phones, lengths, shared, gaps, skips, drop, is_left):  # type: ignore[no-untyped-def]
    """[H, slots] what each half costs at least, in steps, with so many slots before the middle of its block.

    Left halves end there, after what is left out. Right halves begin there; they are laid backwards.
    """
    size = gaps.shape[1]
    rows = np.empty((len(lengths), size), np.uint8)
    lead = np.zeros((phones.shape[1] + 1, size), np.float32)
    own, once = np.zeros(size, np.float32), np.empty(size, np.float32)
    for half in range(len(lengths)):
        for depth in range(shared[half], lengths[half]):
            _place(lead, depth, gaps, phones[half, depth], drop, own)
            _leave_out(own, once, skips, lead, depth)
        if is_left:
            _write_steps(lead[lengths[half]], rows[half])
        else:
            _write_steps(own[::-1], rows[half])
    return rows


@numba.njit(cache=True, fastmath={"nnan", "ninf", "nsz"})
def _write_steps(costs, steps):  # type: ignore[no-untyped-def]
    """Write costs in steps, rounded down; what is more than half a byte holds counts for less."""
    for at in range(len(steps)):
        most = costs[at] * _PER_NAT
        steps[at] = np.uint8(np.int32(most if most < _MOST else _MOST))


@numba.njit(cache=True, nogil=True)
def cheapest(lefts, rights, left_of, right_of):  # type: ignore[no-untyped-def]
    """[B] the least steps of each block wherever it lies."""
    best = np.empty(len(left_of), np.uint8)
    for block in range(len(left_of)):
        left, right, low = lefts[left_of[block]], rights[right_of[block]], np.uint8(255)
        for at in range(len(left)):
            both = np.uint8(left[at] + right[at])
            low = both if both < low else low
        best[block] = low
    return best


@numba.njit(cache=True, nogil=True)
def _affordable(parts, lengths, best, limits, width):  # type: ignore[no-untyped-def]
    """Return the pronunciations, ascending, whose blocks do not cost more than their limit together.

    limits: [longest + 1] in steps; width: of a block

    This is the one loop over everything there is. Most pronunciations have one to three blocks, so three are added
    without asking; branches, and indices that could be negative, would take twice the time.
    """
    one, two = np.uint32(1), np.uint32(2)
    found, size, at = np.empty(len(lengths), np.int32), np.uint32(0), np.uint32(0)
    for k in range(np.uint32(len(lengths))):
        count = np.uint32((lengths[k] + width - one) // width)
        total = np.int32(best[parts[at]])
        total += np.int32(best[parts[at + one]]) * np.int32(count > 1)
        total += np.int32(best[parts[at + two]]) * np.int32(count > 2)
        if count > 3:
            for more in range(np.uint32(3), count):
                total += np.int32(best[parts[at + more]])
        at += count
        found[size] = np.int32(k)
        size += np.uint32(total <= limits[lengths[k]])
    return found[:size]


@numba.njit(cache=True, nogil=True)
def _verify(possible, phones, starts, blocks, least, right_lengths, gaps, skips, limits, drop):  # type: ignore[no-untyped-def]
    """Return those of ``possible`` (ascending) that are within their limit, and what they cost.

    Each goes on from the phones that it shares with the one before, as far as those were laid. At the middle and the
    end of a block it is left out if what it costs so far and what the rest costs at least are too much together.
    least: steps of each block, and of each right half
    """
    parts, part_starts, right_of = blocks
    longest, size = len(limits), gaps.shape[1]
    lead = np.zeros((longest + 1, size), np.float32)
    own, once = np.empty(size, np.float32), np.empty(size, np.float32)
    lowest = np.zeros(longest + 1, np.float32)
    found, costs, count = np.empty(len(possible), np.int32), np.empty(len(possible), np.float32), 0
    valid, before = 0, np.int64(0)
    for k in possible:
        begin, length, common = np.int64(starts[k]), starts[k + 1] - starts[k], 0
        while common < min(valid, length) and phones[begin + common] == phones[before + common]:
            common += 1
        rest = 0
        for part in range(part_starts[k], part_starts[k + 1]):
            rest += least[0][parts[part]]
        first, count_of = part_starts[k], part_starts[k + 1] - part_starts[k]
        depth, is_within, valid, before = 0, True, common, begin
        for part in range(count_of):
            right = right_of[parts[first + part]]
            rest -= least[0][parts[first + part]]
            end = length * (part + 1) // count_of
            middle = end - right_lengths[right]
            for stop, ahead in ((middle, rest + least[1][right]), (end, rest)):
                while depth < stop:
                    if depth >= common:
                        _place(lead, depth, gaps, phones[begin + depth], drop, own)
                        _leave_out(own, once, skips, lead, depth)
                        valid, lowest[depth + 1] = depth + 1, np.float32(-1.0)  # not known yet
                    depth += 1
                if lowest[depth] < 0:
                    lowest[depth] = _least(lead[depth].view(np.int32))
                is_within = lowest[depth] + ahead / _PER_NAT <= limits[length] + _ROUNDING
                if not is_within:
                    break
            if not is_within:
                break
        if is_within and lowest[length] <= limits[length]:
            found[count], costs[count] = k, lowest[length]
            count += 1
    return found[:count], costs[:count]


@numba.njit(cache=True, nogil=True)
def _laid(chosen, phones, starts, gaps, skips, limits, longest, drop):  # type: ignore[no-untyped-def]
    """As _verify without anything known beforehand: each goes on from what it shares with the one before, and ends
    where it costs too much. limits: [P] of those that are chosen; longest: the most phones of any"""
    size = gaps.shape[1]
    lead = np.zeros((longest + 1, size), np.float32)
    own, once = np.empty(size, np.float32), np.empty(size, np.float32)
    lowest = np.zeros(longest + 1, np.float32)  # of lead; it never falls with the depth
    found, costs, count = np.empty(len(chosen), np.int32), np.empty(len(chosen), np.float32), 0
    valid, before = 0, np.int64(0)
    for at in range(len(chosen)):
        k = chosen[at]
        begin, length, common = np.int64(starts[k]), starts[k + 1] - starts[k], 0
        while common < min(valid, length) and phones[begin + common] == phones[before + common]:
            common += 1
        depth = common
        while depth < length and lowest[depth] <= limits[at]:
            _place(lead, depth, gaps, phones[begin + depth], drop, own)
            _leave_out(own, once, skips, lead, depth)
            depth += 1
            lowest[depth] = _least(lead[depth].view(np.int32))
        valid, before = depth, begin
        if depth == length and lowest[length] <= limits[at]:
            found[count], costs[count] = k, lowest[length]
            count += 1
    return found[:count], costs[:count]


@numba.njit(cache=True)
def _through(spans, phones, starts, slots, drop):  # type: ignore[no-untyped-def]
    """[P] the least cost of laying each pronunciation over all slots that have a frame of its span."""
    pronunciations, begins, ends = spans
    gaps, skips, firsts, after = slots
    costs = np.empty(len(pronunciations), np.float32)
    for k in range(len(pronunciations)):
        first = np.searchsorted(after, begins[k], "right")
        size = max(0, np.searchsorted(firsts, ends[k], "left") - first)
        row = np.zeros(size + 1, np.float32)  # least cost with so many slots behind
        for slot in range(size):
            row[slot + 1] = row[slot] + skips[first + slot]
        for at in range(starts[pronunciations[k]], starts[pronunciations[k] + 1]):
            gap, before = gaps[phones[at]], row[0]
            row[0] += drop
            for slot in range(size):
                placed = before + gap[first + slot]
                before = row[slot + 1]
                row[slot + 1] = min(placed, before + drop, row[slot] + skips[first + slot])
        costs[k] = row[size]
    return costs
