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
it. The pronunciations of a list stand in one trie, built once; a cost vector over all slots goes down it, and
subtrees that can no longer come in are left out. Where there is no phone head every entity passes.
"""

import dataclasses
import functools
from collections.abc import Sequence

import numba
import numpy as np
import numpy.typing as npt

from pipeline.config import ShortlistConfig
from pipeline.lexicon.phones import PHONE_IDS, Pronunciation, substitution_costs
from pipeline.lexicon.pronunciation import Pronouncer
from pipeline.retrieval.strategy import Strategy
from pipeline.trie import Trie, build_trie
from pipeline.types.emissions import Emissions
from pipeline.types.entity import Entity, EntityList

_FIRST_CODE = ord("A")  # phones as characters of a trie
_ROUNDING = np.float32(1e-3)  # so that what is left out early would not have come in
_FAR = np.float32(1e4)  # cost of what cannot be; far above any limit


@dataclasses.dataclass(frozen=True)
class CompiledList:
    """The pronunciations of a list, ready to be matched.

    trie:   of all different pronunciations
    longest: phones of the longest of them
    owners, starts: entities (indices into the list) that have pronunciation k: owners[starts[k] : starts[k + 1]]
    silent: entities without any pronunciation, which always pass
    """

    entities: EntityList
    trie: Trie
    longest: int
    owners: npt.NDArray[np.int32]
    starts: npt.NDArray[np.int64]
    silent: npt.NDArray[np.int32]


class Phonetic(Strategy):
    """Loaded once per worker; deterministic. ``matching`` is a pure function of its arguments."""

    name = "phonetic"
    part = "shortlist"
    pointwise = True

    def __init__(self, config: ShortlistConfig, pronouncer: Pronouncer, keep: int = 256) -> None:
        """``keep``: compiled lists that are remembered."""
        self._config, self._pronouncer, self._keep = config, pronouncer, keep
        self._said: dict[str, tuple[Entity, tuple[str, ...]]] = {}
        self._compiled: dict[int, CompiledList] = {}
        self._confused = (substitution_costs() * np.float32(config.confusion)).astype(np.float32)

    def select(self, heard: Emissions, entities: EntityList) -> npt.NDArray[np.int32] | None:
        """Return the indices, ascending, of the entities that fit; None without a phone head."""
        if heard.phone_log_probs is None:
            return None
        return self.matching(heard.phone_log_probs, self.compile(entities))

    def matching(self, phone_log_probs: npt.NDArray[np.float16], compiled: CompiledList) -> npt.NDArray[np.int32]:
        """Return the indices, ascending, of the entities that fit; see the module's text for the formula.

        phone_log_probs: [T, 40] in nats, column 0 the blank
        """
        costs = self.costs(phone_log_probs, compiled)
        passed = np.zeros(len(compiled.entities), np.bool_)
        passed[compiled.silent] = True
        _pass_owners(costs, compiled.owners, compiled.starts, passed)
        return np.flatnonzero(passed).astype(np.int32)

    def costs(self, phone_log_probs: npt.NDArray[np.float16], compiled: CompiledList) -> npt.NDArray[np.float32]:
        """Return [K] the cost in nats of each different pronunciation, 1e4 for those above their limit."""
        config, trie = self._config, compiled.trie
        count = len(compiled.starts) - 1
        if len(phone_log_probs) == 0 or count == 0:
            return np.full(count, _FAR)
        log_probs = phone_log_probs.astype(np.float32)
        gaps, skips = _slots(log_probs, self._confused, np.float32(config.clip), np.float32(config.insert))
        limits = _limits(config, compiled.longest)
        return np.asarray(
            _match(trie.first, trie.label, trie.terminal, trie.depth, gaps, skips, limits,
                   np.float32(config.drop), count)
        )  # fmt: skip

    def compile(self, entities: EntityList) -> CompiledList:
        """Return the list's pronunciations as a trie, built at most once while the list object is remembered."""
        kept = self._compiled.pop(id(entities), None)  # the list is kept too, so that its id is not given to another
        if kept is None:
            kept = compile_list(entities, self.pronounce(entities))
        self._compiled[id(entities)] = kept
        while len(self._compiled) > self._keep:
            self._compiled.pop(next(iter(self._compiled)))
        return kept

    def pronounce(self, entities: EntityList) -> list[tuple[str, ...]]:
        """Return the pronunciations of each entity, a character per phone; every entity is looked up once."""
        known, said = self._said, []
        for entity in entities.entities:
            # Known by their texts: lists of their own bring entities of their own, and hashing those whole takes longer
            # than all else that is done for most of them.
            kept = known.get(entity.text)
            if kept is None or (kept[0] is not entity and not _said_alike(kept[0], entity)):
                kept = known[entity.text] = entity, tuple(_codes(one) for one in self._pronouncer.entity(entity))
            said.append(kept[1])
        return said


