"""The boosted prefix beam search: one compiled pass over the frames of one utterance.

Objective. For a text y over tokens, frames x, language model p and an entity graph:

    total(y) = log P_ctc(y | x) + lm(y) + boost(y)

log P_ctc sums over every alignment of every segmentation of y (hypotheses are merged by text and last token, with
log-sum-exp; blanks and repeats as in Graves 2012, section 7.5). lm(y) is the sum over words of
alpha ln p(w | h) + beta, alpha times ``unknown`` in log10 for words outside the lexicon, and alpha ln p(</s> | h).

Boost. Token v extends a hypothesis at frame t. If the text then stands inside an entity of weight w, it gets

    w min(scale * gap, cap)   with gap = max_u log P_t(u) - log P_t(v), and nothing where gap > max_gap,

so it is large where the model is torn and zero where it is sure of something else; the first token of an entity takes
entry + entry_scale * gap, capped at entry_cap, instead. With ``fixed`` > 0 every such token gets w * fixed: the usual
constant bonus, for comparison. Tokens below the pruning threshold are tried where an entity continues with them.

Class. A word that stands inside an entity is scored by the language model as a member of a class of listed
words: max(log10 p(w | h), class(h) + class_weight), where class(h) is the class's log10 probability after h. Of a
word that the model knows it has evidence of its own; ``class_known`` is added to its class score.

Refund. Boosts stay pending until the entity ends at a word end; then

    max(0, w complete + min(pending boost, w (base + per_character * length)) + pending gain)

is kept: search may go far for a name, the decision is made on a budget, and being listed never costs a word
anything. When the text leaves the entity, the pending
boost is taken back exactly; if a shorter suffix is still inside another entity, its own tokens' share stays.
Entities of negative weight get w * suppress when they are complete and nothing before.

A merged hypothesis keeps times, trace and boosts of its most probable part. All choices are deterministic.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from pipeline.compiled import kernel
from pipeline.decoding.graph import SPACE, follow
from pipeline.decoding.ngram import begin_context, extend
from pipeline.trie import ROOT, child

NONE = -1
_UNSEEN = -2
_BASE = np.uint64(0x9E3779B97F4A7C15)  # lexicon.HASH_BASE
_SPACE_CODE = np.uint64(SPACE)
_LONG_WORD = 6  # characters after which an unfinished unknown word costs more, as in pyctcdecode

ENTRY = np.dtype(
    [
        ("text", np.uint64),  # hash of the text without a trailing space
        ("blank", np.float64),  # log-probability of alignments that end in a blank
        ("token", np.float64),  # and of those that end in the last token
        ("lm", np.float64),  # weighted language model score of finished words
        ("partial", np.float64),  # penalty of an unfinished word that no known word begins with
        ("kept", np.float64),  # boost of completed entities
        ("pending", np.float64),  # what would be refunded: boosts and gains
        ("gains", np.float64),  # the gains in it, which the boost class gave
        ("score", np.float64),
        ("part", np.float64),  # most probable part merged so far, for trace and boosts
        ("end_lm", np.float64),  # the same after the current word would end
        ("end_kept", np.float64),
        ("end_pending", np.float64),
        ("end_gains", np.float64),
        ("gain", np.float64),  # of the boost class, for the word that ended with the last token
        ("end_gain", np.float64),
        ("trace_boost", np.float64),
        ("last", np.int32),  # last token
        ("lexicon", np.int32),  # node in the vocabulary
        ("length", np.int32),  # characters of the current word
        ("context", np.int32),  # language model context
        ("graph", np.int32),  # node in the entity graph
        ("trace", np.int32),  # node of the trace, or of the trace's parent where fresh is set
        ("end_context", np.int32),
        ("end_graph", np.int32),
        ("gap", np.bool_),  # a word boundary is pending
        ("ended", np.bool_),  # the end_* fields are filled
        ("fresh", np.bool_),  # a new trace node is due
    ],
    align=True,
)

TRACE = np.dtype(
    [
        ("boost", np.float64),  # of this token
        ("gain", np.float64),  # of the boost class, for the word before, if this token ends it
        ("lm", np.float64),  # cumulated over the words before the current one
        ("kept", np.float64),
        ("parent", np.int32),
        ("token", np.int32),
        ("frame", np.int32),
    ],
    align=True,
)


class Params(NamedTuple):
    """Everything that is tuned; nats unless said otherwise. See the module's text."""

    width: int
    prune: float  # negative
    token_min: float
    alpha: float  # times ln 10: turns log10 into weighted nats
    beta: float
    unknown: float  # log10, added to words outside the lexicon
    use_lm: bool
    use_boost: bool
    scale: float
    cap: float
    max_gap: float
    entry: float
    entry_scale: float
    entry_cap: float
    fixed: float
    base: float
    per_character: float
    complete: float
    suppress: float
    boost_prune: float  # negative: prune of what only a boost lifts over the token threshold
    heaviest: float  # largest weight of an entity that is searched for
    use_class: bool
    class_weight: float  # log10
    class_known: float  # log10, added for words that the language model knows


