"""What the entries of a list would do to real audio: expected false accepts per hour of each, from a run over it.

With the run's cached first pass: in how many utterances an entry's phones lie plausibly in the audio (it is on the
shortlist) although it was not written. Without: how often words are written that sound like it. Each count is
multiplied by how often such a chance became a false accept where lists held only words that were not said (the
constants below; benchmarks/results/lint.md says how they were counted, on 159 false accepts). So the figures are good
for comparing entries and for finding the worst ones; they are no forecasts to the digit.
"""

import dataclasses
import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from pipeline.config import RunConfig, ShortlistConfig
from pipeline.entities.lists import EntitySource
from pipeline.errors import InputError
from pipeline.lexicon.pronunciation import Pronouncer
from pipeline.lint.check import pronounce_all, union
from pipeline.lint.findings import Finding, Lint
from pipeline.lint.nearby import SoundTrie
from pipeline.lint.sound import Sounds
from pipeline.retrieval.phonetic import Phonetic
from pipeline.runs.cache import cached_files
from pipeline.runs.columns import read_columns
from pipeline.runs.reader import Run
from pipeline.storage import Location
from pipeline.storage.s3_options import Options
from pipeline.types.entity import Entity, EntityList

NEAR_RATES = ((0.06, 0.005), (0.34, 0.0006))
"""False accepts per word that was written and is up to so many edits per phone away."""
FITTING_RATES = ((0.5, 0.008), (0.75, 0.0015), (math.inf, 0.0004))
"""False accepts per utterance in which an entry is not said and fits the phones at so many nats per phone."""
MANY = 1.0
"""Expected false accepts per hour from which an entry is a finding ..."""
EXCESSIVE = 10.0
"""... and an error: ten such entries write more wrong names than a good list of a hundred finds right ones."""
_WORDS = 50_000  # different words of the run that are compared, the most frequent ones
_READ_ROWS = 256  # cached rows in memory: some 30 MB of phone log-probabilities


@dataclasses.dataclass(frozen=True)
class Heard:
    """What a run wrote: words with their counts (an entity counts as what would stand there without it), how often
    each entity was written, and the hours of audio."""

    words: Counter[str]
    written: Counter[str]
    hours: float


@dataclasses.dataclass
class Expected:
    """Chances for one entity to be written though it is not said; ``per_hour`` of the expected false accepts."""

    per_hour: float = 0.0
    chances: Counter[str] = dataclasses.field(default_factory=Counter)


def check_usage(found: Lint, source: EntitySource, config: RunConfig, path: str, options: Options | None) -> Lint:
    """Return the findings with those of the run at ``path`` added; raises InputError or StorageError."""
    run = Run(path, options)
    heard = read_heard(run.files)
    if not heard.hours:
        raise InputError(f"{path}: no row of the run says how long its audio is; transcribe again.")
    entities, pronouncer = union(source), Pronouncer()
    sounds = pronounce_all(entities, pronouncer)
    cached = cached_files(run.record, options)
    if cached and config.shortlist is not None:
        expected = from_first_pass(cached, entities, sounds, heard, config.shortlist, pronouncer)
        check = "cached first pass"
    else:
        expected, check = from_transcripts(heard, entities, sounds, pronouncer), "transcripts"
    findings = [one for entity in entities.entities for one in _findings(entity, expected.get(entity.text), heard)]
    return dataclasses.replace(
        found, findings=(*found.findings, *findings), checks=(*found.checks, f"{check} of {heard.hours:.2f} h")
    )


def read_heard(files: Sequence[Location]) -> Heard:
    """Count the words of TRANSCRIPTS files, row by row; raises InputError."""
    words, written, seconds = Counter[str](), Counter[str](), 0.0
    columns = ["text", "duration_seconds", "entities", "error"]
    for row in (row for batch in read_columns(files, columns, _READ_ROWS) for row in batch.to_pylist()):
        seconds += row["duration_seconds"] or 0.0
        written.update(one["entity"] for one in row["entities"] or [])
        words.update(without_entities(row))
    return Heard(words, written, seconds / 3600)


def without_entities(row: Mapping[str, Any]) -> list[str]:
    """Return the words of a TRANSCRIPTS row with what would stand there without it in place of each entity."""
    spoken = (row["text"] or "").split()
    for one in reversed(row["entities"] or []):
        if one["alternative"] is not None:
            spoken[one["start_word"] : one["end_word"]] = one["alternative"].split()
    return spoken


def from_transcripts(heard: Heard, entities: EntityList, sounds: Sounds, pronouncer: Pronouncer) -> dict[str, Expected]:
    """Return entity text -> what is expected of it, from the words that sound like it."""
    words = [word for word, _ in heard.words.most_common(_WORDS)]
    expected: dict[str, Expected] = {}
    for (text, word), apart in nearest(words, entities, sounds, pronouncer).items():
        one = expected.setdefault(text, Expected())
        one.per_hour += heard.words[word] * near_rate(apart) / heard.hours
        one.chances[word] += heard.words[word]
    return expected


