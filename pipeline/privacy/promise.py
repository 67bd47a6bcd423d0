"""What a release promises, in words and as JSON: no more than is true, and what it does not protect."""

import json
import math
from collections.abc import Mapping
from typing import Any

from pipeline.privacy.config import GROUPED, LAPLACE, REDACT, PrivacyConfig
from pipeline.privacy.embeddings import Embeddings
from pipeline.privacy.lists import surrogates
from pipeline.privacy.mechanism import Audit
from pipeline.privacy.nearest import near_count, outputs_of
from pipeline.privacy.partition import GROUP

NOT_PROTECTED = (
    "the number of words of an utterance, and their order",
    "which words are names, numbers, dates, spelled or addresses, of which class, and how often each comes",
    "endings ('s) and which utterances are of one recording or speaker, under pseudonyms",
    "that two releases are of equal texts, where they are: then they are equal too",
    "what the words that stay say together: syntax, length and topics tell authors apart",
    "anything in a word that is in the vocabulary, not on a list and no entity, beyond epsilon",
)
"""What nobody should rely on."""


def promise(config: PrivacyConfig, embeddings: Embeddings, audit: Audit) -> dict[str, Any]:
    """Return what is promised, as JSON; infinite numbers are null."""
    return {
        "mechanism": config.mechanism,
        "parameters": json.loads(config.parameters),
        "embeddings": embeddings.content_hash,
        "vocabulary": len(embeddings),
        "groups": len(embeddings.members) if config.mechanism == GROUPED and not config.is_nearest else None,
        **({"outputs": len(outputs_of(len(embeddings)))} if config.is_nearest else {}),
        "claim": audit.claim,
        "claimed": audit.claimed,
        "audited": _finite(audit.measured),
        "audited_how": audit.how,
        "audit_exceeds_claim": audit.exceeds,
        "largest_loss_over_all_pairs_of_words": _finite(audit.all_pairs),
        "epsilon_per_word": _finite(audit.charge),
        "words_that_only_come_out_as_themselves": audit.alone,
        "not_protected": list(NOT_PROTECTED),
        "surrogates": {kind: len(names) for kind, names in surrogates().items()},
        "model": "local: every word is drawn on its own; nobody has to be trusted after the release",
    }


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def document(config: PrivacyConfig, embeddings: Embeddings, audit: Audit, counts: Mapping[str, Any]) -> str:
    """Return PRIVACY.md; ``counts`` are rows, words and replaced words of the release."""
    lists = ", ".join(f"{len(names):,} of class {kind}" for kind, names in surrogates().items())
    lines = [
        "# What this release promises",
        "",
        f"{counts['rows']:,} utterances with {counts['words']:,} words, of which {counts['replaced']:,} were "
        "replaced as names, numbers, dates, spelled letters or addresses. Written by a recogniser, then changed by a "
        "machine: no sentence here was said as it stands.",
        "",
        "## Words",
        "",
        _words(config, embeddings, audit),
        "",
        _sums(audit),
        "",
        "## Names",
        "",
        "A word is a name if it belongs to an entity that the recogniser found, if it is not "
        f"among the {len(embeddings):,} words of the public vocabulary, or if it stands in public lists of names and "
        "is not one of the commonest words. What is written for it was drawn evenly from a public list, by a keyed "
        f"hash of the recording and the word: {lists}. It does not depend on the word for anyone without the key. A "
        "name that is an ordinary word (Rose, Mark), that no list has and that the recogniser did not find as an "
        "entity, is treated as the ordinary word.",
        "",
        "## Not protected",
        "",
        *(f"- {line}" for line in NOT_PROTECTED),
        "",
        "Word vectors, groups, lists of names and this program are public and were not made from these texts. The "
        "model is local: each word is drawn on its own, and the promise holds whatever else is known of the other "
        "words.",
        "",
        "## How chance comes about",
        "",
        "The noise of a word is HMAC-SHA256 under a secret key, of the mechanism, its parameters and epsilon, the "
        "vectors and groups, the utterance, its text, the word's position and the word. Equal inputs give equal "
        "words, so that releasing the same again tells nothing more; against whoever has the key nothing is "
        f"promised. Probabilities are sums of 64-bit floating-point numbers, {_sampling(config)}",
        "",
    ]
    return "\n".join(lines)


def _words(config: PrivacyConfig, embeddings: Embeddings, audit: Audit) -> str:
    if config.mechanism == REDACT:
        return "Every word that is no name is written `[word]`. It tells nothing but that it is one."
    text = f"Mechanism `{config.mechanism}`. Claim: {audit.claim}."
    if config.is_nearest:
        places = outputs_of(len(embeddings))
        count, first = len(places), f", without the first {places.start:,}" if places.start else ""
        text += (
            f" A word comes out as one of the {count:,} commonest of the {len(embeddings):,} words of the "
            f"vocabulary{first}. The {near_count(config.epsilon, count):,} of them that are nearest to it are "
            f"{_times(config.epsilon)} times as likely as the others, each. So no outcome is more than that many times "
            "likelier with one word than with any other, and no public group of a word is told. What is written here "
            "is seldom what was said."
        )
    elif config.mechanism == GROUPED:
        text += (
            f" The {len(embeddings):,} words of the vocabulary lie in {len(embeddings.members):,} public groups of "
            f"about {_in_words(embeddings)} near words. A word comes out as one of its group, so its group is told, "
            "and with it topics: by groups alone speakers and recordings can be linked, whatever epsilon is. Inside "
            f"the group no outcome is more than {_times(config.epsilon)} times likelier with one word than with "
            "another."
        )
    found = "has no bound" if math.isinf(audit.measured) else f"is {audit.measured:.6g}"
    text += f" Audited ({audit.how}): the largest loss {found}"
    text += ", **which is more than is claimed**." if audit.exceeds else ", no more than is claimed."
    everything = "infinite" if math.isinf(audit.all_pairs) else f"{audit.all_pairs:.4g}"
    text += f" Over all pairs of words the largest loss is {everything}."
    if audit.alone:
        text += f" {audit.alone:,} words of the vocabulary can only come out as themselves."
    return text


def _times(epsilon: float) -> str:
    return f"e^{epsilon:g} = {math.exp(min(epsilon, 700)):.4g}"


def _in_words(embeddings: Embeddings) -> str:
    size = round(len(embeddings) / max(1, len(embeddings.members)))
    return "twenty" if size == GROUP else f"{size:,}"


def _sums(audit: Audit) -> str:
    if math.isinf(audit.charge):
        return "An utterance has no finite epsilon: this mechanism or truncation promises nothing of the kind."
    each = f"{audit.charge:.6g}"
    return (
        f"An utterance of n words tells at most n times {each}, a recording and a speaker the sum of theirs; `_ledger` "
        "beside this release has the sums, also of other releases below the same folder. For an utterance of 20 words "
        f"that is {20 * audit.charge:.4g}: as a whole it is protected weakly or not at all."
    )


def _sampling(config: PrivacyConfig) -> str:
    if config.mechanism == LAPLACE and config.prior == "none" and config.truncate is None:
        return "and noise is added in 32-bit floating point, for which the claim is proved in real numbers only."
    audited = "ones." if config.is_nearest else "ones where it is of groups."
    return (
        "added from the smallest, so that each is rounded by less than 1e-11 of itself; the audit is of the rounded "
        f"{audited}"
    )
