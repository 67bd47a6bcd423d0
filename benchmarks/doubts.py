"""What it costs and brings to doubt names that the search writes without a list (pipeline.rescoring.doubts).

    python -m benchmarks.doubts --model ../models2/english --language en --emissions out/english --json rows.jsonl

Of speakers that no table is measured on (benchmarks.any_model) every listed name in what is written without the list is
weighed. On ``listed``, made lists with what is said and its sound-alikes, and is21-100 most are right; on ``alike`` and
adversarial-100 none is. A row for each bound: how many right names would be lost, and how many wrong ones undone.
"""

import argparse
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.any_model import corpora
from benchmarks.decoding_sets import add_arguments
from pipeline.acoustic.adapter_files import resolved
from pipeline.acoustic.calibration_files import configured
from pipeline.calibration.guard import Doubted, collect_doubts
from pipeline.calibration.lists import with_made_lists
from pipeline.config import RunConfig, joint, override
from pipeline.recognition.recogniser import Recogniser
from pipeline.tuning.evaluation import LabelledSet

BOUNDS = (-3.0, -2.0, -1.5, -1.0, -0.5, 0.0, 0.5, 1.0)
"""Log odds."""


def rows(name: str, hours: float, found: list[Doubted]) -> Iterator[dict[str, Any]]:
    """Yield what each bound does to the names of a set."""
    right, wrong = sum(one.lost for one in found), sum(one.undone for one in found)
    for bound in BOUNDS:
        below = [one for one in found if one.odds < bound]
        lost, undone = sum(one.lost for one in below), sum(one.undone for one in below)
        yield {
            "set": name, "bound": bound, "right": right, "lost": lost, "wrong": wrong, "undone": undone,
            "wrong_per_hour": round(wrong / hours, 1), "left_per_hour": round((wrong - undone) / hours, 1),
        }  # fmt: skip


def _sets(options: argparse.Namespace, config: RunConfig, recogniser: Recogniser) -> Iterator[tuple[str, LabelledSet]]:
    corpus = None
    for name, corpus in corpora(options, config):
        yield name, corpus
    if corpus is not None:
        yield from with_made_lists(corpus, recogniser.parts.pronouncer).items()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_arguments(parser)
    parser.add_argument("--model", help="directory of a CTC model of transformers; default: the shipped one")
    parser.add_argument("--language", help="of the model")
    parser.add_argument("--calibration", help="directory that rollcall calibrate wrote")
    parser.set_defaults(sets=["is21-100", "adversarial-100"], audio=None, alike=False, measured=False)
    options = parser.parse_args()
    given = {name: getattr(options, name) for name in ("model", "language") if getattr(options, name)}
    named = configured(joint(), None, given | {"calibration": options.calibration})
    config = resolved(override(named, {"guard": {"doubts": True}, "adapter": None}))
    recogniser = Recogniser.load(config, encodes=False)
    print("| set | bound | right, lost | wrong, undone | wrong an hour, left |\n|---|---|---|---|---|")
    for name, corpus in _sets(options, config, recogniser):
        for one in rows(name, corpus.seconds / 3600, collect_doubts(recogniser, corpus)):
            print("| {set} | {bound:g} | {right}, {lost} | {wrong}, {undone} | {wrong_per_hour}, {left_per_hour} |"
                  .format(**one), flush=True)  # fmt: skip
            if options.json:
                with Path(options.json).open("a", encoding="utf-8") as lines:
                    lines.write(json.dumps(one) + "\n")


if __name__ == "__main__":
    main()