class Work(NamedTuple):
    """Scratch memory of one utterance, reused from call to call."""

    beam: npt.NDArray[np.void]  # [W] ENTRY
    candidates: npt.NDArray[np.void]  # [C] ENTRY
    scores: npt.NDArray[np.float64]  # [C]
    slots: npt.NDArray[np.int32]  # [2^b] candidate index + 1 by key hash
    trace: npt.NDArray[np.void]  # [T W + 1] TRACE
    context_words: npt.NDArray[np.int32]  # [S, order - 1]
    context_backoffs: npt.NDArray[np.float32]
    frame: npt.NDArray[np.float64]  # [V] log-probabilities of the frame's tokens
    entered: npt.NDArray[np.int32]  # [V] node of the entity graph that a token enters, UNSEEN until asked for
    enters: npt.NDArray[np.bool_]  # [K] may this column's token begin an entity though it is below the threshold
    continues: npt.NDArray[np.bool_]  # [K] or continue one
    lifted: npt.NDArray[np.float64]  # [K] its log-probability with the most that it may get
    within: npt.NDArray[np.float64]  # [K] the most that this column's token may add to a text inside an entity
    entering: npt.NDArray[np.float64]  # [K] and where it begins one


def make_work(frames: int, width: int, candidates: int, vocabulary: int, context: int) -> Work:
    """Allocate scratch memory for up to ``frames`` frames and ``candidates`` extensions per hypothesis."""
    most = width * (candidates + 1)
    states = frames * width + width + 2
    return Work(
        beam=np.zeros(width, ENTRY),
        candidates=np.zeros(most, ENTRY),
        scores=np.zeros(most, np.float64),
        slots=np.zeros(1 << int(2 * most).bit_length(), np.int32),
        trace=np.zeros(frames * width + 1, TRACE),
        context_words=np.zeros((states, context), np.int32),
        context_backoffs=np.zeros((states, context), np.float32),
        frame=np.full(vocabulary, -np.inf, np.float64),
        entered=np.zeros(vocabulary, np.int32),
        enters=np.zeros(candidates, np.bool_),
        continues=np.zeros(candidates, np.bool_),
        lifted=np.zeros(candidates, np.float64),
        within=np.zeros(candidates, np.float64),
        entering=np.zeros(candidates, np.float64),
    )


@kernel
def logadd(a, b):  # type: ignore[no-untyped-def]
    """ln(e^a + e^b)."""
    if a < b:
        a, b = b, a
    if b == -np.inf or b < a - 40.0:  # the latter is below double precision
        return a
    return a + np.log1p(np.exp(b - a))


@kernel
def _share_of_suffix(trace, node, tokens, characters):  # type: ignore[no-untyped-def]
    """Boost of the trace's last tokens that make up ``characters`` characters, spaces between words included."""
    share = 0.0
    while node > 0 and characters > 0:
        token = trace[node].token
        share += trace[node].boost
        characters -= tokens.lengths[token] + (1 if tokens.begins[token] else 0)
        node = trace[node].parent
    return share


