"""What speaks for an entity against the words that the unbiased search writes in its place.

Each proposal is measured by FEATURES: how its sounds, its spelling and its context compare with those of the unbiased
words, how sure the unbiased search was, how long the entity is and how much else on the list sounds like it. The
guard weighs them (pipeline.rescoring.guard).
"""

import dataclasses
import itertools
import math
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from pipeline.config import GuardConfig, LanguageModelConfig, ShortlistConfig
from pipeline.lexicon.alignment import IMPOSSIBLE, AlignedWord
from pipeline.lexicon.phone_index import PhoneIndex, nearest_distance
from pipeline.lexicon.phones import ARPABET, Pronunciation
from pipeline.lexicon.pronunciation import ListPronouncer, Pronouncer
from pipeline.lexicon.subwords import SubwordScorer
from pipeline.rescoring.aligned import Fit, Variants, align_hypothesis, floored
from pipeline.rescoring.context import ContextScorer
from pipeline.rescoring.proposals import Proposal
from pipeline.rescoring.scene import Scene
from pipeline.retrieval.phonetic import Phonetic
from pipeline.retrieval.standing import Standing, Standings
from pipeline.types.emissions import Emissions, SparseLogProbs
from pipeline.types.entity import EntityList
from pipeline.types.hypothesis import Hypothesis
from pipeline.types.tokens import Tokens

FEATURES = (
    "gain",  # nats of phone cost by which it is cheaper than the unbiased words
    "gain_per_phone",
    "excess_per_phone",  # nats of phone cost of the entity above the best path, whatever that says
    "worst_phone",  # most of that on one phone: one clear mismatch says more than many slight ones
    "second_worst",
    "unbiased_excess",  # nats of the unbiased words above the best path
    "unbiased_worst",
    "phones",  # of the entity
    "short",  # phones that it lacks to five
    "difference",  # edit distance between its pronunciation and that of the unbiased words
    "homophone",  # 1 where that is nothing
    "misheard",  # edit distance between its pronunciation and what the phone head reads there
    "spelling",  # nats of subword score by which it beats the unbiased words
    "misspelled",  # nats of subword score of its best path below the best path of all
    "adapted",  # nats by which the contextual adapter moves that comparison towards it; 0 without an adapter
    "attended",  # log odds of the adapter's highest attention to it; 0 without an adapter
    "attended_frames",  # log of 1 + frames of attention to it
    "context",  # nats by which the language model prefers it
    "rarity",  # -log10 of the frequency of the rarest unbiased word
    "unbiased_unknown",  # unbiased words that the language model does not know
    "unknown",  # words of the proposal that it does not know
    "doubt",  # -log of the lowest confidence of the unbiased words
    "rivals",  # log of 1 + other entities of the list that sound like what was heard
    "rival_distance",  # edit distance per phone of the nearest of them
    "margin",  # nats of gain by which it beats the best other proposal for the same words
    "words",  # by which it is longer than the unbiased words
    "searched",  # 1 if the beam search wrote it, 0 if only the lookup found it
    "crowd",  # log of plausible entities per second: the more there are, the less each is to be expected
    "close_crowd",  # the same of those that the phones fit closely: many of them are a list of sound-alikes
    "own_subwords",  # nats per piece by which the entity's own pieces, where they lie best there, miss the best ones
    "catalog",  # doublings of the list's size beyond 4,096, if it was ranked; 0 for smaller lists
    "retrieved",  # log odds that it was said, by itself (pipeline.retrieval.standing); of several the lowest
    "as_likely",  # log of 1 + others of the shortlist with at least these odds, wherever they fit
    "rivals_here",  # log of 1 + others that end in the same place and have nearly these odds
    "share",  # log of its share of the odds of all that end there
)
"""Names of the measurements, in the order of every vector of all of them. Weights are for these or some of them."""

