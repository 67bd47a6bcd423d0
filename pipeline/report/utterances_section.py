"""Utterances with their words under each other: the worst ones, and examples of each entity's mistakes."""

import dataclasses
from collections.abc import Mapping, Sequence

from pipeline.markup.html import Child, Html, join, tag
from pipeline.report.aligned import aligned, explanation, legend, word_times
from pipeline.report.examples import Examples
from pipeline.report.sound import Sounds, listen
from pipeline.scoring.mistakes import Mistake
from pipeline.scoring.score import ScoreResult, UtteranceScore

WORST = 40
EXAMPLES = 200  # of mistakes in the whole report
FOUND = 100  # of entities that were found, one each
EXAMPLES_PER_ENTITY = 3
_LONGEST = 400  # words of an utterance that is drawn; a longer one would not fit the page
_WORDS = 40_000  # drawn in one page, some 60 bytes each with their times


class Drawing:
    """Draws utterances of a result beside those of its baseline, with word times and sound where they are known."""

    def __init__(
        self, baseline: ScoreResult | None, examples: Examples, labels: tuple[str, str] = ("baseline", "this run")
    ) -> None:
        self._before: Mapping[str, UtteranceScore] = (
            {one.utterance_id: one for one in baseline.utterances} if baseline is not None else {}
        )
        self._examples, self._labels = examples, labels
        self.sounds = Sounds(examples.clips)
        self._words_left = _WORDS

    def draw(self, utterance: UtteranceScore) -> Html:
        """Return one utterance as a figure."""
        words = utterance.words[0]
        about: list[Child] = [tag("code", utterance.utterance_id), f" {words.errors} errors in {words.words} words"]
        if utterance.speaker:
            about.append(f", speaker {utterance.speaker}")
        if utterance.error is not None:
            about.append(tag("strong", f" {utterance.error}"))
        return tag("figure", tag("figcaption", about), self._sound(utterance), self._text(utterance))

    def _sound(self, utterance: UtteranceScore) -> list[Html | None] | None:
        """A player and a button per entity; None without a clip."""
        player = self.sounds.player(utterance.utterance_id)
        times = self._examples.times.get(utterance.utterance_id, ())
        return None if player is None else [player, listen(utterance, times)]

    def _text(self, utterance: UtteranceScore) -> Html:
        words = len(utterance.reference.split()) + len(utterance.hypothesis.split())
        if words > min(_LONGEST, self._words_left):
            return tag("p", f"Too long to show here; see {utterance.utterance_id} in scores.parquet.")
        self._words_left -= words
        before = self._before.get(utterance.utterance_id)
        times = self._examples.times.get(utterance.utterance_id, ())
        systems, labels = [utterance], ["said", "written"]
        if before is not None:
            systems, labels = [before, utterance], ["said", *self._labels]
        reasons = self._examples.reasons.get(utterance.utterance_id, ())
        why = explanation(reasons, utterance.utterance_id)
        return join([aligned(systems, labels, times), word_times(utterance.hypothesis, times), why])


@dataclasses.dataclass(frozen=True)
class Chosen:
    """The utterances that the report shows: examples by entity, and the ones with the most word errors."""

    by_entity: Mapping[str, Sequence[UtteranceScore]]
    worst: Sequence[UtteranceScore]

    @property
    def ids(self) -> list[str]:
        """Ids, each once, those that need sound most first."""
        firsts = [utterances[0] for utterances in self.by_entity.values()]
        others = [utterance for utterances in self.by_entity.values() for utterance in utterances[1:]]
        return list(dict.fromkeys(utterance.utterance_id for utterance in (*firsts, *self.worst, *others)))


def choose(result: ScoreResult, baseline: ScoreResult | None, mistakes: Mapping[str, Sequence[Mistake]]) -> Chosen:
    """Choose what to show: mistakes first (``mistakes`` by entity), then what was found, gains before others."""
    by_entity: dict[str, Sequence[UtteranceScore]] = {}
    left = EXAMPLES
    for group in result.by_entity:
        utterances = {one.utterance.utterance_id: one.utterance for one in mistakes.get(group.name, ())}
        chosen = list(utterances.values())[: min(EXAMPLES_PER_ENTITY, left)]
        if chosen:
            by_entity[group.name] = chosen
            left -= len(chosen)
    found = {name: [one] for name, one in _found(result, baseline).items() if name not in by_entity}
    wrong = [utterance for utterance in result.utterances if utterance.words[0].errors]
    wrong.sort(key=lambda one: (-one.words[0].errors, one.utterance_id))
    return Chosen(by_entity | dict(list(found.items())[:FOUND]), wrong[:WORST])


def _found(result: ScoreResult, baseline: ScoreResult | None) -> dict[str, UtteranceScore]:
    """An utterance for every entity that was found; first the entities that the baseline did not find there."""
    gained: dict[str, UtteranceScore] = {}
    found: dict[str, UtteranceScore] = {}
    before = baseline.utterances if baseline is not None else result.utterances
    for utterance, other in zip(result.utterances, before, strict=True):
        for name in utterance.entities.true_positives:
            target = found if name in other.entities.true_positives else gained
            target.setdefault(name, utterance)
    return gained | {name: utterance for name, utterance in found.items() if name not in gained}


def worst_utterances(chosen: Chosen, drawing: Drawing) -> Html:
    """Return the utterances with the most word errors."""
    if not chosen.worst:
        return tag("p", "No utterance has an error.")
    return join([legend(), [drawing.draw(utterance) for utterance in chosen.worst]])


def entity_examples(chosen: Chosen, drawing: Drawing) -> dict[str, Html]:
    """Return drawn examples by entity."""
    return {
        entity: join([drawing.draw(utterance) for utterance in utterances])
        for entity, utterances in chosen.by_entity.items()
    }
