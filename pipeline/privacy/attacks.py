"""Attacks on private texts: the best guess of a word, linking speakers by style, reconstruction by a language model.

All of them know the mechanism, its parameters and everything that is public; none has the key.
"""

import dataclasses
import itertools
import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence

import kenlm
import numpy as np

from pipeline.privacy.embeddings import Embeddings, Floats, Words
from pipeline.privacy.mechanism import Mechanism
from pipeline.privacy.noise import Bits

_ROWS = 128
DRAWS = 20_000
"""For a mechanism without exact probabilities: half of them teach the attacker, half are guessed."""


@dataclasses.dataclass(frozen=True)
class Prior:
    """How often words come in texts: ids [M] and their shares [M], which sum to 1."""

    words: Words
    shares: Floats

    @classmethod
    def of(cls, counts: Mapping[str, int], embeddings: Embeddings) -> "Prior":
        """Return the shares of the counted words that are in the vocabulary."""
        known = sorted((embeddings.ids[word], count) for word, count in counts.items() if word in embeddings.ids)
        shares = np.array([count for _, count in known], float)
        return cls(np.array([word for word, _ in known], np.int32), shares / shares.sum())


def bayes_success(mechanism: Mechanism, prior: Prior, bits: Bits | None = None) -> float:
    """Return how often the best guess of a word from what came out is right: the sum over outcomes of max P(w) P(z|w).

    For a mechanism whose probabilities are not exact, ``bits`` [DRAWS, 4] draw what an attacker learns from and then
    guesses; that is what a real attack reaches, and so a lower bound.
    """
    if not mechanism.is_exact:
        return _learnt_success(mechanism, prior, bits if bits is not None else np.zeros((0, 4), np.uint64))
    best = np.zeros(len(mechanism.outputs))
    for at in range(0, len(prior.words), _ROWS):
        joint = mechanism.probabilities(prior.words[at : at + _ROWS]) * prior.shares[at : at + _ROWS, None]
        best = np.maximum(best, joint.max(axis=0))
    return float(best.sum())


def _learnt_success(mechanism: Mechanism, prior: Prior, bits: Bits) -> float:
    random = np.random.default_rng(0)
    words = prior.words[random.choice(len(prior.words), len(bits), p=prior.shares)]
    drawn, half = mechanism.draw(words, bits), len(bits) // 2
    seen: dict[int, Counter[int]] = {}
    for word, output in zip(words[:half].tolist(), drawn[:half].tolist(), strict=True):
        seen.setdefault(output, Counter())[word] += 1
    guesses = [seen[output].most_common(1)[0][0] if output in seen else output for output in drawn[half:].tolist()]
    return float(np.mean(np.array(guesses) == words[half:]))


def linked(known: Mapping[str, Sequence[str]], unknown: Mapping[str, Sequence[str]]) -> float:
    """Return the share of authors in ``unknown`` who are linked to themselves in ``known``, by the words they use.

    Both are texts by author. Profiles are frequencies of words and pairs of words, weighted by how few authors use
    them; the nearest one by cosine is the guess.
    """
    names = sorted(known)
    profiles = [_profile(known[name]) for name in names]
    spread = Counter(part for profile in profiles for part in profile)
    hits = 0
    for name, texts in unknown.items():
        profile = _profile(texts)
        scores = [_cosine(profile, other, spread, len(names)) for other in profiles]
        hits += names[int(np.argmax(scores))] == name
    return hits / len(unknown)