_RANGES = {
    "gain": (-10.0, 15.0), "gain_per_phone": (-2.0, 3.0), "excess_per_phone": (0.0, 4.0), "worst_phone": (0.0, 10.0),
    "second_worst": (0.0, 8.0), "unbiased_excess": (0.0, 30.0), "unbiased_worst": (0.0, 10.0), "phones": (0.0, 14.0),
    "difference": (0.0, 5.0), "misheard": (0.0, 4.0), "spelling": (-20.0, 10.0), "misspelled": (0.0, 30.0),
    "adapted": (-10.0, 20.0), "context": (-25.0, 15.0), "unbiased_unknown": (0.0, 2.0), "unknown": (0.0, 2.0),
    "doubt": (0.0, 3.0), "margin": (-5.0, 5.0), "words": (-3.0, 3.0), "own_subwords": (0.0, 10.0),
    "catalog": (0.0, 9.0), "retrieved": (-16.0, 6.0), "share": (-8.0, 0.0),
}  # fmt: skip
"""Beyond these more of the same says nothing more."""
_SUBWORD_FLOOR = -10.0  # nats; a piece outside a frame's candidates is about this unlikely
_FRAMES, _LEAST_CROWD = 25.0, 0.05  # of phones, per second; a twentieth per second is as good as none
_CLOSE = ShortlistConfig(per_phone=1.0, spare=0.0)
"""What fits closely: of 0.25 to 1.9 nats per phone what tells long lists from lists of sound-alikes best."""
_LEAST_ATTENTION = 1e-3  # less is as good as none
_RIVAL_DISTANCE = 0.4  # weighted edit distance per phone
_SAME_SOUND = 0.15  # less than any substitution
_MOST_RIVALS = 50
_ANY = (-np.inf, np.inf)
_OWN = "own_subwords"
STANDING = ("retrieved", "as_likely", "rivals_here", "share")
"""Those that need the weights of the log odds."""
_SMALLEST_CLASS = 12  # power of two of the smallest lists that are ranked
_NOT_ALLOWED = -16.0  # log odds of what the phones do not allow
_NEARLY = 1.0  # nats of log odds
_MOST_AHEAD = 20.0  # nats; a share is as good as nothing below that
_AFTER = 3  # frames after the last phone in which a spelling may end
_READINGS = 3  # pronunciations of a text that are compared

Vector = npt.NDArray[np.float64]


