"""Utterances with their words under each other: the worst ones, and examples of each entity's mistakes."""

from collections.abc import Mapping, Sequence

from pipeline.scoring.mistakes import Mistake
from pipeline.scoring.report.aligned import aligned, legend
from pipeline.scoring.report.markup import Child, Html, join, tag
from pipeline.scoring.score import ScoreResult, UtteranceScore

WORST = 40
EXAMPLES = 200  # in the whole report
EXAMPLES_PER_ENTITY = 3
_LONGEST = 400  # words of an utterance that is drawn; a longer one would not fit the page


class Drawing:
    """Draws utterances of a result beside those of its baseline, if there is one."""

    def __init__(self, result: ScoreResult, baseline: ScoreResult | None) -> None:
        self._before: Mapping[str, UtteranceScore] = (
            {one.utterance_id: one for one in baseline.utterances} if baseline is not None else {}
        )

    def draw(self, utterance: UtteranceScore) -> Html:
        """Return one utterance as a figure."""
        words = utterance.words[0]
        about: list[Child] = [tag("code", utterance.utterance_id), f" {words.errors} errors in {words.words} words"]
        if utterance.speaker:
            about.append(f", speaker {utterance.speaker}")
        if utterance.error is not None:
            about.append(tag("strong", f" {utterance.error}"))
        return tag("figure", tag("figcaption", about), self._text(utterance))

    def _text(self, utterance: UtteranceScore) -> Html:
        if len(utterance.reference.split()) + len(utterance.hypothesis.split()) > _LONGEST:
            return tag("p", f"Too long to show here; see {utterance.utterance_id} in scores.parquet.")
        before = self._before.get(utterance.utterance_id)
        if before is None:
            return aligned([utterance], ["said", "written"])
        return aligned([before, utterance], ["said", "baseline", "this run"])


def worst_utterances(result: ScoreResult, drawing: Drawing) -> Html:
    """Return the utterances with the most word errors."""
    wrong = [utterance for utterance in result.utterances if utterance.words[0].errors]
    wrong.sort(key=lambda one: (-one.words[0].errors, one.utterance_id))
    if not wrong:
        return tag("p", "No utterance has an error.")
    return join([legend(), [drawing.draw(utterance) for utterance in wrong[:WORST]]])


def entity_examples(
    result: ScoreResult, mistakes: Mapping[str, Sequence[Mistake]], drawing: Drawing
) -> dict[str, Html]:
    """Return examples of mistakes by entity, for the entities with the most mistakes."""
    examples: dict[str, Html] = {}
    left = EXAMPLES
    for group in result.by_entity:
        utterances = {one.utterance.utterance_id: one.utterance for one in mistakes.get(group.name, ())}
        chosen = list(utterances.values())[: min(EXAMPLES_PER_ENTITY, left)]
        if chosen:
            examples[group.name] = join([drawing.draw(utterance) for utterance in chosen])
            left -= len(chosen)
    return examples
