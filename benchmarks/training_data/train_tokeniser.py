"""Train the SentencePiece model of the default recogniser.

    python -m benchmarks.training_data.train_tokeniser --sentences sentences.tsv --transcripts TRAIN.parquet ... \
        --out tokenizer

512 unigram pieces (Kudo 2018): several segmentations of one name are what boosting searches, and id 0, <unk>, becomes
the CTC blank. Three copies of the transcripts weigh them up against the books.
"""

import argparse
import random
from pathlib import Path

import pyarrow.parquet as pq
import sentencepiece

from pipeline.text import normalise

PIECES = 512
COPIES = 3
SENTENCES = 120_000


def texts(sentences: Path, transcripts: list[Path]) -> list[str]:
    """Return the lines to train on, shuffled."""
    lines = [line.rstrip("\n").split("\t")[2] for line in sentences.open(encoding="utf-8")]
    for parquet in transcripts:
        spoken = [normalise(text) for text in pq.read_table(parquet, columns=["text"])["text"].to_pylist()]
        lines += COPIES * [text for text in spoken if not any(character.isdigit() for character in text)]
    random.Random(1).shuffle(lines)
    return lines[:SENTENCES]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sentences", type=Path, required=True, help="TSV: source, as printed, normalised")
    parser.add_argument("--transcripts", type=Path, nargs="+", required=True)
    parser.add_argument("--out", required=True, help="writes OUT.model and OUT.vocab")
    options = parser.parse_args()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(texts(options.sentences, options.transcripts)), model_prefix=options.out,
        vocab_size=PIECES, model_type="unigram", character_coverage=1.0, max_sentencepiece_length=8,
        unk_id=0, bos_id=-1, eos_id=-1, pad_id=-1, normalization_rule_name="identity",
        required_chars="abcdefghijklmnopqrstuvwxyz'", num_threads=1,
    )  # fmt: skip


if __name__ == "__main__":
    main()