@kernel
def _keep(graph, params, node, pending, gains):  # type: ignore[no-untyped-def]
    """What is kept of ``pending``, of which ``gains`` is the class's, when the entity at ``node`` is complete."""
    weight = graph.final[node]
    if weight < 0.0:
        return weight * params.suppress
    if params.fixed > 0.0:
        return pending
    budget = weight * (params.base + params.per_character * graph.depth[node])
    return max(0.0, weight * params.complete + gains + min(pending - gains, budget))


@kernel
def _end_word(entry, ngrams, lexicon, graph, tokens, params, class_scores, work, states):  # type: ignore[no-untyped-def]
    """Fill the end_* fields: the language model scores the word, the graph completes, continues or refunds.

    Returns the number of language model contexts in use.
    """
    gain = 0.0
    node, pending, gains = entry.graph, entry.pending, entry.gains
    entry.end_lm = entry.lm
    entry.end_context = entry.context
    inside = node > ROOT and (graph.final[node] != 0.0 or child(graph.first, graph.label, node, SPACE) >= 0)
    if params.use_lm:
        word = lexicon.word[entry.lexicon] if entry.lexicon >= 0 else 0
        words, backoffs = work.context_words[entry.context], work.context_backoffs[entry.context]
        score = extend(ngrams, word, words, backoffs, work.context_words[states], work.context_backoffs[states])
        if word == 0:
            score += params.unknown
        if params.use_class and inside and graph.weight[node] > 0.0:
            member = class_scores[words[0]] + params.class_weight + (params.class_known if word != 0 else 0.0)
            gain = max(0.0, member - score) * params.alpha
            gain *= min(np.float64(1.0), np.float64(graph.weight[node]))
            pending += gain
            gains += gain
        entry.end_lm += params.alpha * score + params.beta
        entry.end_context = states
        states += 1
    kept = entry.kept
    if node > ROOT:
        if graph.final[node] != 0.0:
            kept += _keep(graph, params, node, pending, gains)
            pending = gains = 0.0
        elif graph.output[node] > ROOT:  # an entity inside this one, up to its end
            inner = graph.output[node]
            share = _share_of_suffix(work.trace, entry.trace, tokens, graph.depth[inner])
            share = min(pending, gain + share)
            kept += _keep(graph, params, inner, share, gain)
            pending -= share
            gains -= gain
    after = follow(graph.first, graph.label, graph.fail, node, SPACE)
    if after == ROOT or node < 0:
        pending = gains = 0.0
    elif graph.depth[after] <= graph.depth[node]:  # only a suffix is still inside an entity
        gains = min(gains, gain)
        share = _share_of_suffix(work.trace, entry.trace, tokens, graph.depth[after] - 1)
        pending = min(pending, gains + share)
    entry.end_kept, entry.end_pending, entry.end_gains = kept, pending, gains
    entry.end_graph, entry.end_gain = after, gain
    entry.ended = True
    return states


@kernel
def _copy_end(entry, one):  # type: ignore[no-untyped-def]
    """Let the same text in the next frame know how its word ends."""
    one.end_lm, one.end_context, one.end_graph = entry.end_lm, entry.end_context, entry.end_graph
    one.end_kept, one.end_pending, one.end_gains = entry.end_kept, entry.end_pending, entry.end_gains
    one.end_gain, one.ended = entry.end_gain, True


@kernel
def _walk(first, label, fail, codes, token, length, node):  # type: ignore[no-untyped-def]
    """Node of the entity graph after the ``length`` characters of ``token``."""
    for index in range(length):
        if node < 0:
            break
        node = follow(first, label, fail, node, codes[token, index])
    return node


@kernel
def _boosts(params, gap):  # type: ignore[no-untyped-def]
    """Boost per unit of weight of a token with this gap: (as the first of an entity, as a later one)."""
    if params.fixed > 0.0:
        return params.fixed, params.fixed
    if gap > params.max_gap:
        return 0.0, 0.0
    return min(params.entry + params.entry_scale * gap, params.entry_cap), min(params.scale * gap, params.cap)


