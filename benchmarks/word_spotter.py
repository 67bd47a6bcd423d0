"""The CTC word spotter (Andrusenko et al. 2024, "Fast Context-Biasing for CTC and Transducer ASR models with CTC-based
Word Spotter"), written from its published description: the strongest published peer of our decoder.

    python -m benchmarks.word_spotter --data ../shared/data --sets names_dev --json out/spotter.jsonl

Tokens are passed through a graph of the list's subwords over the very log-probs that the greedy search reads, with a
bonus for every subword of an entity; a token that comes to the end of an entity is a hit. Of overlapping hits the best
counts; it takes the place of the greedy words that lie below it if it scores no less than they do. No language model,
no beam. On each set its weights are swept one after the other, twice over, by F1 (on adversarial lists, of which
nothing is said, they stay as published): the best that can be had on the very set that it is compared on. Rows are as
those of benchmarks.joint_ablation, every trial of the sweep one.
"""

import argparse
import dataclasses
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import numba
import numpy as np
import numpy.typing as npt

from benchmarks.decoding_sets import add_arguments, load
from benchmarks.joint_ablation import row
from benchmarks.table import Lines
from pipeline.acoustic.loading import load_tokens
from pipeline.scoring.bootstrap import Bootstrap
from pipeline.scoring.score import Written, score
from pipeline.tuning.evaluation import Evaluation, LabelledSet
from pipeline.types.emissions import Emissions
from pipeline.types.entity import EntityList
from pipeline.types.tokens import WORD_START, Tokens

SETS = ("is21-100", "is21-1000", "names_dev", "adversarial-100")
NOTHING_SAID = "adversarial-100"
SWEPT: dict[str, tuple[float, ...]] = {
    "bonus": (1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0),
    "greedy_bonus": (0.0, 0.5, 1.0, 2.0, 3.0, 4.0),
    "beam": (3.0, 5.0, 7.0, 10.0, 15.0, 20.0, 30.0),
    "least": (-20.0, -10.0, -5.0, 0.0, 5.0),
    "silence": (0.5, 0.8, 0.95, 1.0),
    "covered": (0.1, 0.3, 0.5, 0.7),
}
_ROOT = -1
_NEVER = -1e30


@dataclasses.dataclass(frozen=True)
class SpotterConfig:
    """Weights in nats; the defaults are those of the published description, swept by this command."""

    bonus: float = 3.0  # for each subword of an entity
    greedy_bonus: float = 0.5  # for each subword of greedy words that a hit is held against
    beam: float = 5.0  # below the frame's best a token is dropped
    least: float = -5.0  # of a hit
    silence: float = 0.8  # probability of the blank from which on no entity begins
    covered: float = 0.3  # share of a greedy word's frames that makes a hit lie on it


class Piece(NamedTuple):
    """A stretch of text in frames [start, end), with its score."""

    text: str
    start: int
    end: int
    score: float


@dataclasses.dataclass(frozen=True)
class Graph:
    """A trie of subwords. Nodes count from 0 after their parents; _ROOT is none of them.

    tokens, parents [S]; ends [S] the number of the spelling that is whole there, or -1; texts: of the spellings
    """

    tokens: npt.NDArray[np.int32]
    parents: npt.NDArray[np.int32]
    ends: npt.NDArray[np.int32]
    texts: tuple[str, ...]


def build_graph(entities: EntityList, tokens: Tokens) -> Graph:
    """Return the trie of all spellings of a list."""
    nodes: dict[tuple[int, int], int] = {}
    ids: list[int] = []
    parents: list[int] = []
    ends: list[int] = []
    texts = tuple(sorted(entities.by_text))
    for number, text in enumerate(texts):
        node = _ROOT
        for token in tokens.encoder(text):
            parent, node = node, nodes.setdefault((node, token), len(ids))
            if node == len(ids):
                ids.append(token)
                parents.append(parent)
                ends.append(-1)
        ends[node] = number
    return Graph(np.array(ids, np.int32), np.array(parents, np.int32), np.array(ends, np.int32), texts)