def compile_list(entities: EntityList, pronunciations: Sequence[Sequence[str]]) -> CompiledList:
    """Compile a list; ``pronunciations`` of each of its entities, a character per phone."""
    having: dict[str, list[int]] = {}
    silent = []
    for index, said in enumerate(pronunciations):
        if not said:
            silent.append(index)
        for one in said:
            having.setdefault(one, []).append(index)
    spelled = sorted(having)
    owners = np.array([index for one in spelled for index in having[one]], np.int32)
    starts = np.cumsum([0, *(len(having[one]) for one in spelled)])
    trie = build_trie(spelled)
    trie = trie._replace(label=(trie.label - _FIRST_CODE).astype(np.int32))
    return CompiledList(entities, trie, int(trie.depth.max()), owners, starts, np.array(silent, np.int32))


def _said_alike(one: Entity, other: Entity) -> bool:
    shown = one.display_as == other.display_as
    return shown and one.aliases == other.aliases and one.pronunciations == other.pronunciations


def _codes(pronunciation: Pronunciation) -> str:
    return "".join(chr(_FIRST_CODE + PHONE_IDS[phone]) for phone in pronunciation)


@functools.lru_cache(maxsize=64)
def _limits(config: ShortlistConfig, longest: int) -> npt.NDArray[np.float32]:
    """[longest + 1] the most that a pronunciation of so many phones may cost."""
    phones = np.arange(longest + 1, dtype=np.float32)
    return np.minimum(config.per_phone * (phones - config.spare), config.most).astype(np.float32)


@numba.njit(cache=True)
def _pass_owners(costs, owners, starts, passed):  # type: ignore[no-untyped-def]
    """Set passed [N] for the entities that have a pronunciation within its limit."""
    for index in range(len(costs)):
        if costs[index] < _FAR:
            passed[owners[starts[index] : starts[index + 1]]] = True


