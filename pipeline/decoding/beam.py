"""The project's own decoder: the boosted prefix beam search behind the Decoder interface."""

import functools
import math
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from pipeline.config import BoostClassConfig, BoostingConfig, LanguageModelConfig, RunConfig, unjudged
from pipeline.decoding.explain import explain
from pipeline.decoding.found import Found, found_texts
from pipeline.decoding.graph import Graph, GraphCache, empty_graph
from pipeline.decoding.language_model import read_words
from pipeline.decoding.lexicon import Lexicon, build_lexicon, token_table
from pipeline.decoding.ngram import Ngrams, class_scores, load_ngrams, no_ngrams
from pipeline.decoding.results import best_texts, text_of
from pipeline.decoding.search import Params, Work, make_work
from pipeline.errors import ConfigError, ModelError
from pipeline.types.emissions import SparseLogProbs
from pipeline.types.entity import EMPTY, EntityList
from pipeline.types.hypothesis import Hypothesis
from pipeline.types.tokens import Tokens

_LN10 = math.log(10.0)
_FRAMES_STEP = 512  # scratch memory grows in such steps of frames


class BeamDecoder:
    """Prefix beam search with n-gram, adaptive boosting and boost class.

    Loaded once per worker and not for concurrent use: it keeps its scratch memory. An empty list, or one whose
    weights are all zero, runs exactly the unbiased search.
    """

    def __init__(self, config: RunConfig, tokens: Tokens) -> None:
        """Load the language model; raises ModelError if it is missing or corrupt, ConfigError for hotwords."""
        if config.hotwords is not None:
            raise ConfigError("hotwords are pyctcdecode's technique: set beam.decoder to pyctcdecode, or hotwords off.")
        self._config = config
        self._tokens = token_table(tokens)
        self._language = _language(config)
        self._graphs = GraphCache()
        self._unbiased = _params(config, biased=False)
        self._biased = _params(unjudged(config) if config.guard else config, biased=True)
        self._judged = _params(config, biased=True)
        self._work: Work | None = None
        self._last: tuple[SparseLogProbs, list[Found]] | None = None

    def decode(self, emissions: SparseLogProbs, entities: EntityList, judged: bool = False) -> list[Hypothesis]:
        """Return the n-best, best first, with the scores of every kept entity explained."""
        if emissions.frames == 0:
            return [Hypothesis((), 0.0, 0.0, 0.0, 0.0)]
        boosting, boost_class = self._config.boosting, self._config.boost_class
        graph = empty_graph() if boosting is None and boost_class is None else self._graphs.get(entities)
        biased = len(graph.label) > 1
        params = (self._judged if judged else self._biased)._replace(heaviest=max(0.0, float(graph.weight[0])))
        nbest = self._search(emissions, graph, params) if biased else self._plain(emissions)
        wanted = boosting is None or boosting.explain
        if biased and wanted and any(word.kept > 0 for word in nbest[0].shares()):
            unbiased = self._plain(emissions)[0]
        else:
            unbiased = nbest[0]
        return explain(nbest, unbiased.words, entities if entities.entities else EMPTY)

    def _plain(self, emissions: SparseLogProbs) -> list[Found]:
        """What the search finds without a list, searched for once for as long as the same utterance is asked for.

        The explanation of entities needs it, and so does who takes them all back (``decode`` with an empty list).
        """
        if self._last is None or self._last[0] is not emissions:
            self._last = emissions, self._search(emissions, empty_graph(), self._unbiased)
        return self._last[1]

    def _search(self, emissions: SparseLogProbs, graph: Graph, params: Params) -> list[Found]:
        ids, values = emissions.ids.astype(np.int16), emissions.values.astype(np.float32)
        language = self._language
        arguments = (self._tokens, language.ngrams, language.lexicon, graph, language.class_scores, params)
        n_best = self._config.n_best_compared
        scores, rows, codes, ends = best_texts(ids, values, *arguments, self._scratch(*ids.shape), n_best)
        return found_texts(scores.tolist(), rows.tolist(), text_of(codes), ends.tolist())

    def _scratch(self, frames: int, candidates: int) -> Work:
        width, context = self._config.beam.width, self._language.ngrams.context
        room = 0 if self._work is None else len(self._work.trace) // width
        if self._work is None or room < frames or len(self._work.candidates) < width * (candidates + 1):
            frames = math.ceil(max(frames, room) / _FRAMES_STEP) * _FRAMES_STEP
            self._work = make_work(frames, width, candidates, len(self._tokens.lengths), context)
        return self._work


class _Language(NamedTuple):
    ngrams: Ngrams
    lexicon: Lexicon
    class_scores: npt.NDArray[np.float32]


def _language(config: RunConfig) -> _Language:
    if config.language_model is None:
        return _Language(no_ngrams(), build_lexicon([], None), np.zeros(1, np.float32))
    common = BoostClassConfig().common if config.boost_class is None else config.boost_class.common
    return _load(config.language_model.path, config.language_model.unigrams, common)


@functools.lru_cache(maxsize=2)
def _load(path: str, unigrams: str | None, common: int) -> _Language:
    """Several decoders of one process share a model."""
    known = None if unigrams is None else set(read_words(Path(unigrams)))
    ngrams, arrays = load_ngrams(Path(path))
    if known is not None and known.isdisjoint(arrays.words):
        raise ModelError(f"{unigrams}: none of its {len(known)} words is in the language model {path}.")
    return _Language(ngrams, build_lexicon(arrays.words, known), class_scores(arrays, common))


def _params(config: RunConfig, biased: bool) -> Params:
    """Numbers for the kernel, all of fixed types: another type would compile it again."""
    lm = config.language_model or LanguageModelConfig(alpha=0.0, beta=0.0, unknown_penalty=0.0)
    boosting = config.boosting or BoostingConfig()
    boost_class = config.boost_class or BoostClassConfig()
    caution = config.adapter.caution if config.adapter and config.guard is None else 0.0
    return Params(
        width=int(config.beam.width),
        prune=float(config.beam.prune_log_prob),
        token_min=float(config.beam.token_min_log_prob),
        alpha=float(lm.alpha) * _LN10,
        beta=float(lm.beta),
        unknown=float(lm.unknown_penalty),
        use_lm=config.language_model is not None,
        use_boost=biased,
        scale=float(boosting.scale) if config.boosting else 0.0,
        cap=float(boosting.cap) if config.boosting else 0.0,
        max_gap=float(boosting.max_gap),
        entry=float(boosting.entry) if config.boosting else 0.0,
        entry_scale=float(boosting.entry_scale) if config.boosting else 0.0,
        entry_cap=float(boosting.entry_cap) if config.boosting else 0.0,
        fixed=float(boosting.fixed) if config.boosting else 0.0,
        base=float(boosting.base),
        per_character=float(boosting.per_character),
        complete=float(boosting.complete - caution) if config.boosting else 0.0,
        suppress=float(boosting.suppress) if config.boosting else 0.0,
        boost_prune=max(float(boosting.prune_log_prob), float(config.beam.prune_log_prob)),
        heaviest=0.0,
        use_class=biased and config.boost_class is not None,
        class_weight=float(boost_class.weight),
        class_known=float(boost_class.known),
    )
