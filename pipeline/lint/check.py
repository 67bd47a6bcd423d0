"""Everything that can be said of an entity list without hearing any audio."""

import dataclasses
import multiprocessing
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor

from pipeline.config import RunConfig
from pipeline.decoding.language_model import common_words
from pipeline.entities.lists import EntitySource
from pipeline.lexicon.phones import Pronunciation
from pipeline.lexicon.pronunciation import Pronouncer
from pipeline.lint.findings import Finding, Lint
from pipeline.lint.nearby import available_cores
from pipeline.lint.sound import Sounds, check_sound, pronounce
from pipeline.lint.spelling import COMMON, check_spelling
from pipeline.types.entity import Entity, EntityList, Rejected

CHECKS = ("spelling", "sound")
_PARALLEL = 20_000  # words to guess the sound of, from which further processes earn their start (3 s each)
_CHUNK = 2_000


def lint(source: EntitySource, config: RunConfig, rows: Mapping[str, int] | None = None) -> Lint:
    """Return all findings about the entities of ``source``; per-utterance lists count as one list of all they name.

    ``rows``: the line of each entry as it is written. Raises ModelError for missing models.
    """
    entities = union(source)
    spelled = lint_spelling(entities, config)
    findings = [*spelled.findings, *lint_sound(entities, config)]
    placed = [_placed(one, rows) for one in findings] if rows else findings
    return dataclasses.replace(spelled, findings=tuple(placed), checks=CHECKS)


def lint_spelling(entities: EntityList, config: RunConfig) -> Lint:
    """Return what can be said without knowing how anything sounds: a second or less for 10,000 entities."""
    findings = tuple(check_spelling(entities, _ranks(config)))
    return Lint(len(entities) + len(entities.rejected), findings, CHECKS[:1])


def lint_sound(entities: EntityList, config: RunConfig) -> list[Finding]:
    """Return what the sounds of the entities tell; raises ModelError for missing models."""
    pronouncer = Pronouncer()
    sounds = pronounce_all(entities, pronouncer)
    return list(check_sound(entities, sounds, _ranks(config), pronouncer))


def _ranks(config: RunConfig) -> dict[str, int]:
    """Return the common words of the language model with their rank from 1; none without a model."""
    if config.language_model is None:
        return {}
    return {word: rank for rank, word in enumerate(common_words(config.language_model.path, COMMON), start=1)}


def union(source: EntitySource) -> EntityList:
    """Return one list of all entities of a source, with everything that was rejected or merged, each once."""
    if source.lists is None:
        return source.corpus
    entities: dict[str, Entity] = {}
    rejected: dict[tuple[str, str], Rejected] = {}
    for one in source.lists.by_id.values():
        entities |= {entity.text: entity for entity in one.entities if entity.text not in entities}
        rejected |= {(entry.entry, entry.reason): entry for entry in one.rejected}
    ordered = tuple(entities[text] for text in sorted(entities))
    return EntityList(ordered, tuple(rejected.values()))


def pronounce_all(entities: EntityList, pronouncer: Pronouncer) -> Sounds:
    """As pipeline.lint.sound.pronounce; on all cores where there is much to guess."""
    unknown = sum(not pronouncer.knows(entity.text) for entity in entities.entities)
    cores = available_cores()
    if unknown < _PARALLEL or cores == 1:
        return pronounce(entities, pronouncer)
    chunks = [entities.entities[at : at + _CHUNK] for at in range(0, len(entities), _CHUNK)]
    sounds: dict[str, tuple[Pronunciation, ...]] = {}
    # Not forked: this process has threads (Arrow, numba), which a forked one would wait for without end.
    with ProcessPoolExecutor(cores, multiprocessing.get_context("spawn")) as pool:
        for said in pool.map(_pronounce_chunk, chunks):
            sounds.update(said)
    return sounds


_WORKERS_OWN: list[Pronouncer] = []


def _pronounce_chunk(entities: Sequence[Entity]) -> dict[str, tuple[Pronunciation, ...]]:
    if not _WORKERS_OWN:
        _WORKERS_OWN.append(Pronouncer())
    return pronounce(EntityList(tuple(entities)), _WORKERS_OWN[0])


def _placed(finding: Finding, rows: Mapping[str, int]) -> Finding:
    if finding.row is not None or finding.entry not in rows:
        return finding
    return dataclasses.replace(finding, row=rows[finding.entry])