class Evidence:
    """Holds the models that proposals are measured with."""

    def __init__(
        self,
        config: GuardConfig,
        tokens: Tokens,
        language_model: LanguageModelConfig | None,
        pronouncer: Pronouncer,
        lists: ListPronouncer,
    ) -> None:
        """Raises ModelError if the language model is missing or corrupt."""
        self._config, self._pronouncer, self._lists = config, pronouncer, lists
        self._subwords, self._pieces = SubwordScorer(tokens), len(tokens.pieces)
        self._context = ContextScorer(language_model)
        self._close = Phonetic(_CLOSE, pronouncer, keep=1)
        self._standings = Standings(pronouncer, tokens)

    @property
    def by_letters(self) -> bool:
        """Whether a model's own letters are heard in place of phones."""
        return self._pronouncer.units is not ARPABET

    def scene(
        self, unbiased: Hypothesis, emissions: Emissions, entities: EntityList, size_class: int = 0
    ) -> Scene | None:
        """Return the utterance prepared for ``measure``; None without a phone head or room for the words.

        size_class: of the list that ``entities`` was chosen from, see Shortlister.size_class
        """
        if emissions.phone_log_probs is None or not emissions.tokens.frames:
            return None
        log_probs = floored(emissions.phone_log_probs, self._config.floor)
        listed = self._lists.pronounce(entities)
        plain, rate = dataclasses.replace(unbiased, entities=()), emissions.phone_rate
        aligned = align_hypothesis(plain, log_probs, self._pronouncer, {}, rate)
        if aligned.alignment.cost >= IMPOSSIBLE:
            return None
        subwords = self._dense(emissions.tokens)
        adapted = None if emissions.adapted is None else self._dense(emissions.adapted)
        return Scene(
            aligned,
            subwords,
            subwords.max(axis=1),
            adapted,
            _attention(emissions, entities),
            -log_probs.max(axis=1),
            [word.text for word in unbiased.words],
            PhoneIndex(((text, one) for text, variants in listed.items() for one in variants), self._pronouncer.units),
            listed,
            self._fitting(emissions.phone_log_probs, entities),
            emissions,
            entities,
            size_class,
        )

    def _fitting(self, phone_log_probs: npt.NDArray[np.float16], entities: EntityList) -> int:
        """Return how many entities the phones fit closely."""
        return len(self._close.matching(phone_log_probs, self._close.compile(entities)).entities)

    def _dense(self, tokens: SparseLogProbs) -> npt.NDArray[np.float32]:
        return np.maximum(tokens.dense(self._pieces), np.float32(_SUBWORD_FLOOR))

    def measure(
        self,
        scene: Scene,
        proposals: Sequence[Proposal],
        features: Sequence[str] = FEATURES,
        odds: Sequence[float] | None = None,
    ) -> list[tuple[Vector, Fit]]:
        """Return, for each proposal, its ``features``, each within its range, and how it lies on the phones.

        odds: weights of pipeline.retrieval.ranked; without them all entities are as likely, and no others are there
        """
        ranked = odds is not None and not set(STANDING).isdisjoint(features) and bool(proposals)
        places = self._standings.of(scene.heard, scene.entities, odds) if odds is not None and ranked else None
        units = [self._units(scene, proposal) for proposal in proposals]
        fits = [
            scene.aligned.fit(one.first, one.last, [variants for _, variants in parts])
            for one, parts in zip(proposals, units, strict=True)
        ]
        spots = [(one.first, one.last) for one in proposals]
        measured = []
        for at, (proposal, fit) in enumerate(zip(proposals, fits, strict=True)):
            others = [fits[k].gain for k, spot in enumerate(spots) if k != at and spot == spots[at]]
            found = self._sounds(scene, proposal, units[at], fit)
            found |= self._spelling(scene, proposal) | self._words(scene, proposal)
            found |= _attended(scene, proposal)
            found |= {"crowd": _per_second(len(scene.listed), scene), "close_crowd": _per_second(scene.close, scene)}
            found |= {"catalog": max(0, scene.size_class - _SMALLEST_CLASS)} | _standing(places, proposal, fit)
            found["margin"] = fit.gain - max(others) if others else np.inf
            if _OWN in features:
                found[_OWN] = self._own_subwords(scene, proposal)
            measured.append((np.array([np.clip(found[name], *_RANGES.get(name, _ANY)) for name in features]), fit))
        return measured

    def _sounds(
        self, scene: Scene, proposal: Proposal, units: list[tuple[str | None, Variants]], fit: Fit
    ) -> dict[str, float]:
        first, last = proposal.first, proposal.last
        said = [word for (entity, _), word in zip(units, fit.words, strict=True) if entity]
        excess = sorted((cost for word in said for cost in phone_excess(word, scene.least, fit.start)), reverse=True)
        replaced = scene.aligned.alignment.words[first:last]
        unbiased = [cost for word in replaced for cost in phone_excess(word, scene.least, 0)]
        heard = scene.aligned.heard(first, last) if last > first else ()
        names = {span.entity for span in proposal.spans}
        rivals = [one for one in scene.index.nearest(heard, _RIVAL_DISTANCE, _MOST_RIVALS) if one.key not in names]
        readings = _joined([variants for _, variants in units])
        difference = nearest_distance(readings, self._readings(scene.texts[first:last]), self._pronouncer.units)
        return {
            "gain": fit.gain,
            "gain_per_phone": fit.gain / max(2, len(excess)),
            "excess_per_phone": sum(excess) / max(1, len(excess)),
            "worst_phone": max(excess, default=0.0),
            "second_worst": excess[1] if len(excess) > 1 else 0.0,
            "unbiased_excess": sum(unbiased),
            "unbiased_worst": max(unbiased, default=0.0),
            "phones": len(excess),
            "short": max(0, 5 - len(excess)),
            "difference": difference,
            "homophone": difference < _SAME_SOUND,
            "misheard": nearest_distance(readings, [heard], self._pronouncer.units),
            "rivals": math.log1p(len(rivals)),
            "rival_distance": min((one.distance for one in rivals), default=_RIVAL_DISTANCE),
        }

    def _words(self, scene: Scene, proposal: Proposal) -> dict[str, float]:
        there = scene.aligned.hypothesis.words[proposal.first : proposal.last]
        return {
            "context": self._likelier(scene.texts, proposal),
            "rarity": max((self._context.rarity(word.text) for word in there), default=0.0),
            "unbiased_unknown": sum(not self._context.knows(word.text) for word in there),
            "unknown": sum(not self._context.knows(word.text) for word in proposal.words),
            "doubt": -math.log(max(1e-4, min((word.confidence for word in there), default=1.0))),
            "words": len(proposal.words) - len(there),
            "searched": proposal.from_search,
        }

    def _units(self, scene: Scene, proposal: Proposal) -> list[tuple[str | None, Variants]]:
        """The proposal cut into entities, with the list's pronunciations, and single words."""
        units: list[tuple[str | None, Variants]] = []
        at = 0
        for span in proposal.spans:
            units += [(None, self._pronouncer.pronounce(word.text)) for word in proposal.words[at : span.start_word]]
            units.append((span.entity, scene.listed.get(span.entity) or self._pronouncer.pronounce(span.entity)))
            at = span.end_word
        return units + [(None, self._pronouncer.pronounce(word.text)) for word in proposal.words[at:]]

    def _readings(self, texts: Sequence[str]) -> list[Pronunciation]:
        return _joined([self._pronouncer.pronounce(text) for text in texts])

    def _spelling(self, scene: Scene, proposal: Proposal) -> dict[str, float]:
        """Compare subword scores over the frames of the unbiased words and one neighbour on each side."""
        texts, (before, after), (start, end) = scene.texts, *_surroundings(scene, proposal)
        changed = [*texts[before : proposal.first], proposal.text, *texts[proposal.last : after]]
        compared = " ".join(texts[before:after]), " ".join(text for text in changed if text)
        ours, theirs = (self._subwords.score(scene.subwords[start:end], words) for words in compared)
        found = {"spelling": theirs - ours, "misspelled": float(scene.best_spelled[start:end].sum()) - theirs}
        if scene.adapted is None:
            return found | {"adapted": 0.0}
        unbiased, biased = (self._subwords.score(scene.adapted[start:end], words) for words in compared)
        return found | {"adapted": biased - unbiased - found["spelling"]}

    def _own_subwords(self, scene: Scene, proposal: Proposal) -> float:
        """Return the cost per piece of the entity of ``proposal`` that costs most, each where it lies best."""
        _, (start, end) = _surroundings(scene, proposal)
        found = [0.0]
        for span in proposal.spans:
            text = " ".join(word.text for word in proposal.words[span.start_word : span.end_word])
            cost, pieces = self._subwords.cheapest(scene.subwords[start:end], scene.best_spelled[start:end], text)
            found.append(cost / pieces)
        return max(found)

    def _likelier(self, texts: list[str], proposal: Proposal) -> float:
        before, there, after = texts[: proposal.first], texts[proposal.first : proposal.last], texts[proposal.last :]
        instead = [word.text for word in proposal.words]
        return self._context.score(before, instead, after) - self._context.score(before, there, after)


