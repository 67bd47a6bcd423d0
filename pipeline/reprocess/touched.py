"""Which entities differ between two lists, and in which utterances that can matter.

An utterance's transcript depends on its shortlist alone. Where all retrieval strategies are pointwise, an entity is on
the shortlist or not whatever else is on the list (pipeline.retrieval.strategy). So the transcript can change only if an
entity that differs between the old list and the new one, in whichever of the two it stands, is plausible in the audio.
That is exact in one direction: rows that it leaves out are those that a full run would write again as they are. With
a strategy that is not pointwise every row whose list differs is done again, and so it is where the lists are of sizes
that a strategy tells apart.

What is remembered of an entity (pipeline.retrieval.memory) is as much a property of it as its spelling: where that
changes, the entities differ that something else is known of for the row's tenant, and they count where they are
plausible with the memory before or with the new one. Where the policy changes, both shortlists are made: whatever is on
one of them only, or was found by other strategies, counts. Where the guard believes otherwise every row with anything
on its shortlist is done again; without anything there is nothing to believe. With a session a row also depends on what
it is told of its recording: it is done again where that differs.
"""

import dataclasses
from collections.abc import Iterable

import numpy as np
import pyarrow.compute as pc

from pipeline.config import RunConfig
from pipeline.entities.catalog import Catalog, digests_of
from pipeline.lexicon.pronunciation import Pronouncer
from pipeline.retrieval.remembered import Recall
from pipeline.retrieval.shortlist import Shortlister, build_shortlister
from pipeline.types.emissions import Emissions
from pipeline.types.entity import EMPTY, Entity, EntityList
from pipeline.types.shortlist import Shortlist
from pipeline.types.tokens import Tokens

_KEPT = 16  # pairs of lists whose difference is remembered: a corpus has one; lists per utterance come once each


@dataclasses.dataclass(frozen=True)
class Learnt:
    """What is remembered of entities before and after, None is nothing; whether the two rank or believe otherwise."""

    before: Recall | None
    after: Recall | None
    ranks_otherwise: bool = False
    believes_otherwise: bool = False

    def of(self, entities: EntityList, tenant: str) -> EntityList:
        """Return the entities of a list of which something else is known for the tenant."""
        one, other = (self.before, self.after) if self.after is None else (self.after, self.before)
        names = frozenset[str]() if one is None else one.changed(other, tenant)
        return EntityList(entities.at(entities.having(names))) if names else EMPTY


def differing(old: EntityList, new: EntityList) -> EntityList:
    """Return the entities that are in one list only or differ between them, each form of them; tags do not count."""
    if old.version == new.version:
        return EMPTY
    if isinstance(old, Catalog) or isinstance(new, Catalog):
        before, after = digests_of(old), digests_of(new)
        gone, come = np.flatnonzero(~np.isin(before, after)), np.flatnonzero(~np.isin(after, before))
        forms = set(map(_untagged, (*old.at(gone.tolist()), *new.at(come.tolist()))))
    else:
        forms = set(map(_untagged, old.entities)) ^ set(map(_untagged, new.entities))
    return _listed(forms)


def _listed(forms: Iterable[Entity]) -> EntityList:
    """Return forms of entities, of which one may have several, as a list in one order."""
    return EntityList(tuple(sorted(forms, key=lambda entity: (entity.text, repr(entity)))))


def _untagged(entity: Entity) -> Entity:
    return dataclasses.replace(entity, tags=()) if entity.tags else entity


def _tagged(entities: EntityList) -> bool:
    """Whether an entity of a list has tags."""
    if isinstance(entities, Catalog):
        return bool(pc.any(pc.greater(pc.list_value_length(entities.rows.table["tags"]), 0)).as_py())
    return any(entity.tags for entity in entities.entities)


