"""Grapheme to phoneme and back: n-best pronunciations of unseen words from a joint n-gram over graphones.

A graphone is a piece of spelling with its piece of sound ("ph" says F). The model is p(g1 g2 ...), an n-gram with
back-off, and a word's pronunciation is the phone side of the likeliest graphone sequences with that spelling
(Bisani and Ney, "Joint-sequence models for grapheme-to-phoneme conversion", 2008). It is trained by
pipeline.training.g2p.train.
"""

import dataclasses
import math
import zipfile
from pathlib import Path
from typing import NamedTuple

import numba
import numpy as np
import numpy.typing as npt

from pipeline.errors import ModelError
from pipeline.lexicon.phones import PHONES, Pronunciation, phone_ids

LETTERS = "'abcdefghijklmnopqrstuvwxyz"
BEAM = 24  # hypotheses kept per letter
BEAM_NATS = 10.0
SCORE_STEP = 1 / 16  # nats per step of the stored scores
BACKOFF_ZERO = 160  # stored value of a back-off weight of 1

Arrays = dict[str, npt.NDArray[np.generic]]


@dataclasses.dataclass(frozen=True)
class GraphoneModel:
    """The n-gram as a trie with failure links. Nodes are n-grams; the first V nodes are the unigrams.

    spelled:  [V] letters of each graphone as first * 28 + second, 27 for no second; -1 for the start and end marks
    sounded:  [V, 2] phone ids, -1 where there is none
    first_child: [N + 1] children of node n are nodes first_child[n] to first_child[n + 1], sorted by token
    token:    [N] last graphone of the n-gram
    fail:     [N] the n-gram without its first graphone
    score:    [N] log-probability of the last graphone after the others, nats
    backoff:  [N] log back-off weight, nats
    """

    spelled: npt.NDArray[np.int64]
    sounded: npt.NDArray[np.int64]
    first_child: npt.NDArray[np.int64]
    token: npt.NDArray[np.int64]
    fail: npt.NDArray[np.int64]
    score: npt.NDArray[np.float32]
    backoff: npt.NDArray[np.float32]
    start: int
    end: int


@numba.njit(cache=True)
def _child(first_child, tokens, node, token):  # type: ignore[no-untyped-def]
    low, high = first_child[node], first_child[node + 1]
    while low < high:
        middle = (low + high) // 2
        if tokens[middle] < token:
            low = middle + 1
        else:
            high = middle
    return low if low < first_child[node + 1] and tokens[low] == token else -1


@numba.njit(cache=True)
def _follow(trie, node, token):  # type: ignore[no-untyped-def]
    """Return (log-probability of token after node, next node)."""
    first_child, tokens, fail, score, backoff, vocabulary = trie
    total = 0.0
    while True:
        found = _child(first_child, tokens, node, token)
        if found < 0:
            total += backoff[node]
            if node >= vocabulary:
                node = fail[node]
                continue
            found = token
        total += score[found]
        while found >= vocabulary and first_child[found] == first_child[found + 1]:
            found = fail[found]  # a context without successors only backs off, at no cost
        return total, found


@numba.njit(cache=True)
def _failure_links(first_child, tokens, vocabulary):  # type: ignore[no-untyped-def]
    """fail(parent + token) = child(fail(parent), token), by length; a unigram's fail is unused."""
    fail = np.zeros(len(tokens), np.int64)
    for node in range(len(tokens)):
        for child in range(first_child[node], first_child[node + 1]):
            if node < vocabulary:
                fail[child] = tokens[child]
                continue
            context = fail[node]
            found = _child(first_child, tokens, context, tokens[child])
            while found < 0 and context >= vocabulary:
                context = fail[context]
                found = _child(first_child, tokens, context, tokens[child])
            fail[child] = found if found >= 0 else tokens[child]
    return fail


@numba.njit(cache=True)
def _select(scores, nodes, sounds, count, beam, nats):  # type: ignore[no-untyped-def]
    """Merge candidates with equal state and sound (their probabilities add) and keep the best; return their indices."""
    if count == 0:  # no graphone spells these letters
        return np.zeros(0, np.int64)
    top = np.max(scores[:count])
    near = np.nonzero(scores[:count] >= top - nats)[0]
    kept = np.zeros(min(beam, len(near)), np.int64)
    size = 0
    for c in near[np.argsort(-scores[near])]:
        same = -1
        for k in range(size):
            if sounds[kept[k]] == sounds[c] and nodes[kept[k]] == nodes[c]:
                same = kept[k]
                break
        if same >= 0:
            scores[same] += np.log1p(np.exp(scores[c] - scores[same]))
        elif size < len(kept):
            kept[size] = c
            size += 1
    return kept[:size]


