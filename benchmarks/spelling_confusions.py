"""Learn how the recogniser spells by ear, from training speech that it was not trained on (or any other but test data).

    python -m benchmarks.spelling_confusions --emissions out/emissions/train_heldout.parquet \\
        --reference ../shared/data/librispeech_train_clean_5.parquet --write models/phonetics/confusions.json
"""

import argparse
import json
from pathlib import Path

from pipeline.acoustic.loading import load_tokens
from pipeline.calibration.spelling import pairs
from pipeline.config import AcousticConfig
from pipeline.lexicon.confusions import learn
from pipeline.tuning.evaluation import load_labelled_set


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--emissions", required=True, help="EMISSIONS parquet")
    parser.add_argument("--reference", required=True, help="AUDIO parquet with its texts")
    parser.add_argument("--model", default=AcousticConfig().model, help="model that made the emissions")
    parser.add_argument("--write", type=Path, help="where the table goes")
    options = parser.parse_args()
    corpus = load_labelled_set(options.emissions, options.reference)
    found = list(pairs(corpus, load_tokens(AcousticConfig(model=options.model))))
    table = learn(found)
    if options.write:
        options.write.write_text(json.dumps(table, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    wrong = sum(word != written for word, written in found)
    print(f"{len(found)} words, {wrong} written otherwise; {sum(map(len, table.values()))} pairs of letters")


if __name__ == "__main__":
    main()