class Touching:
    """Decides for each utterance whether a change touches it; remembers what differs between lists."""

    def __init__(
        self, shortlister: Shortlister, before: Shortlister | None = None, learnt: Learnt | None = None
    ) -> None:
        """``shortlister``: as of the rows to come; without strategies every entity is plausible everywhere.

        before: as of the rows as they are, where it is another one; then ``learnt`` is what the two know otherwise
        """
        self._shortlister, self._before, self._learnt = shortlister, before, learnt
        self._decides_otherwise = before is not None and _way(before) != _way(shortlister)
        self._ranks_otherwise = learnt is not None and learnt.ranks_otherwise
        self._believes_otherwise = learnt is not None and learnt.believes_otherwise
        self._differences: dict[tuple[int, int, str], tuple[EntityList, EntityList, EntityList]] = {}

    def touches(self, heard: Emissions | None, old: EntityList, new: EntityList) -> EntityList:
        """Return the differing entities by which the row is touched; none for a row with an error."""
        if heard is None or (old is new and self._learnt is None):
            return EMPTY
        found = self._touches(heard, old, new)
        if self._before is None or not (self._decides_otherwise or self._ranks_otherwise or self._believes_otherwise):
            return found
        before, after = self._before.shortlist(heard, old), self._shortlister.shortlist(heard, new)
        if self._believes_otherwise:
            return _joined(found, _joined(before.entities, after.entities))
        return _joined(found, _moved(before, after))

    def _touches(self, heard: Emissions, old: EntityList, new: EntityList) -> EntityList:
        """As if both had the policy of the rows to come."""
        differing = self._differing(old, new, heard.tenant if self._learnt else "")
        sizes = [self._shortlister.kind_of_size(len(entities)) for entities in (old, new)]
        if not self._shortlister.pointwise or sizes[0] != sizes[1]:
            return differing
        most = max(len(old), len(new))
        found = self._shortlister.sized(most).shortlist(heard, differing).entities
        if self._before is None or len(found) == len(differing):
            return found
        return _joined(found, self._before.sized(most).shortlist(heard, differing).entities)

    def told_otherwise(
        self, heard: Emissions | None, before: tuple[str, ...], old: EntityList, new: EntityList
    ) -> bool:
        """Whether the row may differ by what it is told of its recording, which was ``before`` under the old list.

        A tag that changed is no difference between entities, and speaks for others all the same.
        """
        if heard is None or heard.earlier != before:
            return heard is not None
        return bool(before) and old.version != new.version and (_tagged(old) or _tagged(new))

    def _differing(self, old: EntityList, new: EntityList, tenant: str) -> EntityList:
        key = (id(old), id(new), tenant)
        if key not in self._differences:
            if len(self._differences) >= _KEPT:
                self._differences.pop(next(iter(self._differences)))
            found = differing(old, new)
            if self._learnt is not None:
                found = _joined(found, self._learnt.of(new, tenant))
            self._differences[key] = old, new, found  # the lists are kept, so that their ids stay theirs
        return self._differences[key][2]


def _joined(one: EntityList, other: EntityList) -> EntityList:
    """Return the entities of both, each form of one once."""
    if not len(one) or not len(other):
        return other if not len(one) else one
    return _listed({_untagged(entity) for entity in (*one.entities, *other.entities)})


def _way(shortlister: Shortlister) -> tuple[str, float] | None:
    """Return what decides how wide strategies look."""
    return None if shortlister.pilot is None else shortlister.pilot.identity


def _moved(before: Shortlist, after: Shortlist) -> EntityList:
    """Return the entities that are on one shortlist only, or were found by other strategies."""
    one, other = (
        set(zip(map(_untagged, made.entities.entities), made.strategies, strict=True)) for made in (before, after)
    )
    return _listed({entity for entity, _ in one ^ other})


def touching_of(before: RunConfig, after: RunConfig, pronouncer: Pronouncer, tokens: Tokens) -> Touching:
    """Return what tells the rows that a change of the list, and of what is remembered, touches.

    before, after: configurations of the rows as they are and to come, the same but for memory, policy and the
        weights of guard and cut
    """
    shortlister = build_shortlister(after, pronouncer, tokens)
    if before == after:
        return Touching(shortlister)
    old, new = (None if one.memory is None else Recall(one.memory) for one in (before, after))
    learnt = Learnt(old, new, before.cut != after.cut, before.guard != after.guard)
    return Touching(shortlister, build_shortlister(before, pronouncer, tokens), learnt)
