"""Which entities differ between two lists, and in which utterances that can matter.

An utterance's transcript depends on its shortlist alone. Where all retrieval strategies are pointwise, an entity is on
the shortlist or not whatever else is on the list (pipeline.retrieval.strategy). So the transcript can change only if an
entity that differs between the old list and the new one, in whichever of the two it stands, is plausible in the audio.
That is exact in one direction: rows that it leaves out are those that a full run would write again as they are. With
a strategy that is not pointwise every row whose list differs is done again, and so it is where the lists are of sizes
that a strategy tells apart.
"""

import dataclasses

import numpy as np

from pipeline.entities.catalog import Catalog, digests_of
from pipeline.retrieval.shortlist import Shortlister
from pipeline.types.emissions import Emissions
from pipeline.types.entity import EMPTY, Entity, EntityList

_KEPT = 16  # pairs of lists whose difference is remembered: a corpus has one; lists per utterance come once each


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
    return EntityList(tuple(sorted(forms, key=lambda entity: (entity.text, repr(entity)))))


def _untagged(entity: Entity) -> Entity:
    return dataclasses.replace(entity, tags=()) if entity.tags else entity


class Touching:
    """Decides for each utterance whether a change of its list touches it; remembers what differs between lists."""

    def __init__(self, shortlister: Shortlister) -> None:
        """``shortlister``: as of the run; without strategies every entity is plausible everywhere."""
        self._shortlister = shortlister
        self._differences: dict[tuple[int, int], tuple[EntityList, EntityList, EntityList]] = {}

    def touches(self, heard: Emissions | None, old: EntityList, new: EntityList) -> EntityList:
        """Return the differing entities by which the row is touched; none for a row with an error."""
        if heard is None or old is new:
            return EMPTY
        differing = self._differing(old, new)
        sizes = [self._shortlister.kind_of_size(len(entities)) for entities in (old, new)]
        if not self._shortlister.pointwise or sizes[0] != sizes[1]:
            return differing
        return self._shortlister.sized(max(len(old), len(new))).shortlist(heard, differing).entities

    def _differing(self, old: EntityList, new: EntityList) -> EntityList:
        key = (id(old), id(new))
        if key not in self._differences:
            if len(self._differences) >= _KEPT:
                self._differences.pop(next(iter(self._differences)))
            self._differences[key] = old, new, differing(old, new)  # the lists are kept, so that their ids stay theirs
        return self._differences[key][2]