@numba.njit(cache=True)
def _extend(work, at, h, option, state, written):  # type: ignore[no-untyped-def]
    """Store hypothesis ``h`` plus one graphone, ``state`` its (score, node), at row ``at`` of the pool."""
    scores, nodes, outputs, parents, graphones = work
    output = outputs[h]
    for symbol in written[option]:
        if symbol >= 0:
            output = output * np.uint64(41) + np.uint64(symbol + 1)
    scores[at], nodes[at] = state
    outputs[at], parents[at], graphones[at] = output, h, option


@numba.njit(cache=True)
def _search(read, base, trie, spans, silent, written, marks, beam, nats):  # type: ignore[no-untyped-def]
    """Beam search over the symbols ``read``; ``silent`` graphones read none. Both directions use it.

    Returns parents and graphones of the pool, and the finished hypotheses with their scores. Hypotheses that are
    ``nats`` below the best of their position so far are not even stored.
    """
    options, first_option = spans
    length = len(read)
    size = 2 * (length + 1) * beam + 4096
    work = (
        np.empty(size), np.empty(size, np.int64), np.empty(size, np.uint64), np.empty(size, np.int64),
        np.empty(size, np.int64),
    )  # fmt: skip
    scores, nodes, outputs, parents, graphones = work
    ranges = np.zeros((length + 1, 2), np.int64)
    scores[0], nodes[0], outputs[0], parents[0] = 0.0, marks[0], 0, -1
    used = 1
    for i in range(length + 1):
        begin, best = used if i else 0, -np.inf if i else 0.0
        for span in range(1, min(2, i) + 1):
            key = read[i - span] * base + (read[i - 1] if span == 2 else base - 1)
            for h in range(ranges[i - span, 0], ranges[i - span, 1]):
                for option in options[first_option[key] : first_option[key + 1]]:
                    gain, node = _follow(trie, nodes[h], option)
                    score = scores[h] + gain
                    if score >= best - nats and used < size:
                        best = max(best, score)
                        _extend(work, used, h, option, (score, node), written)
                        used += 1
        rows = np.sort(_select(scores[begin:used], nodes[begin:used], outputs[begin:used], used - begin, beam, nats))
        for k in range(len(rows)):  # in place: row k is never behind begin + k
            r, to = begin + rows[k], begin + k
            scores[to], nodes[to], outputs[to] = scores[r], nodes[r], outputs[r]
            parents[to], graphones[to] = parents[r], graphones[r]
        used = begin + len(rows)
        for h in range(begin, begin + len(rows)):
            for option in silent:
                gain, node = _follow(trie, nodes[h], option)
                if scores[h] + gain >= best - nats and used < begin + 2 * beam:
                    _extend(work, used, h, option, (scores[h] + gain, node), written)
                    used += 1
        ranges[i, 0], ranges[i, 1] = begin, used
    begin = ranges[length, 0]
    for h in range(begin, used):
        gain, _ = _follow(trie, nodes[h], marks[1])
        scores[h] += gain
        nodes[h] = 0
    kept = _select(scores[begin:used], nodes[begin:used], outputs[begin:used], used - begin, beam, np.inf)
    return parents[:used], graphones[:used], kept + begin, scores[begin:used][kept]


class _Side(NamedTuple):
    """One direction of the search: what is read and what is written. Spans of the read side index ``options``."""

    base: int  # read symbols, with the mark of a missing second one as the last
    spans: tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]
    silent: npt.NDArray[np.int64]
    written: npt.NDArray[np.int64]  # [V, 2]


def _side(read: npt.NDArray[np.int64], base: int, written: npt.NDArray[np.int64]) -> _Side:
    """``read`` and ``written`` are [V, 2] symbols of every graphone, -1 where there is none."""
    spans = np.where(read[:, 0] >= 0, read[:, 0] * base + np.where(read[:, 1] >= 0, read[:, 1], base - 1), -1)
    order = np.argsort(spans, kind="stable")
    order = order[spans[order] >= 0]
    first = np.searchsorted(spans[order], np.arange(base * base + 1))
    silent = np.nonzero((spans < 0) & (written[:, 0] >= 0))[0]
    return _Side(base, (order, first), silent, written)


