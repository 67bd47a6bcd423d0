"""How a recogniser spells by ear, learned from speech that it was not trained on."""

from collections.abc import Iterator

from pipeline.decoding.greedy import GreedyDecoder
from pipeline.lexicon.confusions import learn, word_pairs
from pipeline.tuning.evaluation import LabelledSet
from pipeline.types.entity import EMPTY
from pipeline.types.tokens import Tokens


def pairs(corpus: LabelledSet, tokens: Tokens) -> Iterator[tuple[str, str]]:
    """Yield what was said, word by word, with what the model wrote for it.

    The greedy hypotheses, before any language model, are what the model itself makes of a word.
    """
    greedy = GreedyDecoder(tokens)
    for one in corpus.utterances:
        yield from word_pairs(one.reference.text, greedy.decode(one.heard.tokens, EMPTY)[0].text)


def confusions(corpus: LabelledSet, tokens: Tokens) -> dict[str, dict[str, float]]:
    """Return the table of pipeline.lexicon.confusions for the model that ``corpus`` was heard by."""
    return learn(pairs(corpus, tokens))