@kernel
def _boost(weight, depth, params, length, gap):  # type: ignore[no-untyped-def]
    """Boost of a token of ``length`` characters that leads to a node of this ``weight`` and ``depth``, not the root."""
    if weight <= 0.0:
        return 0.0
    first, later = _boosts(params, gap)
    return weight * (first if depth <= length else later)


@kernel
def _partial(entry, params):  # type: ignore[no-untyped-def]
    """Penalty of an unfinished word that begins no known word, so that it does not wait for the word's end."""
    if not params.use_lm or entry.length == 0 or entry.lexicon >= 0:
        return 0.0
    if params.use_class and entry.graph > ROOT:
        return 0.0
    return params.unknown * max(1.0, entry.length / _LONG_WORD)


@kernel
def _slot_of(text, token, size):  # type: ignore[no-untyped-def]
    mixed = (text ^ (np.uint64(token + 2) * np.uint64(0xD6E8FEB86659FD93))) * np.uint64(0xA3B195354A39B70D)
    return np.int64((mixed ^ (mixed >> np.uint64(31))) & np.uint64(size - 1))


@kernel
def _find(slots, candidates, text, token):  # type: ignore[no-untyped-def]
    """(slot, candidate index or NONE) of a text and last token among this frame's candidates."""
    size = len(slots)
    at = _slot_of(text, token, size)
    while slots[at] > 0:
        candidate = candidates[slots[at] - 1]
        if candidate.text == text and candidate.last == token:
            return at, slots[at] - 1
        at = (at + 1) & (size - 1)
    return at, NONE


@kernel
def _clear(work, count):  # type: ignore[no-untyped-def]
    size = len(work.slots)
    for index in range(count):
        at = _slot_of(work.candidates[index].text, work.candidates[index].last, size)
        while work.slots[at] > 0:
            work.slots[at] = 0
            at = (at + 1) & (size - 1)