class G2P:
    """Pronounces lower-case words of LETTERS, and spells pronunciations; load it with ``load_g2p``."""

    def __init__(self, model: GraphoneModel) -> None:
        self._trie = (model.first_child, model.token, model.fail, model.score, model.backoff, len(model.spelled))
        self._marks = (model.start, model.end)
        base = len(LETTERS) + 1
        pairs = np.stack([model.spelled // base, model.spelled % base], axis=1)
        letters = np.where((model.spelled[:, None] < 0) | (pairs == base - 1), -1, pairs)
        self._reading = _side(letters, base, model.sounded)
        self._writing = _side(model.sounded, len(PHONES) + 1, letters)

    def pronounce(self, word: str, count: int, beam: int = BEAM) -> list[tuple[Pronunciation, float]]:
        """Return up to ``count`` pronunciations with their probability given the spelling, best first.

        None if no graphones spell the word, which the shipped model's always do.
        ``word`` holds letters of LETTERS only; anything else is a ModelError, since callers spell it out first.
        """
        try:
            ids = np.array([LETTERS.index(letter) for letter in word], np.int64)
        except ValueError as error:
            raise ModelError(f"the G2P model spells with {LETTERS}, got '{word}'.") from error
        found = self._run(self._reading, ids, count, beam)
        return [(tuple(PHONES[id_] for id_ in phones), probability) for phones, probability in found]

    def spell(self, pronunciation: Pronunciation, count: int, beam: int = BEAM) -> list[tuple[str, float]]:
        """Return up to ``count`` spellings with their probability given the sound, best first: spelling by ear."""
        found = self._run(self._writing, phone_ids(pronunciation), count, beam)
        return [("".join(LETTERS[id_] for id_ in letters), probability) for letters, probability in found]

    def _run(
        self, side: _Side, read: npt.NDArray[np.int64], count: int, beam: int
    ) -> list[tuple[tuple[int, ...], float]]:
        parents, graphones, rows, scores = _search(
            read, side.base, self._trie, side.spans, side.silent, side.written, self._marks, beam, BEAM_NATS
        )
        total = float(np.logaddexp.reduce(scores))
        order = np.argsort(-scores, kind="stable")[: count + 1]  # one may be empty
        symbols, lengths = _outputs(rows[order], parents, graphones, side.written)
        pairs = zip(symbols.tolist(), lengths.tolist(), scores[order].tolist(), strict=True)
        found = [(tuple(line[:length]), math.exp(score - total)) for line, length, score in pairs]
        return [one for one in found if one[0]][:count]


@numba.njit(cache=True)
def _outputs(rows, parents, graphones, written):  # type: ignore[no-untyped-def]
    """Return what the finished hypotheses ``rows`` have written, [N, longest] symbols, and how long each is."""
    lengths = np.zeros(len(rows), np.int64)
    for i in range(len(rows)):
        row = rows[i]
        while parents[row] >= 0:
            lengths[i] += (written[graphones[row]] >= 0).sum()
            row = parents[row]
    symbols = np.zeros((len(rows), lengths.max() if len(rows) else 0), np.int64)
    for i in range(len(rows)):
        row, at = rows[i], lengths[i]
        while parents[row] >= 0:
            for symbol in written[graphones[row]][::-1]:
                if symbol >= 0:
                    at -= 1
                    symbols[i, at] = symbol
            row = parents[row]
    return symbols, lengths


def save_g2p(model: GraphoneModel, path: Path) -> None:
    """Write a compressed .npz; scores are rounded to SCORE_STEP nats and clipped to one byte."""
    score = np.clip(np.round(-model.score / SCORE_STEP), 0, 255).astype(np.uint8)
    backoff = np.clip(np.round(model.backoff / SCORE_STEP) + BACKOFF_ZERO, 0, 255).astype(np.uint8)
    np.savez_compressed(
        path, spelled=model.spelled.astype(np.int16), sounded=model.sounded.astype(np.int8),
        children=np.diff(model.first_child).astype(np.uint16), token=model.token.astype(np.uint16),
        score=score, backoff=backoff, marks=np.array([model.start, model.end]),
    )  # fmt: skip


def load_g2p(path: Path) -> G2P:
    """Read what ``save_g2p`` wrote; raises ModelError if it is missing or corrupt."""
    try:
        with np.load(path, allow_pickle=False) as data:
            arrays = {name: data[name] for name in data.files}
        return G2P(_unpack(arrays))
    except (OSError, ValueError, KeyError, IndexError, zipfile.BadZipFile) as error:
        raise ModelError(
            f"{path}: not a G2P model ({error}); restore it or run `python -m pipeline.training.g2p.train`."
        ) from error


def _unpack(arrays: Arrays) -> GraphoneModel:
    token = arrays["token"].astype(np.int64)
    spelled = arrays["spelled"].astype(np.int64)
    first_child = len(spelled) + np.concatenate([[0], np.cumsum(arrays["children"].astype(np.int64))])
    if len(first_child) != len(token) + 1 or first_child[-1] != len(token):
        raise ValueError(f"{len(token)} n-grams but children up to {first_child[-1]}")
    return GraphoneModel(
        spelled=spelled,
        sounded=arrays["sounded"].astype(np.int64),
        first_child=first_child,
        token=token,
        fail=_failure_links(first_child, token, len(spelled)),
        score=(-SCORE_STEP * arrays["score"].astype(np.float32)).astype(np.float32),
        backoff=(SCORE_STEP * (arrays["backoff"].astype(np.float32) - BACKOFF_ZERO)).astype(np.float32),
        start=int(arrays["marks"][0]),
        end=int(arrays["marks"][1]),
    )
