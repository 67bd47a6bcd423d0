"""Learn how the recogniser spells by ear, from training speech that it was not trained on (or any other but test data).

    python -m benchmarks.spelling_confusions --emissions out/emissions/train_heldout.parquet \\
        --reference ../shared/data/librispeech_train_clean_5.parquet --write models/phonetics/confusions.json

The greedy hypotheses, before any language model, are what the model itself makes of a word.
"""

import argparse
import json
from pathlib import Path

from pipeline.acoustic.loading import load_tokens
from pipeline.config import AcousticConfig
from pipeline.decoding.greedy import GreedyDecoder
from pipeline.lexicon.confusions import learn, word_pairs
from pipeline.tuning.evaluation import load_labelled_set
from pipeline.types.entity import EMPTY


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--emissions", required=True, help="EMISSIONS parquet")
    parser.add_argument("--reference", required=True, help="AUDIO parquet with its texts")
    parser.add_argument("--model", default=AcousticConfig().model, help="model that made the emissions")
    parser.add_argument("--write", type=Path, help="where the table goes")
    options = parser.parse_args()
    greedy = GreedyDecoder(load_tokens(AcousticConfig(model=options.model)))
    corpus = load_labelled_set(options.emissions, options.reference)
    pairs = [
        pair
        for one in corpus.utterances
        for pair in word_pairs(one.reference.text, greedy.decode(one.heard.tokens, EMPTY)[0].text)
    ]
    table = learn(pairs)
    if options.write:
        options.write.write_text(json.dumps(table, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    wrong = sum(word != written for word, written in pairs)
    print(f"{len(pairs)} words, {wrong} written otherwise; {sum(map(len, table.values()))} pairs of letters")


if __name__ == "__main__":
    main()
