"""Where entities are found and where not: by length, by how often their words were seen, by vocabulary, by speaker."""

import dataclasses
import itertools
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

from pipeline.scoring.groups import GroupScore, score_groups
from pipeline.scoring.inputs import is_parquet, parquet_rows
from pipeline.scoring.score import ScoreResult
from pipeline.scoring.text_inputs import open_text
from pipeline.text import ENGLISH, Alphabet, normalise

_SEEN = ((100, "seen 100 times or more"), (10, "seen 10 to 99 times"), (1, "seen 1 to 9 times"), (0, "unseen"))
_LINES = 1000  # normalised at once: a list of words has few per line, and a call costs more than a word


@dataclasses.dataclass(frozen=True)
class Breakdown:
    """Entity scores by one label; ``before`` are the baseline's groups by name, None without a baseline."""

    name: str
    title: str
    groups: Sequence[GroupScore]
    before: Mapping[str, GroupScore] | None = None


@dataclasses.dataclass(frozen=True)
class Knowledge:
    """What the models knew of words: the language model's vocabulary, and the words of the training text, counted."""

    vocabulary: Collection[str] | None = None
    training_words: Mapping[str, int] | None = None


NO_KNOWLEDGE = Knowledge()


def breakdowns(result: ScoreResult, baseline: ScoreResult | None, knowledge: Knowledge) -> list[Breakdown]:
    """Return every breakdown that the data allow and that has more than one group, groups in order of their names."""
    labels: list[tuple[str, str, Callable[[str], str]]] = [("by-length", "By length in words", _length)]
    if knowledge.training_words is not None:
        counts = knowledge.training_words
        labels.append(
            ("by-frequency", "By the rarest word's count in the training text", lambda name: seen(name, counts))
        )
    if knowledge.vocabulary is not None:
        known = knowledge.vocabulary
        labels.append(("by-vocabulary", "By the language model's vocabulary", lambda name: _in_vocabulary(name, known)))
    parts = [_breakdown(result, baseline, *label) for label in labels]
    return [part for part in parts if len(part.groups) > 1]


def _breakdown(
    result: ScoreResult, baseline: ScoreResult | None, name: str, title: str, label: Callable[[str], str]
) -> Breakdown:
    def groups(of: ScoreResult) -> list[GroupScore]:
        matches = [utterance.entities for utterance in of.utterances]
        scored = score_groups(matches, lambda entity: [label(entity)], of.bootstrap)
        return sorted(scored, key=lambda group: group.name)

    before = {group.name: group for group in groups(baseline)} if baseline is not None else None
    return Breakdown(name, title, groups(result), before)


def _length(entity: str) -> str:
    words = entity.count(" ") + 1
    return "1 word" if words == 1 else "4 words or more" if words > 3 else f"{words} words"


def seen(entity: str, counts: Mapping[str, int]) -> str:
    """Return how often the rarest word of ``entity`` was seen, as a label."""
    rarest = min(counts.get(word, 0) for word in entity.split())
    return next(label for least, label in _SEEN if rarest >= least)


def _in_vocabulary(entity: str, vocabulary: Collection[str]) -> str:
    return "in the vocabulary" if all(word in vocabulary for word in entity.split()) else "outside the vocabulary"


def count_words(path: str, alphabet: Alphabet = ENGLISH) -> Counter[str]:
    """Return the normalised words of a text file (``.gz`` too) or of the ``text`` column of parquet, counted.

    Raises InputError or StorageError.
    """
    counts: Counter[str] = Counter()
    lines = _lines(path)
    while chunk := list(itertools.islice(lines, _LINES)):
        counts.update(normalise("\n".join(chunk), alphabet).split())
    return counts


def _lines(path: str) -> Iterator[str]:
    if is_parquet(path) and not path.endswith(".gz"):
        yield from (row["text"] or "" for row in parquet_rows(path, ("utterance_id", "text"), ()))
        return
    with open_text(path) as file:
        yield from file


def by_speaker(result: ScoreResult) -> dict[str, ScoreResult]:
    """Return the result of each speaker, the ones with the most word errors first; empty if speakers are unknown."""
    speakers: dict[str, list[int]] = {}
    for at, utterance in enumerate(result.utterances):
        if utterance.speaker is not None:
            speakers.setdefault(utterance.speaker, []).append(at)
    parts = {
        speaker: dataclasses.replace(result, utterances=tuple(result.utterances[at] for at in rows), missing=())
        for speaker, rows in speakers.items()
    }
    return dict(sorted(parts.items(), key=lambda item: (-item[1].word_counts("wer").errors, item[0])))