def nearest(
    words: Sequence[str], entities: EntityList, sounds: Sounds, pronouncer: Pronouncer
) -> dict[tuple[str, str], float]:
    """Return (entity text, word) -> edits per phone between them, for the pairs that NEAR_RATES has a rate for."""
    owners: dict[tuple[str, ...], list[Entity]] = {}
    for entity in entities.entities:
        if entity.weight > 0:
            for phones in sounds[entity.text]:
                owners.setdefault(phones, []).append(entity)
    trie = SoundTrie(list(owners))
    said = [next(iter(pronouncer.pronounce(word)), ()) for word in words]
    found: dict[tuple[str, str], float] = {}
    for word, near in zip(words, trie.near(said, NEAR_RATES[-1][0]), strict=True):
        for apart, index in near:
            for entity in owners[trie.sounds[index]]:
                if word not in (*entity.text.split(), *entity.aliases):
                    key = entity.text, word
                    found[key] = min(apart, found.get(key, math.inf))
    return found


def near_rate(apart: float) -> float:
    """Return the false accepts per word that is ``apart`` edits per phone away."""
    return next((rate for limit, rate in NEAR_RATES if apart <= limit), 0.0)


def from_first_pass(
    files: Sequence[Location],
    entities: EntityList,
    sounds: Sounds,
    heard: Heard,
    config: ShortlistConfig,
    pronouncer: Pronouncer,
) -> dict[str, Expected]:
    """Return entity text -> what is expected of it, from the utterances whose phones it fits."""
    valid = EntityList(tuple(one for one in entities.entities if one.weight > 0 and sounds[one.text]))
    counts = np.zeros((len(FITTING_RATES), len(valid)), np.int64)
    for fit in fits(_phone_log_probs(files), valid, Phonetic(config, pronouncer)):
        for at, (limit, _) in enumerate(FITTING_RATES):
            before = FITTING_RATES[at - 1][0] if at else -math.inf
            counts[at] += (fit > before) & (fit <= limit) & np.isfinite(fit)
    return {
        entity.text: _expected(counts[:, index].tolist(), heard, entity) for index, entity in enumerate(valid.entities)
    }


def fits(
    utterances: Iterable[npt.NDArray[np.float16]], entities: EntityList, phonetic: Phonetic
) -> Iterator[npt.NDArray[np.float32]]:
    """Yield for each utterance, [T, P], the nats per phone at which every entity fits it, [E]; inf where it does not.

    Every entity must have a pronunciation.
    """
    index = phonetic.compile(entities)
    for phones in utterances:
        yield phonetic.matching(phones, index).per_phone(index)


def _expected(counts: list[int], heard: Heard, entity: Entity) -> Expected:
    """The utterances in which the entity was written are those that it fits best."""
    chances, written = [], heard.written[entity.text]
    for count in counts:
        chances.append(max(0, count - written))
        written = max(0, written - count)
    falsely = sum(chance * rate for chance, (_, rate) in zip(chances, FITTING_RATES, strict=True))
    return Expected(falsely / heard.hours, Counter({"utterances that it fits": chances[0]}))


def _phone_log_probs(files: Sequence[Location]) -> Iterator[npt.NDArray[np.float16]]:
    """Yield [T, P] of every cached utterance that has them."""
    for batch in read_columns(files, ["phones", "phone_log_probs"], _READ_ROWS):
        for phones, values in zip(batch["phones"].to_pylist(), batch["phone_log_probs"], strict=True):
            if phones and values.is_valid:
                flat = values.values.to_numpy(zero_copy_only=False)
                yield np.array(flat, np.float16).reshape(-1, phones)


def _findings(entity: Entity, expected: Expected | None, heard: Heard) -> Iterator[Finding]:
    if expected is None or expected.per_hour < MANY:
        return
    kind = "many_false_accepts" if expected.per_hour >= EXCESSIVE else "false_accepts"
    named = ", ".join(f"{count / heard.hours:.0f}/h {chance}" for chance, count in expected.chances.most_common(3))
    detail = f"{expected.per_hour:.1f} expected per hour; chances: {named}"
    yield Finding(kind, entity.display_as, detail, advice=_advice(entity, expected), value=expected.per_hour)


def _advice(entity: Entity, expected: Expected) -> str:
    """Drop what is hopeless, lengthen what is short, weigh the rest."""
    if expected.per_hour >= EXCESSIVE and " " not in entity.text:
        return "drop it, or give the full name"
    weight = max(0.2, round(entity.weight * MANY / expected.per_hour, 1))
    if not entity.pronunciations and expected.per_hour < EXCESSIVE:
        return f"give a weight of {weight}, and a pronunciation if the guessed one is wrong"
    return f"give a weight of {weight}"