@kernel
def _nth_largest(scores, count, n):  # type: ignore[no-untyped-def]
    """The n-th largest of scores[:count] (quickselect, reorders them)."""
    low, high, target = 0, count - 1, n - 1
    while low < high:
        pivot = scores[(low + high) // 2]
        i, j = low, high
        while i <= j:
            while scores[i] > pivot:
                i += 1
            while scores[j] < pivot:
                j -= 1
            if i <= j:
                scores[i], scores[j] = scores[j], scores[i]
                i += 1
                j -= 1
        if target <= j:
            high = j
        elif target >= i:
            low = i
        else:
            break
    return scores[target]


@kernel
def _stay(work, size, blank):  # type: ignore[no-untyped-def]
    """Candidates that keep their text: a blank, or the last token again. Returns the best score."""
    best = -np.inf
    for index in range(size):
        entry = work.beam[index]
        work.candidates[index] = entry
        one = work.candidates[index]
        one.token = entry.token + work.frame[entry.last] if entry.last >= 0 else -np.inf
        one.blank = logadd(entry.blank, entry.token) + blank
        one.part = max(one.blank, one.token) + entry.kept + entry.pending
        one.score = logadd(one.blank, one.token) + one.lm + one.partial + one.kept + one.pending
        best = max(best, one.score)
        at, _ = _find(work.slots, work.candidates, one.text, one.last)
        work.slots[at] = index + 1
    return best


@kernel
def _only_blank(work, size, blank):  # type: ignore[no-untyped-def]
    """A frame with nothing but the blank changes no text and no order."""
    for index in range(size):
        entry = work.beam[index]
        entry.blank = logadd(entry.blank, entry.token) + blank
        entry.token = -np.inf
        entry.score += blank


@kernel
def _enter(graph, tokens, token, work):  # type: ignore[no-untyped-def]
    """Note the node that ``token`` leads to from the root; the search asks once per utterance."""
    length = tokens.lengths[token]
    work.entered[token] = _walk(graph.first, graph.label, graph.fail, tokens.codes, token, length, ROOT)


@kernel
def _mark_extra(ids, values, frame, active, graph, tokens, params, work):  # type: ignore[no-untyped-def]
    """Mark the columns below the threshold that a boost may lift over it; returns one past the last of them."""
    top, reached = np.float64(values[frame, 0]), active
    for column in range(active, ids.shape[1]):
        gap = top - values[frame, column]
        if gap > params.max_gap and params.fixed == 0.0:
            break
        need = params.token_min - values[frame, column]
        token = ids[frame, column]
        work.enters[column] = work.continues[column] = False
        if token == tokens.blank or tokens.lengths[token] < 0:
            continue
        first, later = _boosts(params, gap)
        work.continues[column] = params.heaviest * later >= need
        work.lifted[column] = values[frame, column] + params.heaviest * max(first, later)
        if work.entered[token] == _UNSEEN:
            _enter(graph, tokens, token, work)
        node = work.entered[token]
        work.enters[column] = (
            node > ROOT
            and need < np.inf
            and _boost(graph.weight[node], graph.depth[node], params, tokens.lengths[token], gap) >= need
        )
        if work.continues[column] or work.enters[column]:
            reached = column + 1
    return reached


@kernel
def _bound(values, frame, reached, params, plain, within, entering):  # type: ignore[no-untyped-def]
    """Fill the most that each column's token can add: ``plain`` without a boost, and the boost that its gap allows."""
    completed = max(params.complete, 0.0)
    for column in range(reached):
        first, later = _boosts(params, np.float64(values[frame, 0]) - values[frame, column])
        within[column] = plain + params.heaviest * (max(first, later) + completed)
        entering[column] = plain + params.heaviest * max(first, 0.0)


@kernel
def _any_inside(work, size):  # type: ignore[no-untyped-def]
    for index in range(size):  # noqa: SIM110 (numba has no generators)
        if work.beam[index].graph > ROOT:
            return True
    return False


@kernel
def _any_enters(work, active, reached):  # type: ignore[no-untyped-def]
    for column in range(active, reached):  # noqa: SIM110 (numba has no generators)
        if work.enters[column]:
            return True
    return False


@kernel
def _worth_a_try(entry, enters, continues, begins, code, mask):  # type: ignore[no-untyped-def]
    """May a token below the threshold, with ``code`` its first character, begin or continue an entity after a text?"""
    if enters and (begins or entry.graph == ROOT):
        return True
    if not continues or entry.graph <= ROOT:
        return False
    label = SPACE if begins and entry.length > 0 else code
    return (mask[entry.graph] >> np.uint32(label & 31)) & np.uint32(1) != 0


@kernel
def _any_worth_a_try(ids, values, frame, reached, size, graph, tokens, params, work):  # type: ignore[no-untyped-def]
    """Is there a text and a column beyond the blank's that together could stay near the best?"""
    best = -np.inf
    for index in range(size):
        best = max(best, work.beam[index].score)
    least = best + values[frame, 0] + params.boost_prune
    for column in range(1, reached):
        token, lifted = ids[frame, column], work.lifted[column]
        enters, continues = work.enters[column], work.continues[column]
        if best + lifted < least or tokens.lengths[token] < 0 or not (enters or continues):
            continue
        begins, code = tokens.begins[token], tokens.codes[token, 0]
        for index in range(size):
            entry = work.beam[index]
            if entry.score + lifted >= least and _worth_a_try(entry, enters, continues, begins, code, graph.mask):
                return True
    return False


@kernel
def _select(work, count, params, frame, best, traces):  # type: ignore[no-untyped-def]
    """Move the best candidates to the beam and give new ones a trace node; returns (their number, traces used)."""
    candidates, scores = work.candidates, work.scores
    threshold, alive = best + params.prune, 0
    for index in range(count):
        if candidates[index].score >= threshold and candidates[index].score > -np.inf:
            scores[alive] = candidates[index].score
            alive += 1
    ties = alive
    if alive > params.width:
        threshold = _nth_largest(scores, alive, params.width)
        ties = params.width
        for index in range(alive):
            ties -= scores[index] > threshold
    size = 0
    for index in range(count):
        one = candidates[index]
        if one.score < threshold or one.score == -np.inf or (one.score == threshold and ties == 0):
            continue
        if one.score == threshold:
            ties -= 1
        if one.fresh:
            node = work.trace[traces]
            node.parent, node.token, node.frame = one.trace, one.last, frame
            node.boost, node.gain, node.lm, node.kept = one.trace_boost, one.gain, one.lm, one.kept
            one.trace = traces
            one.fresh = False
            traces += 1
        work.beam[size] = one
        size += 1
    return size, traces


@kernel
def _start(work, ngrams, params):  # type: ignore[no-untyped-def]
    """The empty text."""
    work.entered[:] = _UNSEEN
    if params.use_lm:
        begin_context(ngrams, work.context_words[0], work.context_backoffs[0])
    start = work.beam[0]
    start.text, start.blank, start.token, start.lm, start.partial = np.uint64(0), 0.0, -np.inf, 0.0, 0.0
    start.kept, start.pending, start.gains, start.score = 0.0, 0.0, 0.0, 0.0
    start.gain, start.trace_boost = 0.0, 0.0
    start.last, start.lexicon, start.length, start.context = NONE, ROOT, 0, 0
    start.graph, start.trace, start.gap, start.ended, start.fresh = ROOT, 0, False, False, False


@kernel
def search(ids, values, tokens, ngrams, lexicon, graph, class_scores, params, work):  # type: ignore[no-untyped-def]
    """Run the search; returns (hypotheses in work.beam, contexts used). See the module's text for the objective.

    ids: [T, K] int16, values: [T, K] float32, best first. Final hypotheses have their last word ended but the
    sentence end not yet scored.
    """
    beam, candidates, frame_scores, slots, entered = work.beam, work.candidates, work.frame, work.slots, work.entered
    size, states, traces = 1, 1, 1
    _start(work, ngrams, params)
    inner, entering = work.within, work.entering
    plain = max(params.beta, 0.0)  # the most that a token adds without a boost: a class score is never above beta
    for frame in range(len(ids)):
        top = np.float64(values[frame, 0])
        active, blank = 0, np.float64(-np.inf)
        for column in range(ids.shape[1]):
            if column > 0 and values[frame, column] < params.token_min:
                break
            active = column + 1
            if ids[frame, column] == tokens.blank:
                blank = np.float64(values[frame, column])
        reached = active
        if params.use_boost:
            for column in range(active):
                if entered[ids[frame, column]] == _UNSEEN:
                    _enter(graph, tokens, ids[frame, column], work)
            reached = _mark_extra(ids, values, frame, active, graph, tokens, params, work)
        inside = reached > active and _any_inside(work, size)
        if reached > active and not inside and not _any_enters(work, active, reached):
            reached = active
        alone = active == 1 and inside and ids[frame, 0] == tokens.blank
        if alone and not _any_worth_a_try(ids, values, frame, reached, size, graph, tokens, params, work):
            reached = active
        if reached == 1 and ids[frame, 0] == tokens.blank:
            _only_blank(work, size, blank)
            continue
        for column in range(active):
            if ids[frame, column] != tokens.blank:
                frame_scores[ids[frame, column]] = values[frame, column]
        if params.use_boost:
            _bound(values, frame, reached, params, plain, inner, entering)
        best = _stay(work, size, blank)
        count = size
        for index in range(size):
            entry = beam[index]
            total = logadd(entry.blank, entry.token)
            rest = entry.lm + entry.kept + entry.pending
            within = entry.graph > ROOT
            for column in range(reached):
                token = np.int32(ids[frame, column])
                length = tokens.lengths[token]
                if length < 0:  # the blank too
                    continue
                begins = tokens.begins[token]
                if column >= active:
                    if total + rest + work.lifted[column] < best + params.boost_prune:
                        continue
                    enters, continues = work.enters[column], work.continues[column]
                    if not _worth_a_try(entry, enters, continues, begins, tokens.codes[token, 0], graph.mask):
                        continue
                value = np.float64(values[frame, column])
                mass = (entry.blank if token == entry.last else total) + value
                slack = plain
                if within:
                    slack = inner[column]
                elif params.use_boost and (begins or entry.graph == ROOT) and entered[token] > ROOT:
                    slack = entering[column]
                if mass == -np.inf or mass + rest + slack < best + params.prune:
                    continue
                ends = begins and entry.length > 0
                gap = entry.gap or ends or (begins and length == 0)
                if ends and not entry.ended:
                    states = _end_word(entry, ngrams, lexicon, graph, tokens, params, class_scores, work, states)
                    if not candidates[index].fresh:
                        _copy_end(entry, candidates[index])
                node, lm = (entry.end_graph, entry.end_lm) if ends else (entry.graph, entry.lm)
                kept = entry.end_kept if ends else entry.kept
                pending, gains = (entry.end_pending, entry.end_gains) if ends else (entry.pending, entry.gains)
                boost, after = 0.0, node
                if params.use_boost:
                    if node == ROOT:
                        after = entered[token]
                    elif node > ROOT:
                        after = _walk(graph.first, graph.label, graph.fail, tokens.codes, token, length, node)
                    if after > ROOT:
                        boost = _boost(graph.weight[after], graph.depth[after], params, length, top - value)
                    if column >= active and (boost <= 0.0 or value + boost < params.token_min):
                        continue
                    if after <= ROOT:
                        pending = gains = 0.0
                    elif node > ROOT and graph.depth[after] < graph.depth[node] + length:
                        share = _share_of_suffix(work.trace, entry.trace, tokens, graph.depth[after] - length)
                        pending = min(pending - gains, share)
                        gains = 0.0
                part = mass + kept + pending + boost
                if part + lm < best + (params.boost_prune if column >= active else params.prune):
                    continue
                text = entry.text
                if length > 0:
                    if gap and text != 0:
                        text = text * _BASE + _SPACE_CODE
                    text = text * tokens.powers[token] + tokens.hashes[token]
                at, found = _find(slots, candidates, text, token)
                if found >= 0:
                    one = candidates[found]
                    one.token = logadd(one.token, mass)
                    if part > one.part:
                        one.part, one.kept, one.pending, one.gains = part, kept, pending + boost, gains
                        one.trace, one.trace_boost, one.fresh, one.ended = entry.trace, boost, True, False
                        one.gain = entry.end_gain if ends else 0.0
                    one.score = logadd(one.blank, one.token) + one.lm + one.partial + one.kept + one.pending
                else:
                    slots[at] = count + 1
                    one = candidates[count]
                    count += 1
                    one.text, one.blank, one.token, one.part = text, -np.inf, mass, part
                    one.kept, one.pending, one.gains, one.graph = kept, pending + boost, gains, after
                    one.last, one.trace, one.trace_boost, one.fresh, one.ended = token, entry.trace, boost, True, False
                    one.gap = gap and length == 0
                    one.lm, one.context = lm, entry.end_context if ends else entry.context
                    one.gain = entry.end_gain if ends else 0.0
                    one.lexicon, one.length = (ROOT, 0) if ends else (entry.lexicon, entry.length)
                    for place in range(length):
                        if one.lexicon < 0:
                            break
                        code = tokens.codes[token, place]
                        one.lexicon = child(lexicon.first, lexicon.label, one.lexicon, code)
                    one.length += length
                    one.partial = _partial(one, params)
                    one.score = part + lm + one.partial
                best = max(best, one.score)
        for column in range(active):
            frame_scores[ids[frame, column]] = -np.inf
        _clear(work, count)
        size, traces = _select(work, count, params, frame, best, traces)
    for index in range(size):
        entry = beam[index]
        if entry.length > 0 and not entry.ended:
            states = _end_word(entry, ngrams, lexicon, graph, tokens, params, class_scores, work, states)
    return size, states
