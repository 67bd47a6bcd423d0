"""Why an entity stands in a transcript: its span, the shares of its score, and what the unbiased search writes."""

import dataclasses
from collections.abc import Sequence

from pipeline.decoding.found import Found
from pipeline.decoding.spans import entity_spans
from pipeline.types.entity import EntityList
from pipeline.types.hypothesis import EntitySpan, Hypothesis, Word


def explain(nbest: Sequence[Found], unbiased: tuple[Word, ...], entities: EntityList) -> list[Hypothesis]:
    """Return the hypotheses with their entities; ``unbiased`` are the words that the search finds without the list.

    Only the best hypothesis gets alternatives. An entity's acoustic share is the sum of its tokens' log-probabilities
    where they were emitted, its boost share what was kept of boosting and boost class.
    """
    result = []
    for rank, found in enumerate(nbest):
        spans = entity_spans(found.words, entities)
        explained = tuple(_explained(span, found, unbiased if rank == 0 else None) for span in spans)
        result.append(Hypothesis(found.words, found.acoustic, found.lm, found.boost, found.total, explained))
    return result


def _explained(span: EntitySpan, found: Found, unbiased: tuple[Word, ...] | None) -> EntitySpan:
    shares = found.shares(span.start_word, span.end_word)
    boost = sum(share.kept for share in shares)
    fired = (("boosting", sum(share.boost for share in shares)), ("boost_class", sum(share.gain for share in shares)))
    return dataclasses.replace(
        span,
        techniques=tuple(name for name, amount in fired if amount > 0 and boost > 0),
        acoustic=sum(share.acoustic for share in shares),
        lm=sum(share.lm for share in shares),
        boost=boost,
        alternative=None if unbiased is None else _alternative(span, found.words, unbiased),
    )


def _alternative(span: EntitySpan, words: tuple[Word, ...], unbiased: tuple[Word, ...]) -> str:
    """The unbiased words whose middle lies between the span's first frame and the first frame of what follows."""
    begin = words[span.start_word].start_frame
    after = words[span.end_word].start_frame if span.end_word < len(words) else None
    middles = ((word, (word.start_frame + word.end_frame) / 2) for word in unbiased)
    return " ".join(word.text for word, middle in middles if begin <= middle and (after is None or middle < after))
