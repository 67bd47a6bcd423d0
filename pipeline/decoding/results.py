"""From the search's last beam to n-best texts with words, times and the shares of their scores."""

from typing import Any

import numpy as np
import numpy.typing as npt

from pipeline.compiled import array_kernel, kernel
from pipeline.decoding.ngram import extend
from pipeline.decoding.search import logadd, search

WORD = np.dtype(
    [
        ("start", np.int32),  # first frame
        ("end", np.int32),  # one past the last
        ("characters", np.int32),  # one past the word's last character in the text
        ("confidence", np.float64),
        ("acoustic", np.float64),  # log-probabilities of its tokens where they were emitted
        ("lm", np.float64),
        ("kept", np.float64),  # boosts kept when this word ended
        ("boost", np.float64),  # boosts of its tokens, kept or not
        ("gain", np.float64),  # of the boost class
    ],
    align=True,
)


@array_kernel
def rank(work, size, states, ngrams, params, n_best):  # type: ignore[no-untyped-def]
    """Score sentence ends, join hypotheses with equal text (log-sum-exp), and sort them by total score.

    Returns [N] each, best first: index in the beam, acoustic, lm, boost, total.
    """
    beam = work.beam
    acoustic, lm, boost = np.empty(size), np.empty(size), np.empty(size)
    texts = np.empty(size, np.uint64)
    for index in range(size):
        entry = beam[index]
        done = entry.length == 0
        acoustic[index] = logadd(entry.blank, entry.token)
        lm[index] = entry.lm if done else entry.end_lm
        boost[index] = entry.kept if done else entry.end_kept
        texts[index] = entry.text
        if params.use_lm:
            context = entry.context if done else entry.end_context
            words, backoffs = work.context_words[context], work.context_backoffs[context]
            scratch, scratch_backoffs = work.context_words[states], work.context_backoffs[states]
            lm[index] += params.alpha * extend(ngrams, ngrams.end, words, backoffs, scratch, scratch_backoffs)
    order = np.argsort(texts, kind="mergesort")
    keep, joined = np.empty(size, np.int64), np.empty(size)
    count, at = 0, 0
    while at < size:
        head, total = order[at], acoustic[order[at]]
        best = acoustic[head] + boost[head]
        after = at + 1
        while after < size and texts[order[after]] == texts[order[at]]:
            other = order[after]
            total = logadd(total, acoustic[other])
            if acoustic[other] + boost[other] > best:
                head, best = other, acoustic[other] + boost[other]
            after += 1
        keep[count], joined[count] = head, total
        count += 1
        at = after
    keep, joined = keep[:count], joined[:count]
    totals = joined + lm[keep] + boost[keep]
    best_first = np.argsort(-totals, kind="mergesort")[:n_best]
    keep = keep[best_first]
    return keep, joined[best_first], lm[keep], boost[keep], totals[best_first]


@array_kernel
def spell(ids, values, tokens, work, index):  # type: ignore[no-untyped-def]
    """Follow a hypothesis back; returns (its WORD rows, code points of its text)."""
    entry, trace = work.beam[index], work.trace
    count, characters, node = 0, 0, entry.trace
    while node > 0:
        count += 1
        characters += tokens.lengths[trace[node].token] + 1
        node = trace[node].parent
    path = np.empty(count, np.int64)
    node = entry.trace
    for at in range(count - 1, -1, -1):
        path[at] = node
        node = trace[node].parent
    words, text = np.zeros(count + 1, WORD), np.empty(characters, np.int32)
    number, size, pieces = -1, 0, 0
    lm, kept = 0.0, 0.0
    fresh = True  # the next characters begin a word
    for at in range(count):
        node = trace[path[at]]
        token = node.token
        if tokens.begins[token]:
            if number >= 0 and not fresh:
                _finish(words[number], pieces, node.lm - lm, node.kept - kept, node.gain)
                lm, kept = node.lm, node.kept
            fresh = True
        if tokens.lengths[token] == 0:
            continue
        if fresh:
            number, pieces, fresh = number + 1, 0, False
            words[number].start = node.frame
            if number > 0:
                text[size] = 32
                size += 1
        for place in range(tokens.lengths[token]):
            text[size] = tokens.codes[token, place]
            size += 1
        stop = trace[path[at + 1]].frame if at + 1 < count else len(ids)
        end, score = _span(ids, values, token, node.frame, stop)
        word = words[number]
        word.end, word.characters = end, size
        word.confidence += score
        word.acoustic += score
        word.boost += node.boost
        pieces += 1
    if number >= 0 and not fresh:
        lm_total = entry.end_lm if entry.length > 0 else entry.lm
        kept_total = entry.end_kept if entry.length > 0 else entry.kept
        gain = entry.end_gain if entry.length > 0 else 0.0
        _finish(words[number], pieces, lm_total - lm, kept_total - kept, gain)
    return words[: number + 1], text[:size]


@array_kernel
def best_texts(ids, values, tokens, ngrams, lexicon, graph, class_scores, params, work, n_best):  # type: ignore[no-untyped-def]
    """Search, rank and spell in one call.

    Returns (scores [N, 4]: acoustic, lm, boost, total; words one after the other; code points one after the other;
    ends [N, 2] of each hypothesis in the two).
    """
    size, states = search(ids, values, tokens, ngrams, lexicon, graph, class_scores, params, work)
    index, acoustic, lm, boost, total = rank(work, size, states, ngrams, params, n_best)
    scores = np.empty((len(index), 4))
    ends = np.empty((len(index), 2), np.int64)
    words, codes = np.empty(0, WORD), np.empty(0, np.int32)
    word_count, code_count = 0, 0
    for at in range(len(index)):
        scores[at] = acoustic[at], lm[at], boost[at], total[at]
        some_words, some_codes = spell(ids, values, tokens, work, index[at])
        if at == 0:  # the others are of about the same length; room is made anew where one is much longer
            words, codes = (
                np.empty(2 * len(index) * (len(some_words) + 8), WORD),
                np.empty(2 * len(index) * (len(some_codes) + 32), np.int32),
            )
        if word_count + len(some_words) > len(words) or code_count + len(some_codes) > len(codes):
            words = np.concatenate((words, np.empty(len(words) + len(some_words), WORD)))
            codes = np.concatenate((codes, np.empty(len(codes) + len(some_codes), np.int32)))
        words[word_count : word_count + len(some_words)] = some_words
        codes[code_count : code_count + len(some_codes)] = some_codes
        word_count += len(some_words)
        code_count += len(some_codes)
        ends[at] = word_count, code_count
    return scores, words[:word_count], codes[:code_count], ends


@kernel
def _finish(word, pieces, lm, kept, gain):  # type: ignore[no-untyped-def]
    word.confidence = np.exp(word.confidence / pieces)
    word.lm, word.kept, word.gain = lm, kept, gain


@kernel
def _span(ids, values, token, start, stop):  # type: ignore[no-untyped-def]
    """One past the last frame that ``token`` leads from ``start`` on, and its best log-probability there."""
    score = np.float64(-np.inf)
    for column in range(ids.shape[1]):
        if ids[start, column] == token:
            score = np.float64(values[start, column])
            break
    end = start + 1
    while end < stop and ids[end, 0] == token:
        score = np.maximum(score, np.float64(values[end, 0]))
        end += 1
    return end, score


def text_of(codes: npt.NDArray[Any]) -> str:
    """Code points to text."""
    return codes.tobytes().decode("utf-32-le")