@numba.njit(cache=True)
def pass_tokens(  # type: ignore[no-untyped-def]
    log_probs, blank, tokens, parents, ends, bonus, beam, least, log_silence
):
    """Return the hits as columns: spelling, first frame, frame after the last, score.

    Every node has two states, on its subword and on the blank after it, each with its best token (Young et al. 1989).
    """
    frames, size = log_probs.shape[0], len(tokens)
    on, after = np.full(size, _NEVER), np.full(size, _NEVER)
    on_start, after_start = np.zeros(size, np.int64), np.zeros(size, np.int64)
    spellings, starts, stops, scores = [0], [0], [0], [0.0]
    for frame in range(frames):
        row = log_probs[frame]
        new_on, new_after = np.full(size, _NEVER), np.full(size, _NEVER)
        new_on_start, new_after_start = np.zeros(size, np.int64), np.zeros(size, np.int64)
        opens = row[blank] <= log_silence
        best = _NEVER
        for node in range(size):
            parent, token = parents[node], tokens[node]
            value, start = on[node], on_start[node]
            if parent == _ROOT:
                if opens and bonus > value:
                    value, start = bonus, frame
            else:
                if tokens[parent] != token and on[parent] + bonus > value:
                    value, start = on[parent] + bonus, on_start[parent]
                if after[parent] + bonus > value:
                    value, start = after[parent] + bonus, after_start[parent]
            if value > _NEVER:
                new_on[node], new_on_start[node] = value + row[token], start
                best = max(best, new_on[node])
            value, start = after[node], after_start[node]
            if on[node] > value:
                value, start = on[node], on_start[node]
            if value > _NEVER:
                new_after[node], new_after_start[node] = value + row[blank], start
                best = max(best, new_after[node])
        for node in range(size):
            if new_on[node] < best - beam:
                new_on[node] = _NEVER
            if new_after[node] < best - beam:
                new_after[node] = _NEVER
            if ends[node] >= 0 and new_on[node] > least:
                spellings.append(ends[node])
                starts.append(new_on_start[node])
                stops.append(frame + 1)
                scores.append(new_on[node])
        on, after, on_start, after_start = new_on, new_after, new_on_start, new_after_start
    return np.array(spellings)[1:], np.array(starts)[1:], np.array(stops)[1:], np.array(scores)[1:]


def best_hits(hits: Sequence[Piece]) -> list[Piece]:
    """Return the best of all that overlap, in order of time."""
    kept: list[Piece] = []
    for hit in sorted(hits, key=lambda hit: (-hit.score, hit.start, hit.end, hit.text)):
        if all(hit.end <= other.start or other.end <= hit.start for other in kept):
            kept.append(hit)
    return sorted(kept, key=lambda hit: hit.start)


def greedy_words(log_probs: npt.NDArray[np.float32], tokens: Tokens, bonus: float) -> list[Piece]:
    """Return the words of the best path; a word scores its frames' log-probs, and ``bonus`` for each subword."""
    best = log_probs.argmax(1)
    values = log_probs[np.arange(len(best)), best]
    words: list[Piece] = []
    said: list[tuple[str, int, int, int]] = []  # text, first frame, frame after the last, subwords
    for frame, token in enumerate(best.tolist()):
        if token == tokens.blank:
            continue
        piece = tokens.pieces[token]
        if frame and best[frame - 1] == token:
            text, start, _, count = said[-1]
            said[-1] = (text, start, frame + 1, count)
        elif piece.startswith(WORD_START) or not said:
            said.append((piece.removeprefix(WORD_START), frame, frame + 1, 1))
        else:
            text, start, _, count = said[-1]
            said[-1] = (text + piece, start, frame + 1, count + 1)
    for text, start, end, count in said:
        if text:
            words.append(Piece(text, start, end, float(values[start:end].sum()) + bonus * count))
    return words


