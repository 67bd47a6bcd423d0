"""Processor time of the joint model's searches and of rescoring, lookup and variants, per hour of audio.

    python -m benchmarks.phonetic_cost --emissions out/emissions --width 128 --sets names_dev is21-100

Variants means making them and writing them back; that the search has more spellings to follow counts as search.
"""

import argparse
import time
from collections import Counter
from typing import Any

from benchmarks.decoding_sets import add_arguments, load
from benchmarks.joint_ablation import SETS, warm
from benchmarks.table import show
from pipeline.config import baseline, joint, override
from pipeline.config.config_file import with_file
from pipeline.decoding.beam import BeamDecoder
from pipeline.recognition.recogniser import Recogniser
from pipeline.rescoring.lookup import LexiconLookup
from pipeline.rescoring.phone_rescoring import PhoneRescoring
from pipeline.rescoring.variants import SpellingVariants
from pipeline.tuning.evaluation import evaluate

_PARTS = (
    (BeamDecoder, "decode", "searches"), (PhoneRescoring, "order", "rescoring"), (LexiconLookup, "propose", "lookup"),
    (SpellingVariants, "expand", "variants"), (SpellingVariants, "canonical", "variants"),
)  # fmt: skip


def timed(owner: type, method: str, name: str, seconds: Counter[str]) -> None:
    """Let ``method`` add its processor time to ``seconds``."""
    plain = getattr(owner, method)

    def measured(*arguments: Any, **named: Any) -> Any:
        began = time.process_time()
        try:
            return plain(*arguments, **named)
        finally:
            seconds[name] += time.process_time() - began  # type: ignore[assignment]

    setattr(owner, method, measured)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_arguments(parser)
    parser.set_defaults(width=baseline().beam.width)
    parser.add_argument("--sets", nargs="+", default=["names_dev", "is21-100"], choices=SETS)
    options = parser.parse_args()
    seconds: Counter[str] = Counter()
    for owner, method, name in _PARTS:
        timed(owner, method, name, seconds)
    bench, rows = load(options, tuple(options.sets)), []
    config = with_file(override(joint(), {"beam": {"width": options.width}}), options.config)
    for name, corpus in bench.heard_by(config).items():
        transcriber = Recogniser.load(config, encodes=False).transcriber
        warm(transcriber, corpus)
        seconds.clear()
        found = evaluate(transcriber, corpus)
        hours = found.audio_seconds / 3600
        parts = {part: seconds[part] / hours for part in ("rescoring", "lookup", "variants")}
        rows.append(
            {"set": name, "all": found.seconds / hours, "searches": seconds["searches"] / hours}
            | parts
            | {"the three together": sum(parts.values())}
        )
    show("processor seconds per hour of audio", rows, options.json)


if __name__ == "__main__":
    main()
