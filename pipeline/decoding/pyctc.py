"""pyctcdecode with KenLM behind the project's interface: the baseline that our own search is measured against."""

from typing import Any, SupportsIndex

import numpy as np
import numpy.typing as npt
from pyctcdecode.alphabet import Alphabet
from pyctcdecode.decoder import BeamSearchDecoderCTC
from pyctcdecode.language_model import HotwordScorer
from pyctcdecode.language_model import LanguageModel as PyctcLanguageModel

from pipeline.config import BeamConfig, LanguageModelConfig, RunConfig
from pipeline.decoding.language_model import load_language_model
from pipeline.decoding.spans import entity_spans
from pipeline.errors import ConfigError
from pipeline.types.emissions import SparseLogProbs
from pipeline.types.entity import EntityList
from pipeline.types.hypothesis import Hypothesis, Word
from pipeline.types.tokens import WORD_START, Tokens


class _LoneMark(str):
    """The piece that is WORD_START alone, for pyctcdecode.

    pyctcdecode cuts the mark from the front of a piece and, if the piece also ends with a mark, breaks a word after
    it, in whichever hypothesis comes next. A piece that is one single mark passes for both. So its last character
    reads as empty; everything else is the mark.
    """

    def __getitem__(self, key: SupportsIndex | slice) -> str:
        return "" if key == slice(-1, None) else super().__getitem__(key)


class PyctcDecoder:
    """Beam search of pyctcdecode; list words (phrases fall apart into words) get its constant bonus per word.

    It knows one weight for all words, so the entities' own weights only decide who takes part: those above zero.
    """

    def __init__(self, config: RunConfig, tokens: Tokens) -> None:
        """Load the language model; raises ModelError if it is missing or corrupt, ConfigError for other techniques."""
        if config.boosting is not None or config.boost_class is not None:
            raise ConfigError("boosting and boost_class need beam.decoder rollcall; pyctcdecode has only hotwords.")
        self._beam: BeamConfig = config.beam
        self._n_best = config.n_best_compared
        self._hotword_weight = None if config.hotwords is None else config.hotwords.weight
        self._vocabulary_size = len(tokens.pieces)
        model = None if config.language_model is None else _language_model(config.language_model)
        self._search = BeamSearchDecoderCTC(_alphabet(tokens), model)

    def decode(self, emissions: SparseLogProbs, entities: EntityList, judged: bool = False) -> list[Hypothesis]:
        """Return the n-best, best first. Without hotwords, or with an empty list, the search is unbiased."""
        hotwords = self._hotwords(entities)
        if emissions.frames == 0:
            return [Hypothesis((), 0.0, 0.0, 0.0, 0.0)]
        log_probs: npt.NDArray[Any] = emissions.dense(self._vocabulary_size)
        outputs = self._search.decode_beams(
            log_probs,
            beam_width=self._beam.width,
            beam_prune_logp=self._beam.prune_log_prob,
            token_min_logp=self._beam.token_min_log_prob,
            hotwords=hotwords,
            hotword_weight=self._hotword_weight or 0.0,
        )
        scorer = HotwordScorer.build_scorer(hotwords, weight=self._hotword_weight or 0.0)
        best = emissions.values[:, 0].astype(np.float64)
        result = []
        for text, _, frames, acoustic, total in outputs[: self._n_best]:
            boost = float(scorer.score(text))
            words = tuple(_word(word, span, best) for word, span in frames)
            spans = entity_spans(words, entities)
            lm = float(total - acoustic - boost)
            result.append(Hypothesis(words, float(acoustic), lm, boost, float(total), spans))
        return result

    def _hotwords(self, entities: EntityList) -> list[str] | None:
        if self._hotword_weight is None:
            return None
        active = [entity for entity in entities.entities if entity.weight > 0]
        return [spelling for entity in active for spelling in (entity.text, *entity.aliases)] or None


def _alphabet(tokens: Tokens) -> Alphabet:
    """Subword inventories keep their marks; in character inventories the lone mark is pyctcdecode's space."""
    subwords = any(len(piece) > 1 and piece.startswith(WORD_START) for piece in tokens.pieces)
    mark = _LoneMark(WORD_START) if subwords else " "
    return Alphabet([mark if piece == WORD_START else piece for piece in tokens.pieces], is_bpe=subwords)


def _language_model(config: LanguageModelConfig) -> PyctcLanguageModel:
    loaded = load_language_model(config)
    return PyctcLanguageModel(
        loaded.model, loaded.words, alpha=config.alpha, beta=config.beta, unk_score_offset=config.unknown_penalty
    )


def _word(text: str, span: tuple[int, int], best: npt.NDArray[np.float64]) -> Word:
    """Confidence: geometric mean of the best token's probability over the word's frames (pyctcdecode keeps no path)."""
    start, end = span
    confidence = float(np.exp(best[start:end].mean())) if end > start else 0.0
    return Word(text, start, end, min(1.0, confidence))
