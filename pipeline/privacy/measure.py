"""Everything that the report says of one mechanism, measured on the rows of a run."""

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence

import kenlm
import numpy as np
import pyarrow as pa

from pipeline.privacy import attacks, utility
from pipeline.privacy.config import GROUPED, PrivacyConfig
from pipeline.privacy.embeddings import load
from pipeline.privacy.mechanism import Mechanism
from pipeline.privacy.mechanisms import build
from pipeline.privacy.page import Measured
from pipeline.privacy.release import Releaser

_WORDS = 200  # whose moves are measured
_SENTENCES = 50  # that are reconstructed
_LEAST_SPEAKERS = 3  # to link


def measure(
    config: PrivacyConfig, rows: pa.Table, tags: Mapping[str, str], model: kenlm.Model, labels: Mapping[str, str]
) -> Measured:
    """Return the figures for TRANSCRIPTS rows that all have a text; ``labels``: utterance -> class, may be empty.

    The key is a public one: measuring is no release. Raises ConfigError where the mechanism cannot be calibrated.
    """
    embeddings = load(config.embeddings)
    mechanism = build(config, embeddings)
    releaser = Releaser(config, b"measured, not released", tags, mechanism)
    texts, ids = rows["text"].to_pylist(), rows["utterance_id"].to_pylist()
    private, names = _private(releaser, rows)
    prior = attacks.Prior.of(Counter(word for text in texts for word in text.split()), embeddings)
    bits = np.random.default_rng(0).integers(0, 2**64, (attacks.DRAWS, 4), np.uint64)
    speakers = rows["speaker"].to_pylist()
    linked, linked_before = _linked(mechanism, speakers, texts, private)
    if config.mechanism == GROUPED and not config.is_nearest and linked is not None:
        by_groups, _ = _linked(None, speakers, *(attacks.in_groups(one, embeddings) for one in (texts, private)))
        linked = max(linked, by_groups or 0.0)
    recovered, blind = _recovered(mechanism, texts, private, names, model)
    accuracy, accuracy_before = _accuracy(config, labels, ids, texts, private)
    return Measured(
        config,
        mechanism.audit(),
        utility.moves(mechanism, utility.sample_of(embeddings, _WORDS)),
        attacks.bayes_success(mechanism, prior, bits),
        utility.changed(texts, private),
        _changed_names(texts, private, names),
        linked,
        linked_before,
        recovered,
        blind,
        accuracy,
        accuracy_before,
        _perplexity(private, model),
        _perplexity(texts, model),
    )


def _private(releaser: Releaser, rows: pa.Table) -> tuple[list[str], list[set[int]]]:
    """The private texts in the order of the rows, and which of their words were replaced as names."""
    found = {row["utterance_id"]: row for row in releaser.private(rows).to_pylist()}
    ordered = [found[charge.utterance] for charge in releaser.charges(rows)]
    names = [{at for tag in row["tags"] for at in range(tag["start_word"], tag["end_word"])} for row in ordered]
    return [row["text"] for row in ordered], names


def _changed_names(texts: Sequence[str], private: Sequence[str], names: Sequence[set[int]]) -> float:
    pairs = [
        (text.split()[at], other.split()[at])
        for text, other, places in zip(texts, private, names, strict=True)
        for at in places
    ]
    return sum(a != b for a, b in pairs) / max(len(pairs), 1)


def _linked(
    mechanism: Mechanism | None, speakers: Sequence[str | None], texts: Sequence[str], private: Sequence[str]
) -> tuple[float | None, float | None]:
    """Every second text of a speaker is known, the others are to be linked; by the better of two attacks."""
    known: dict[str, list[str]] = {}
    unknown: dict[str, list[str]] = {}
    before: dict[str, list[str]] = {}
    for at, speaker in enumerate(speakers):
        if speaker is None:
            continue
        if len(known.get(speaker, ())) <= len(unknown.get(speaker, ())):
            known.setdefault(speaker, []).append(texts[at])
        else:
            unknown.setdefault(speaker, []).append(private[at])
            before.setdefault(speaker, []).append(texts[at])
    if len(unknown) < _LEAST_SPEAKERS:
        return None, None
    after, at_first = attacks.linked(known, unknown), attacks.linked(known, before)
    if mechanism is not None and len(mechanism.outputs) == len(mechanism.embeddings):
        after = max(after, attacks.ByChannel.of(known, mechanism.embeddings, mechanism).linked(unknown))
        at_first = max(at_first, attacks.ByChannel.of(known, mechanism.embeddings, None).linked(before))
    return after, at_first


def _recovered(
    mechanism: Mechanism, texts: Sequence[str], private: Sequence[str], names: Sequence[set[int]], model: kenlm.Model
) -> tuple[float | None, float | None]:
    """Ordinary words recovered by channel times language model, and by the language model alone."""
    embeddings = mechanism.embeddings
    if len(mechanism.outputs) != len(embeddings) or not mechanism.is_exact:
        return None, None
    shares, hits = utility.frequencies(texts, embeddings), Counter[str]()
    for text, other, places in zip(texts[:_SENTENCES], private, names, strict=False):
        words = text.split()
        kept = [at for at, word in enumerate(other.split()) if at not in places and word in embeddings.ids]
        written = other.split()
        found = [attacks.candidates(mechanism, embeddings.ids[written[at]], shares) for at in kept]
        if not found:
            continue
        even = [attacks.Candidates(one.words, [0.0] * len(one.words)) for one in found]
        for kind, positions in (("attack", found), ("alone", even)):
            guesses = attacks.reconstruct(positions, model)
            hits[kind] += sum(words[at] == guess for at, guess in zip(kept, guesses, strict=True))
        hits["all"] += len(kept)
    return hits["attack"] / max(hits["all"], 1), hits["alone"] / max(hits["all"], 1)


def _accuracy(
    config: PrivacyConfig, labels: Mapping[str, str], ids: Sequence[str], texts: Sequence[str], private: Sequence[str]
) -> tuple[float | None, float | None]:
    """Half of the labelled utterances train, on private and on original texts; originals of the others test."""
    known = [at for at, name in enumerate(ids) if name in labels]
    train = [at for at in known if hashlib.sha256(ids[at].encode()).digest()[0] % 2]
    test = [utility.Labelled(texts[at], labels[ids[at]]) for at in known if at not in set(train)]
    if not train or not test:
        return None, None
    embeddings = load(config.embeddings)
    sides = [[utility.Labelled(source[at], labels[ids[at]]) for at in train] for source in (private, texts)]
    return utility.accuracy(sides[0], test, embeddings), utility.accuracy(sides[1], test, embeddings)


def _perplexity(texts: Sequence[str], model: kenlm.Model) -> float:
    words = sum(len(text.split()) + 1 for text in texts)
    return float(10 ** (-sum(model.score(text) for text in texts) / max(words, 1)))
