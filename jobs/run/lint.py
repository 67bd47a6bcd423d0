"""What the linter says of a run's lists, for run.json: so that it is on record what the run was told to look for.

It must cost next to nothing. Spellings are looked at here, in a fraction of a second; sounds by a task beside the
work, for lists and runs of a size at which that cannot be noticed. What was not looked at is said, with the reason.
"""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

from jobs.run.preflight import Transcription
from pipeline.lint.check import lint_spelling, union
from pipeline.lint.findings import Finding, Lint

EXAMPLES = 20
"""Findings of a kind that run.json names; all are counted."""
_MOST_SPELLED = 200_000  # entities; a million would be compared for a minute
_MOST_SOUNDS = 5_000  # entities; some seconds of one core
_LEAST_ROWS = 200  # utterances; minutes of work, beside which those seconds do not count
_WAIT_SECONDS = 10.0  # for a task that is not done when the work is


Sounds = Callable[[float], Sequence[Finding]]
"""Returns what was found about the sounds, waiting so many seconds at most; may raise anything."""


def begin_lint(run: Transcription, begin: Callable[[Transcription], Sounds]) -> Sounds | None:
    """Let ``begin`` start to look at the sounds of the saved lists beside the work, if that is cheap here."""
    return begin(run) if _why_no_sounds(run) is None else None


def lint_facts(run: Transcription, sounds: Sounds | None) -> dict[str, Any]:
    """Return the findings as run.json has them; ``sounds`` is what begin_lint returned."""
    entities = union(run.source)
    if len(entities) > _MOST_SPELLED:
        return Lint(len(entities), (), (), {"all": f"more than {_MOST_SPELLED:,} entities"}).facts(EXAMPLES)
    spelled = lint_spelling(entities, run.config)
    if sounds is None:
        return dataclasses.replace(spelled, skipped={"sound": _why_no_sounds(run) or ""}).facts(EXAMPLES)
    try:
        both = (*spelled.findings, *sounds(_WAIT_SECONDS))
    except Exception as error:  # the run itself is done; advice about its list must not break it
        return dataclasses.replace(spelled, skipped={"sound": type(error).__name__}).facts(EXAMPLES)
    return dataclasses.replace(spelled, findings=both, checks=(*spelled.checks, "sound")).facts(EXAMPLES)


def _why_no_sounds(run: Transcription) -> str | None:
    advice = "`rollcall lint-list` checks it"
    count = len(run.source.corpus) if run.source.lists is None else len(union(run.source))
    if not count:
        return "there is no list but what the audio may carry"
    if count > _MOST_SOUNDS:
        return f"the list has more than {_MOST_SOUNDS:,} entities; {advice}"
    if run.corpus.rows < _LEAST_ROWS:
        return f"the run has fewer than {_LEAST_ROWS} utterances; {advice}"
    return None
