"""EMISSIONS rows that say given words, in letters and in phones, with doubts drawn from a seed."""

import dataclasses
import functools
from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from pipeline.acoustic.loading import load_tokens
from pipeline.config import BeamConfig, RunConfig, joint
from pipeline.entities.lists import EntitySource
from pipeline.lexicon.phones import PHONE_IDS
from pipeline.lexicon.pronunciation import ListPronouncer, Pronouncer
from pipeline.recognition.emission_rows import flat_lists
from pipeline.recognition.recogniser import Parts, Recogniser
from pipeline.recognition.transcribe import Transcriber
from pipeline.rescoring.stage import RescoringStage, build_stage
from pipeline.rescoring.technique import Sounds
from pipeline.retrieval.shortlist import Shortlister, build_shortlister
from pipeline.schemas import EMISSIONS, with_origin
from pipeline.types.tokens import Tokens
from tests.support.inventory import CHARACTERS
from tests.support.sparse import sparsify

CONFIG: RunConfig = dataclasses.replace(joint(), language_model=None, beam=BeamConfig(width=24))
"""All techniques behind the shortlist, without a language model, which would take seconds to load."""


@functools.cache
def sounds() -> Sounds:
    pronouncer = Pronouncer()
    return Sounds(pronouncer, ListPronouncer(pronouncer), pronouncer.knows)


@functools.cache
def _stage() -> RescoringStage:
    return build_stage(CONFIG, load_tokens(CONFIG.acoustic), sounds())


@functools.cache
def shortlister() -> Shortlister:
    return build_shortlister(CONFIG, sounds().pronouncer, CHARACTERS)


@functools.cache
def _decoder():  # type: ignore[no-untyped-def]
    from pipeline.decoding.build import build_decoder

    return build_decoder(CONFIG, CHARACTERS)


def recogniser(source: EntitySource, config: RunConfig) -> Recogniser:
    """Return a recogniser of ``config``, which differs from CONFIG in its retrieval alone."""
    parts = Parts(dataclasses.replace(config, adapter=None))
    vars(parts).update(tokens=CHARACTERS, sounds=sounds(), pronouncer=sounds().pronouncer, decoder=_decoder())
    vars(parts).update(stage=_stage())
    return Recogniser(parts, source, "config")


def transcriber(source: EntitySource) -> Transcriber:
    return Transcriber(_decoder(), source, "config", _stage(), shortlister())


def hear(
    texts: Sequence[str | None],
    seed: int = 0,
    own: Sequence[list[str] | None] | None = None,
    tokens: Tokens = CHARACTERS,
    sure: Sequence[int] = (),
) -> pa.Table:
    """One row per text, ids u0, u1, ...; None is a row with an error. ``own``: the utterances' own lists;
    ``sure``: rows without doubts."""
    heard = [None if text is None else _heard(text, seed + at, tokens, at in sure) for at, text in enumerate(texts)]
    sparse = [None if one is None else sparsify(one[0], 32) for one in heard]
    phones = [None if one is None else one[1].astype(np.float16) for one in heard]
    columns = {
        "utterance_id": [f"u{at}" for at in range(len(texts))],
        "duration_seconds": [None if one is None else 0.04 * one.frames for one in sparse],
        "audio_sha256": [f"{at:064x}" for at in range(len(texts))],
        "model_id": ["model"] * len(texts),
        "frame_seconds": [0.04] * len(texts),
        "frames": [None if one is None else one.frames for one in sparse],
        "k": [None if one is None else one.ids.shape[1] for one in sparse],
        "token_ids": flat_lists([None if one is None else one.ids for one in sparse], pa.int16()),
        "token_log_probs": flat_lists([None if one is None else one.values for one in sparse], pa.float16()),
        "phones": [None if one is None else one.shape[1] for one in phones],
        "phone_log_probs": flat_lists(phones, pa.float16()),
        "entities": pa.array(own or [None] * len(texts), pa.list_(pa.string())),
        "error": [None if text is not None else f"u{at}: no audio." for at, text in enumerate(texts)],
    }
    return with_origin(pa.table(columns)).select(EMISSIONS.names).cast(EMISSIONS)


def _heard(text: str, seed: int, tokens: Tokens, sure: bool) -> tuple[np.ndarray, np.ndarray]:
    """[T, pieces] and [T, 40] log-probs; where one is doubtful, another is nearly as likely."""
    generator = np.random.default_rng(seed)
    said = (sounds().pronouncer.pronounce(word)[:1] for word in text.split())
    phones = [PHONE_IDS[phone] + 1 for one in said for phones in one for phone in phones]
    pieces = tokens.encoder(f" {text}" if tokens is CHARACTERS else text)
    frames = 2 * max(len(pieces), len(phones)) + 2
    shapes = ((pieces, len(tokens.pieces)), (phones, 40))
    spelled, said = (_spread(labels, size, frames, generator, sure) for labels, size in shapes)
    return spelled, said


def _spread(labels: Sequence[int], size: int, frames: int, generator: np.random.Generator, sure: bool) -> np.ndarray:
    """Labels over frames with blanks (0) between them."""
    scores = generator.normal(0.0, 0.5, (frames, size))
    scores[:, 0] += 6.0
    for at, label in zip(np.linspace(0, frames - 2, max(1, len(labels))).astype(int), labels, strict=False):
        scores[at] = generator.normal(0.0, 0.5, size)
        scores[at, label] += 7.0 if sure else generator.choice([7.0, 4.0, 2.0])
        scores[at, generator.integers(1, size)] += 0.0 if sure else generator.choice([0.0, 3.0, 4.0])
    return (scores - np.log(np.exp(scores).sum(axis=1, keepdims=True))).astype(np.float32)
