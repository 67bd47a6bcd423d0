"""What became of the entities of a list in one utterance: what each step kept, and why a name fell out.

on the list -> plausible -> heard by the adapter -> proposed by search or lookup -> believed by the guard -> written
"""

import dataclasses
from collections.abc import Iterable, Mapping

from pipeline.recognition.transcribe import Judgement, Transcriber
from pipeline.rescoring.proposals import Proposal
from pipeline.types.emissions import Emissions
from pipeline.types.entity import Entity, EntityList
from pipeline.types.shortlist import Shortlist

LISTED, SHORTLIST, ADAPTER, PROPOSED, GUARD, WRITTEN = (
    "on the list", "on the shortlist", "heard by the adapter", "proposed", "believed", "written",
)  # fmt: skip
"""The steps, in their order."""


@dataclasses.dataclass(frozen=True)
class Fate:
    """How far one name came: the last step that kept it, and in words why it came no further or that it is written."""

    name: str
    kept: str
    why: str


@dataclasses.dataclass(frozen=True)
class Trace:
    """Of one utterance.

    steps: how many entities each step kept; those that the run has not are left out
    fates: of the names that were asked for, then of all others on the shortlist
    """

    unbiased: str
    text: str
    steps: Mapping[str, int]
    fates: tuple[Fate, ...]


def traced(
    transcriber: Transcriber, heard: Emissions, entities: EntityList, shortlist: Shortlist | None, asked: Iterable[str]
) -> Trace:
    """Return what became of an utterance's list; ``asked``: normalised names to speak of in any case.

    shortlist: the one that the adapter was given, if one has run
    """
    judgement = transcriber.judgement(heard, entities, shortlist)
    best = judgement.nbest[0]
    plausible = [entity.text for entity in judgement.shortlist.entities.entities]
    names = list(dict.fromkeys([*asked, *plausible]))
    fates = tuple(_fate(name, transcriber, heard, entities, judgement) for name in names)
    steps = {LISTED: len(entities), SHORTLIST: len(plausible)}
    if judgement.heard.attended is not None:
        steps[ADAPTER] = len(judgement.sought)
    if judgement.weighed is not None:
        proposed = [one for one, _ in judgement.weighed.odds]
        steps |= {PROPOSED: len(_named(proposed)), GUARD: len(_named(judgement.weighed.chosen))}
    steps[WRITTEN] = len({span.entity for span in best.entities})
    return Trace(judgement.unbiased.text, best.text, steps, fates)


def _share(judgement: Judgement, name: str) -> float:
    """Return the highest share of a frame's attention that an entity of the shortlist has."""
    names = [entity.text for entity in judgement.shortlist.entities.entities]
    return 0.0 if judgement.heard.attended is None else float(judgement.heard.attended[names.index(name), 0])


def _named(proposals: Iterable[Proposal]) -> set[str]:
    return {span.entity for one in proposals for span in one.spans}


def _fate(name: str, transcriber: Transcriber, heard: Emissions, entities: EntityList, judgement: Judgement) -> Fate:
    known = entities.by_text.get(name)
    if known is None:
        return Fate(name, "", "is not on the list")
    kept, why = _way(known, transcriber, heard, entities, judgement)
    return Fate(known.display_as, kept, why)


def _way(
    entity: Entity, transcriber: Transcriber, heard: Emissions, entities: EntityList, judgement: Judgement
) -> tuple[str, str]:
    """Return the last step that kept an entity of the list, and why."""
    name = entity.text
    said = next((span for span in judgement.nbest[0].entities if span.entity == name), None)
    weighed = judgement.weighed
    proposed = [pair for pair in weighed.odds if name in _named([pair[0]])] if weighed else []
    if said is not None:
        instead = f" in the place of “{said.alternative}”" if said.alternative else ""
        return WRITTEN, f"is written{instead}"
    if name not in judgement.shortlist.entities.by_text:
        return LISTED, transcriber.shortlister.reason(heard, entity, len(entities)) or "does not fit the audio"
    doubts = weighed.doubts if weighed else []
    undone = [pair for pair in doubts if weighed and pair[0] in weighed.undone and name in _named([pair[0].name])]
    if weighed and undone:
        doubt, odds = undone[0]
        instead = " ".join(doubt.instead)
        why = f"the search writes “{doubt.name.text}” without a list too, but “{instead}” is likelier"
        return PROPOSED, f"{why}: log odds {odds:.1f}, the guard asks for {weighed.doubted:.1f}"
    if weighed and proposed:
        one, odds = max(proposed, key=lambda pair: pair[1])
        if odds < weighed.bound:
            return PROPOSED, f"“{one.text}” has log odds {odds:.1f}, the guard asks for {weighed.bound:.1f}"
        return GUARD, f"“{one.text}” has log odds {odds:.1f}, but a surer name is written there or beside it"
    if name not in judgement.sought.by_text:
        share = _share(judgement, name)
        asked = transcriber.least_attention or 0.0
        return SHORTLIST, f"the adapter gives it at most {share:.0%} of a frame, the search asks for {asked:.0%}"
    last = SHORTLIST if judgement.heard.attended is None else ADAPTER
    return last, "neither the search nor the lookup by sound would write it"
