"""How the recogniser spells by ear: which letters it writes for which, learned from its own mistakes.

Words of a reference and what the recogniser wrote for them are aligned letter by letter; runs that differ ("ph" and
"f"), with a letter beside them where one side is empty ("tt" and "t"), are counted. The probability of a pair is its
count over how often its left side stands in the reference.
"""

import difflib
import heapq
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from pipeline.errors import ModelError

_MIN_WORDS = 3  # different words that a pair is seen in; what is seen in fewer is about them and no habit
_LONGEST = 3  # letters on either side; longer runs are other words
_ALIKE = 0.5  # share of letters that must agree for two words to be taken as one misspelled
_MOST = 4096  # spellings that are kept in mind while a word is spelled

Table = Mapping[str, Mapping[str, float]]


def word_pairs(reference: str, written: str) -> Iterator[tuple[str, str]]:
    """Yield the words of the reference with what was written for them, where one word stands against one."""
    ours, theirs = reference.split(), written.split()
    matcher = difflib.SequenceMatcher(None, ours, theirs, autojunk=False)
    for kind, i, j, a, b in matcher.get_opcodes():
        if kind in ("equal", "replace") and j - i == b - a:
            yield from zip(ours[i:j], theirs[a:b], strict=True)


def letter_runs(word: str, written: str) -> Iterator[tuple[str, str]]:
    """Yield the runs of letters that differ.

    >>> list(letter_runs("phillip", "filip"))
    [('ph', 'f'), ('ll', 'l')]
    """
    for kind, i, j, a, b in difflib.SequenceMatcher(None, word, written, autojunk=False).get_opcodes():
        if kind == "equal":
            continue
        left, right = word[i:j], written[a:b]
        if not left or not right:
            beside = word[j : j + 1]
            twin = beside != "" and beside in (left, right)  # one of a doubled letter is taken with the other
            if i > 0 and not twin:
                left, right = word[i - 1] + left, word[i - 1] + right
            else:
                left, right = left + beside, right + beside
        if left and right:
            yield left, right


def learn(pairs: Iterable[tuple[str, str]]) -> dict[str, dict[str, float]]:
    """Return left letters -> written letters -> probability, from (word, what was written for it)."""
    runs: Counter[tuple[str, str]] = Counter()
    seen_in: dict[tuple[str, str], set[str]] = {}
    there: Counter[str] = Counter()
    for word, written in pairs:
        there.update(word[i:j] for i in range(len(word)) for j in range(i + 1, min(len(word), i + _LONGEST) + 1))
        if word != written and difflib.SequenceMatcher(None, word, written, autojunk=False).ratio() >= _ALIKE:
            for run in letter_runs(word, written):
                runs[run] += 1
                seen_in.setdefault(run, set()).add(word)
    table: dict[str, dict[str, float]] = {}
    for (left, right), count in sorted(runs.items()):
        if len(seen_in[left, right]) >= _MIN_WORDS and max(len(left), len(right)) <= _LONGEST:
            table.setdefault(left, {})[right] = round(min(1.0, count / there[left]), 5)
    return table


def read_table(path: Path) -> dict[str, dict[str, float]]:
    """Read a table that ``learn`` made; raises ModelError if it is missing or corrupt."""
    try:
        table = json.loads(path.read_text(encoding="utf-8"))
        return {left: {right: float(p) for right, p in rights.items()} for left, rights in table.items()}
    except (OSError, ValueError, AttributeError, TypeError) as error:
        raise ModelError(f"{path}: not a table of spelling confusions ({error!r}); restore it from git.") from error


def respell(word: str, table: Table, count: int, least: float) -> list[tuple[str, float]]:
    """Return up to ``count`` other spellings of a word with their probability, at least ``least``, likeliest first.

    >>> respell("phillip", {"ph": {"f": 0.5}, "ll": {"l": 0.4}}, 3, 0.1)
    [('fillip', 0.5), ('philip', 0.4), ('filip', 0.2)]
    """
    partial: list[dict[str, float]] = [{} for _ in range(len(word) + 1)]  # spellings of the first so many letters
    partial[0][""] = 1.0
    for at in range(len(word)):
        for spelled, probability in heapq.nlargest(_MOST, partial[at].items(), key=lambda item: (item[1], item[0])):
            _put(partial[at + 1], spelled + word[at], probability)
            for end in range(at + 1, min(len(word), at + _LONGEST) + 1):
                for right, share in table.get(word[at:end], {}).items():
                    if probability * share >= least:
                        _put(partial[end], spelled + right, probability * share)
    partial[-1].pop(word, None)
    return sorted(partial[-1].items(), key=lambda item: (-item[1], item[0]))[:count]


def _put(spellings: dict[str, float], text: str, probability: float) -> None:
    spellings[text] = max(probability, spellings.get(text, 0.0))