@dataclasses.dataclass(frozen=True)
class ByChannel:
    """An attacker who knows the mechanism: which author's words are likeliest to come out as these?

    An author's words are taken to be half those of its known texts and half those of all authors. No attack by single
    words does better, were that so. logs: [authors, N], of the probability of each outcome with each author.
    """

    names: Sequence[str]
    logs: Floats
    embeddings: Embeddings

    @classmethod
    def of(cls, known: Mapping[str, Sequence[str]], embeddings: Embeddings, mechanism: Mechanism | None) -> "ByChannel":
        """Learn from texts by author; None for a mechanism that changes nothing.

        Where probabilities are not exact, they are learnt from LEARNT draws for each author.
        """
        names = sorted(known)
        counts = [Counter(_known_ids(known[name], embeddings)) for name in names]
        words = np.array(sorted(set().union(*counts)), np.int32)
        shares = np.array([[count[word] for word in words.tolist()] for count in counts], float)
        everybody = shares.sum(axis=0) / shares.sum()
        shares = _OWN * shares / np.maximum(shares.sum(axis=1, keepdims=True), 1.0) + (1 - _OWN) * everybody
        expected = np.zeros((len(names), len(embeddings)))
        if mechanism is None:
            expected[:, words] = shares
        elif mechanism.is_exact:
            for at in range(0, len(words), _ROWS):
                expected += shares[:, at : at + _ROWS] @ mechanism.probabilities(words[at : at + _ROWS])
        else:
            random = np.random.default_rng(0)
            for line, share in zip(expected, shares, strict=True):
                chosen = words[random.choice(len(words), LEARNT, p=share / share.sum())]
                drawn = mechanism.draw(chosen, random.integers(0, 2**64, (LEARNT, 4), np.uint64))
                line += np.bincount(drawn, minlength=len(line)) / LEARNT
            expected = (expected + expected.mean(axis=0)) / 2
        return cls(names, np.log(expected + _NEVER), embeddings)

    def linked(self, unknown: Mapping[str, Sequence[str]]) -> float:
        """Return the share of authors in ``unknown`` who are linked to themselves."""
        hits = 0
        for name, texts in unknown.items():
            outcomes = list(_known_ids(texts, self.embeddings))
            hits += self.names[int(self.logs[:, outcomes].sum(axis=1).argmax())] == name
        return hits / len(unknown)


LEARNT = 10_000
_OWN, _NEVER = 0.5, 1e-9


def _known_ids(texts: Iterable[str], embeddings: Embeddings) -> Iterator[int]:
    for text in texts:
        for word in text.split():
            found = embeddings.ids.get(word, embeddings.ids.get(word.removesuffix("'s")))
            if found is not None:
                yield found


def in_groups(texts: Sequence[str], embeddings: Embeddings) -> list[str]:
    """Return texts with the public group of each known word in its place, and nothing of the others.

    ``kary`` and ``distance`` tell groups whatever epsilon is: whoever looks for an author by groups meets no noise.
    """
    return [" ".join(str(embeddings.groups[word]) for word in _known_ids([text], embeddings)) for text in texts]


def _profile(texts: Sequence[str]) -> Counter[str]:
    counts: Counter[str] = Counter()
    for text in texts:
        words = text.split()
        counts.update(words)
        counts.update(f"{a} {b}" for a, b in itertools.pairwise(words))
    return counts


def _cosine(one: Counter[str], other: Counter[str], spread: Counter[str], authors: int) -> float:
    def weighted(profile: Counter[str]) -> dict[str, float]:
        return {
            part: math.log1p(count) * math.log((1 + authors) / (0.5 + spread[part])) for part, count in profile.items()
        }

    a, b = weighted(one), weighted(other)
    product = sum(value * b.get(part, 0.0) for part, value in a.items())
    norms = math.sqrt(sum(v * v for v in a.values()) * sum(v * v for v in b.values()))
    return product / norms if norms else 0.0


@dataclasses.dataclass(frozen=True)
class Candidates:
    """What may have stood at a position, and the logarithm of how likely each leads to what came out."""

    words: Sequence[str]
    logs: Sequence[float]


def reconstruct(positions: Sequence[Candidates], model: kenlm.Model) -> list[str]:
    """Return the likeliest sequence under channel times language model (its bigrams), by Viterbi's algorithm."""
    begin = kenlm.State()
    model.BeginSentenceWrite(begin)
    paths: list[tuple[float, list[str], kenlm.State]] = [(0.0, [], begin)]
    for position in positions:
        following = []
        for word, log in zip(position.words, position.logs, strict=True):
            best: tuple[float, list[str], kenlm.State] | None = None
            for score, path, state in paths:
                after = kenlm.State()
                total = score + model.BaseScore(state, word, after) * math.log(10) + log
                if best is None or total > best[0]:
                    best = (total, [*path, word], after)
            if best is not None:
                following.append(best)
        paths = sorted(following, key=lambda one: -one[0])[:_KEPT]
    return max(paths, key=lambda one: one[0])[1]


_KEPT = 20  # paths of which each position is continued


def candidates(mechanism: Mechanism, output: int, shares: Floats, most: int = 20) -> Candidates:
    """Return the ``most`` likeliest words behind an output; ``shares`` [N] is how often each word comes."""
    behind = mechanism.behind(output)
    kept = [at for at in np.argsort(-behind.chances * shares[behind.words])[:most].tolist() if behind.chances[at] > 0]
    words = mechanism.embeddings.words
    return Candidates([words[behind.words[at]] for at in kept], [math.log(behind.chances[at]) for at in kept])