def _surroundings(scene: Scene, proposal: Proposal) -> tuple[tuple[int, int], tuple[int, int]]:
    """Words and frames, first and after the last, of what a proposal replaces with one neighbour on each side."""
    words = scene.aligned.hypothesis.words
    before, after = max(0, proposal.first - 1), min(len(words), proposal.last + 1)
    start = words[before].start_frame if before > 0 else 0
    return (before, after), (start, words[after].start_frame if after < len(words) else len(scene.subwords))


def _per_second(count: int, scene: Scene) -> float:
    return math.log(count * _FRAMES / len(scene.least) + _LEAST_CROWD)


def _standing(places: Mapping[str, Standing] | None, proposal: Proposal, fit: Fit) -> dict[str, float]:
    """Compare the entity of ``proposal`` that is least likely with the others of the shortlist."""
    if places is None:
        return dict.fromkeys(STANDING, 0.0)
    names, (start, end) = {span.entity for span in proposal.spans}, fit.frames
    own = min((places[name].odds if name in places else _NOT_ALLOWED for name in names), default=_NOT_ALLOWED)
    others = [place for name, place in places.items() if name not in names]
    here = [place.odds for place in others if start <= place.end <= end + _AFTER]
    return {
        "retrieved": own,
        "as_likely": math.log1p(sum(place.odds >= own for place in others)),
        "rivals_here": math.log1p(sum(odds >= own - _NEARLY for odds in here)),
        "share": -math.log1p(sum(math.exp(min(odds - own, _MOST_AHEAD)) for odds in here)),
    }


def _attention(emissions: Emissions, entities: EntityList) -> dict[str, tuple[float, float]]:
    if emissions.attended is None:
        return {}
    names = [entity.text for entity in entities.entities]
    pairs = zip(names, emissions.attended.tolist(), strict=True)
    return {name: (peak, frames) for name, (peak, frames, _) in pairs if not math.isnan(peak)}


def _attended(scene: Scene, proposal: Proposal) -> dict[str, float]:
    """What the adapter says of the entity of ``proposal`` that it attends to least."""
    heard = [scene.attended[span.entity] for span in proposal.spans if span.entity in scene.attended]
    if not heard:
        return {"attended": 0.0, "attended_frames": 0.0}
    peak, frames = min(heard)
    odds = math.log((peak + _LEAST_ATTENTION) / (1 - peak + _LEAST_ATTENTION))
    return {"attended": odds, "attended_frames": math.log1p(frames)}


def phone_excess(word: AlignedWord, least: npt.NDArray[np.float32], start: int) -> list[float]:
    """Nats that each phone of an aligned word costs above the best path; ``word``'s frames count from ``start``."""
    found = []
    for number, phone in enumerate(word.phones):
        following = word.phones[number + 1].start_frame if number + 1 < len(word.phones) else phone.end_frame
        found.append(max(0.0, phone.cost - float(least[start + phone.start_frame : start + following].sum())))
    return found


def _joined(parts: Sequence[Variants]) -> list[Pronunciation]:
    """A few ways to say the parts one after the other, the likeliest first."""
    choices = itertools.product(*[part[:_READINGS] or ((),) for part in parts])
    return [tuple(itertools.chain(*choice)) for choice in itertools.islice(choices, _READINGS)]