def merge(words: Sequence[Piece], hits: Sequence[Piece], covered: float) -> list[Piece]:
    """Return the words with each hit in place of those that it covers, where it scores no less than they do."""
    left = list(words)
    for hit in hits:
        below = [word for word in left if _overlap(word, hit) > covered * (word.end - word.start)]
        if hit.score >= sum(word.score for word in below):
            left = [word for word in left if word not in below] + [hit]
    return sorted(left, key=lambda word: (word.start, word.end))


def _overlap(one: Piece, other: Piece) -> int:
    return max(0, min(one.end, other.end) - max(one.start, other.start))


class WordSpotter:
    """Greedy text with what the spotter finds of a list; graphs are kept by list."""

    def __init__(self, tokens: Tokens, config: SpotterConfig) -> None:
        self.tokens, self.config = tokens, config
        self._graphs: dict[int, tuple[EntityList, Graph]] = {}

    def text(self, heard: Emissions, entities: EntityList) -> str:
        """Return the text of one utterance."""
        log_probs = heard.tokens.dense(len(self.tokens.pieces))
        words = greedy_words(log_probs, self.tokens, self.config.greedy_bonus)
        if entities.entities:
            words = merge(words, self.hits(log_probs, entities), self.config.covered)
        return " ".join(word.text for word in words)

    def hits(self, log_probs: npt.NDArray[np.float32], entities: EntityList) -> list[Piece]:
        """Return the best of all overlapping hits in [T, V] log-probs."""
        if id(entities) not in self._graphs:
            self._graphs[id(entities)] = entities, build_graph(entities, self.tokens)
        graph, config = self._graphs[id(entities)][1], self.config
        columns = pass_tokens(
            log_probs, self.tokens.blank, graph.tokens, graph.parents, graph.ends,
            config.bonus, config.beam, config.least, float(np.log(config.silence)),
        )  # fmt: skip
        rows = zip(*(column.tolist() for column in columns), strict=True)
        return best_hits([Piece(graph.texts[number], start, end, value) for number, start, end, value in rows])


def evaluate(spotter: WordSpotter, corpus: LabelledSet) -> Evaluation:
    """As pipeline.tuning.evaluation, of the spotter."""
    written, seconds = {}, 0.0
    for one in corpus.utterances:
        name = one.reference.utterance_id
        start = time.process_time()
        text = spotter.text(one.heard, corpus.lists.of(name))
        seconds += time.process_time() - start
        written[name] = Written(text, one.reference.duration_seconds)
    references = [one.reference for one in corpus.utterances]
    return Evaluation(score(references, written, corpus.lists, Bootstrap(replicates=1)), seconds, corpus.seconds)


def sweep(
    tokens: Tokens, corpus: LabelledSet, choices: Mapping[str, Sequence[float]]
) -> Iterator[tuple[SpotterConfig, Evaluation]]:
    """Yield every trial, as published first; each weight in turn over its choices, the others at the best so far."""
    config = SpotterConfig()
    published = evaluate(WordSpotter(tokens, config), corpus)
    tried = {config: published.rate("f1")}
    yield config, published
    for name in [*choices, *choices]:
        for value in choices[name]:
            trial = dataclasses.replace(config, **{name: value})
            if trial not in tried:
                one = evaluate(WordSpotter(tokens, trial), corpus)
                tried[trial] = one.rate("f1")
                yield trial, one
        config = max(tried, key=lambda trial: tried[trial])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_arguments(parser)
    parser.add_argument("--sets", nargs="+", default=list(SETS), choices=SETS)
    options = parser.parse_args()
    bench = load(options, tuple(options.sets))
    tokens = load_tokens(bench.config.acoustic)
    lines = Lines(options.json)
    for name, corpus in bench.sets.items():
        warm = dataclasses.replace(corpus, utterances=corpus.utterances[:1])
        evaluate(WordSpotter(tokens, SpotterConfig()), warm)
        for config, one in sweep(tokens, corpus, {} if name == NOTHING_SAID else SWEPT):
            lines.add({**row("word spotter", name, one), **dataclasses.asdict(config)})


if __name__ == "__main__":
    main()