@numba.njit(cache=True)
def _slots(log_probs, confused, clip, insert):  # type: ignore[no-untyped-def]
    """Return (g [39, S + pad], cost of leaving out each slot [S + pad])."""
    frames, phones = log_probs.shape[0], log_probs.shape[1] - 1
    # Phone by slot, as the last loop runs along the slots.
    raw, skip = np.full((phones, frames), clip, np.float32), np.empty(frames, np.float32)
    size, frame = 0, 0
    while frame < frames:
        best = np.argmax(log_probs[frame])
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
        size += 1 if heard else 0
    padded = (size // 8 + 2) * 8
    gaps, skips = np.full((phones, padded), np.float32(1e4), np.float32), np.zeros(padded, np.float32)
    skips[:size] = skip[:size]
    for phone in range(phones):
        gaps[phone, :size] = raw[phone, :size]
        for other in range(phones):
            if confused[phone, other] < clip:
                _lower(gaps[phone, :size], raw[other, :size], confused[phone, other])
    return gaps, skips


@numba.njit(cache=True, fastmath={"nnan", "ninf", "nsz"})
def _lower(least, gaps, more):  # type: ignore[no-untyped-def]
    """least = min(least, gaps + more), all of the same length."""
    for slot in range(len(least)):
        other = gaps[slot] + more
        least[slot] = other if other < least[slot] else least[slot]


@numba.njit(cache=True, fastmath={"nnan", "ninf", "nsz"})
def _place(lead, depth, gaps, phone, drop, own):  # type: ignore[no-untyped-def]
    """Lay one phone: from lead[depth], the least cost with i slots behind, to ``own``, with the phone the last.

    Returns the least of them.
    """
    size = len(own)
    before, gap = lead[depth], gaps[phone]
    least = own[0] = before[0] + drop
    for i in range(size - 1):  # no i - 1 here and below: it would keep the loops from becoming vector code
        placed = before[i] + gap[i]
        dropped = before[i + 1] + drop
        own[i + 1] = placed if placed < dropped else dropped
    for i in range(size):
        least = own[i] if own[i] < least else least
    return least


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


@numba.njit(cache=True, fastmath={"nnan", "ninf", "nsz"})
def _pairs(gaps, skips, drop):  # type: ignore[no-untyped-def]
    """Return ([39, 39] the least that each phone followed by another costs anywhere in the audio, [39] each alone)."""
    phones, size = gaps.shape
    pairs, singles = np.empty((phones, phones), np.float32), np.empty(phones, np.float32)
    lead, own, once = np.zeros((2, size), np.float32), np.empty(size, np.float32), np.empty(size, np.float32)
    for phone in range(phones):
        singles[phone] = alone = _place(lead, 0, gaps, phone, drop, own)
        _leave_out(own, once, skips, lead, 0)
        for other in range(phones):
            least = alone + drop
            for i in range(size - 1):
                placed = lead[1, i] + gaps[other, i]
                least = placed if placed < least else least
            pairs[phone, other] = least
    return pairs, singles


@numba.njit(cache=True)
def _room(first, label, terminal, depth, pairs, alone, limits):  # type: ignore[no-untyped-def]
    """([N], [N]) the most that a path to and up to each node may cost if a pronunciation below is still to come in.

    The phones that are left cost at least what they cost in pairs, each phone in one pair: the first with the second,
    or the first alone and the second with the third.
    """
    room, before = np.empty(len(label), np.float32), np.empty(len(label), np.float32)
    for node in range(len(label) - 1, -1, -1):
        most = limits[depth[node]] if terminal[node] >= 0 else np.float32(-1e4)
        room[node] = most
        for child in range(first[node], first[node + 1]):
            room[node] = max(room[node], before[child])
        if node > 0:
            paired = most - alone[label[node]]
            for child in range(first[node], first[node + 1]):
                paired = max(paired, room[child] - pairs[label[node], label[child]])
            before[node] = min(paired, room[node] - alone[label[node]])
    return room, before


@numba.njit(cache=True)
def _match(first, label, terminal, depths, gaps, skips, limits, drop, count):  # type: ignore[no-untyped-def]
    """Walk the trie depth first; returns [count] the cost of each pronunciation within its limit, else 1e4."""
    size, deepest = gaps.shape[1], len(limits)
    pairs, alone = _pairs(gaps, skips, drop)
    room, before = _room(first, label, terminal, depths, pairs, alone, limits)
    costs = np.full(count, np.float32(1e4), np.float32)
    lead = np.zeros((deepest + 1, size), np.float32)
    own, once = np.empty(size, np.float32), np.empty(size, np.float32)
    at, stop = np.empty(deepest + 1, np.int32), np.empty(deepest + 1, np.int32)
    lowest = np.zeros(deepest + 1, np.float32)
    at[0], stop[0] = first[0], first[1]
    depth = 0
    while depth >= 0:
        if at[depth] == stop[depth]:
            depth -= 1
            continue
        node = at[depth]
        at[depth] += 1
        if lowest[depth] > before[node] + _ROUNDING:
            continue
        least = _place(lead, depth, gaps, label[node], drop, own)
        if terminal[node] >= 0 and least <= limits[depth + 1]:
            costs[terminal[node]] = least
        if first[node] < first[node + 1] and least <= room[node] + _ROUNDING:
            _leave_out(own, once, skips, lead, depth)
            depth += 1
            lowest[depth] = least
            at[depth], stop[depth] = first[node], first[node + 1]
    return costs
