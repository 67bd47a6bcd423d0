"""Words that sound as reviewers confirmed an entity before: proposed, and weighed by how sure that is.

A span of one to ``_MOST_WORDS`` words of the unbiased hypothesis is read off the phone head. Where it is within
``max_distance`` of a form in which an entity of the shortlist was heard (pipeline.retrieval.remembered), the entity is
proposed in its place, if reviewers confirmed that form. The guard decides, with log odds that are moved by

    weight * (1 - distance / max_distance) * long * s,     long = (m - 2) / 4, from 0 to 1
    s = lower if lower >= least;  -(1 - upper) if upper <= 1 - least;  else 0

for the nearest form, of m phones: two phones are heard everywhere, six hardly by chance. Nothing where no form is
near. So what was accepted before needs less other evidence, what was rejected before more, and an entity without forms
is judged as without memory.
"""

from collections.abc import Iterator, Sequence

from pipeline.config import MemoryConfig
from pipeline.lexicon.phone_index import distances_between
from pipeline.lexicon.phones import Pronunciation, phone_ids
from pipeline.rescoring.aligned import Aligned, Fit, heard_phones
from pipeline.rescoring.lookup import Replacement, proposal_of
from pipeline.rescoring.proposals import Proposal
from pipeline.rescoring.scene import Scene
from pipeline.rescoring.technique import Sounds, Technique
from pipeline.retrieval.remembered import Form, Recall
from pipeline.types.emissions import Emissions
from pipeline.types.entity import Entity, EntityList

TECHNIQUE = "memory"
Heard = tuple[int, int, Pronunciation]
"""Units, first and after the last, and what the phone head reads there."""
_EVERYWHERE, _TELLING = 2, 6  # phones of forms that say nothing, and of forms that say all they can
_MOST_WORDS = 4  # that a name is broken into; the lexicon's lookup takes three


def spans_of(aligned: Aligned) -> Iterator[Heard]:
    """Yield every span of up to ``_MOST_WORDS`` units with what the phone head reads there."""
    for first in range(len(aligned.units)):
        for last in range(first + 1, min(first + _MOST_WORDS, len(aligned.units)) + 1):
            yield first, last, aligned.heard(first, last)


class MemoryProposals(Technique):
    """Holds a snapshot. Deterministic."""

    part = "memory"

    def __init__(self, config: MemoryConfig, sounds: Sounds) -> None:
        """Raises ConfigError or ModelError as Recall does."""
        self._config, self._recall = config, Recall(config)

    def propose(self, scene: Scene, entities: EntityList, emissions: Emissions) -> list[Proposal]:
        """Return the entities that words of the unbiased hypothesis sound like, as reviewers confirmed it."""
        tenant, aligned = emissions.tenant, scene.aligned
        if not self._recall.names(tenant):
            return []
        wanted = (one for one in entities.entities if one.weight > 0 and self._recall.knows(tenant, one))
        known = [(one, self._recall.confirmed(tenant, one)) for one in wanted]
        known = [(entity, forms) for entity, forms in known if forms]
        if not known:
            return []
        places = list(spans_of(aligned))
        return [one for entity, forms in known for one in self._places(scene, places, entity, forms)]

    def _places(
        self, scene: Scene, places: Sequence[Heard], entity: Entity, forms: Sequence[Pronunciation]
    ) -> Iterator[Proposal]:
        """Yield the entity in the places that sound like it; of places that overlap in the one that does most."""
        ids, most = [phone_ids(form) for form in forms], self._config.max_distance
        near: list[tuple[float, int, int]] = []
        for first, last, heard in places:
            distance = float(distances_between(phone_ids(heard), ids, most).min()) if heard else most + 1.0
            if distance <= most:
                near.append((distance, first, last))
        taken: list[tuple[int, int]] = []
        for _, first, last in sorted(near):
            if all(last <= start or end <= first for start, end in taken):
                taken.append((first, last))
                if scene.aligned.text(first, last) != entity.text:
                    fit = scene.aligned.fit(first, last, [scene.listed[entity.text]])
                    yield proposal_of(scene.aligned, Replacement(first, last, entity.text, fit), TECHNIQUE)


class MemoryOdds:
    """Moves the guard's log odds by what reviewers said of an entity that was heard so. Deterministic."""

    def __init__(self, config: MemoryConfig) -> None:
        """Raises ConfigError or ModelError as Recall does."""
        self._config, self._recall = config, Recall(config)

    def of(self, scene: Scene, proposal: Proposal, fit: Fit) -> float:
        """Return the nats that are added to the log odds of a proposal; of several entities the least."""
        tenant = scene.heard.tenant
        known = {span.entity: scene.entities.by_text.get(span.entity) for span in proposal.spans}
        forms = {name: self._recall.forms(tenant, one) if one else () for name, one in known.items()}
        if not any(forms.values()):
            return 0.0
        heard = _heard(scene.aligned, proposal, fit)
        return min(self._moved(heard[name], found) for name, found in forms.items())

    def _moved(self, heard: Pronunciation, forms: Sequence[Form]) -> float:
        most = self._config.max_distance
        if not heard or not forms:
            return 0.0
        near = distances_between(phone_ids(heard), [phone_ids(form.phones) for form in forms], most)
        distances: list[float] = near.tolist()
        distance, form = min(zip(distances, forms, strict=True), key=lambda one: (one[0], -one[1].lower))
        alike = max(0.0, 1.0 - distance / most)
        long = min(1.0, max(0.0, (len(form.phones) - _EVERYWHERE) / (_TELLING - _EVERYWHERE)))
        return self._config.weight * alike * long * support(form, self._config.least)


def support(form: Form, least: float) -> float:
    """Return how much a form speaks for its entity: above 0 if it was confirmed, below if it was rejected.

    >>> [support(Form(("AA",), *bounds), 0.25) for bounds in ((0.5, 1.0), (0.2, 0.9), (0.0, 0.75))]
    [0.5, 0.0, -0.25]
    """
    if form.lower >= least:
        return form.lower
    return form.upper - 1.0 if form.upper <= 1.0 - least else 0.0


def _heard(aligned: Aligned, proposal: Proposal, fit: Fit) -> dict[str, Pronunciation]:
    """Return what the phone head reads where each entity of a proposal would lie."""
    if len(proposal.spans) == 1 and len(proposal.words) == proposal.spans[0].end_word - proposal.spans[0].start_word:
        return {proposal.spans[0].entity: aligned.heard(proposal.first, proposal.last)}
    return {
        proposal.spans[number].entity: heard_phones(aligned.log_probs, *_frames(fit, unit))
        for number, unit in enumerate(_units_of(proposal))
    }


def _units_of(proposal: Proposal) -> list[int]:
    """Return which of a proposal's units, each an entity or a single word, are its entities."""
    found, at, units = [], 0, 0
    for span in proposal.spans:
        units += span.start_word - at
        found.append(units)
        units, at = units + 1, span.end_word
    return found


def _frames(fit: Fit, unit: int) -> tuple[int, int]:
    """Return the frames from the first phone of a unit to the first of what follows it in the proposal."""
    phones = fit.words[unit].phones
    if not phones:
        return fit.start, fit.start
    following = next(
        (word.phones[0].start_frame for word in fit.words[unit + 1 :] if word.phones), phones[-1].end_frame
    )
    return fit.start + phones[0].start_frame, fit.start + following
