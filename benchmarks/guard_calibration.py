"""Fit the guard on development and training speakers; judge it, and read off its bounds, by what it says of others.

    python -m benchmarks.guard_calibration --emissions out/emissions --keep out/guard \
        --speech ../shared/data/librispeech_train_clean_5.parquet ../shared/data/synth_piper.parquet \
        --write models/phonetics/guard.json

Proposals come from the real passes, with the joint configuration and no guard, on the sets of
benchmarks.calibration_sets: lists of three sizes, of names, of sound-alikes, large catalogs, and lists made for speech
of training speakers. Right is a proposal that adds an entity that was said and none that was not. The table gives the
bound for each rate of false accepts per hour of audio, counted on the sound-alikes beyond what the unbiased search
writes by itself. Bounds and all figures shown come from trees that were fitted on the other half of the development
speakers (two folds) and on the training speech; the trees that are written are fitted on everything.

With --keep each set's proposals are kept there: a calibration that is broken off goes on with the next set, and sets
can be collected side by side. Fits are then a matter of a minute, and can be compared:

    python -m benchmarks.guard_calibration --keep out/guard --only names_dev directory --parts adapted
    python -m benchmarks.guard_calibration --keep out/guard --speech ... --without share rivals_here
"""

import argparse
import json
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.calibration_sets import SOUND_ALIKES, Sets
from benchmarks.decoding_sets import add_arguments
from benchmarks.table import hardware, show
from pipeline.calibration.guard import collect, fit, odds_of_cut, unweighted
from pipeline.config import joint, without
from pipeline.config.config_file import with_file
from pipeline.errors import InputError
from pipeline.recognition.recogniser import Recogniser
from pipeline.rescoring.evidence import FEATURES, STANDING
from pipeline.rescoring.guard import ADAPTED, PLAIN
from pipeline.training import guard_data
from pipeline.training.guard_data import Half


def proposals(part: str, name: str, sets: Sets, keep: Path | None) -> tuple[Half, ...]:
    """Return the judged proposals of one set, in halves or as one to learn from; from ``keep`` where they are."""
    kept = keep / part / f"{name}.parquet" if keep else None
    if kept is not None and kept.is_file():
        return guard_data.read(kept)
    corpus, began, worked = sets.load(name), time.monotonic(), time.process_time()
    config = sets.config if part == ADAPTED else without(sets.config, "adapter")
    with tempfile.TemporaryDirectory() as folder:
        recogniser = Recogniser.load(unweighted(config, Path(folder), odds_of_cut(config)), encodes=False)
    found = tuple(collect(recogniser, one) for one in ([corpus] if name in sets.of_speech else corpus.halves()))
    if kept is not None:
        guard_data.write(kept, found)
    count, errors, words = (sum(values) for values in zip(*map(_counts, found), strict=True))
    print(
        f"{part} {name}: {count} proposals in {len(corpus.utterances)} utterances, WER without a list "
        f"{100 * errors / max(1, words):.1f}%, {time.monotonic() - began:.0f} s, "
        f"{time.process_time() - worked:.0f} s of a core",
        flush=True,
    )
    return found


def _counts(half: Half) -> tuple[int, int, int]:
    return len(half.proposals), half.errors, half.words


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_arguments(parser)
    parser.add_argument("--write", type=Path, help="where the weights go, e.g. models/phonetics/guard.json")
    parser.add_argument("--keep", type=Path, help="folder of collected proposals")
    parser.add_argument("--only", nargs="+", metavar="SET", help="collect these and do not fit")
    parser.add_argument("--sets", nargs="+", metavar="SET", help="fit on these and the sound-alikes (default: all)")
    parser.add_argument("--parts", nargs="+", choices=(PLAIN, ADAPTED), default=[PLAIN, ADAPTED], help="default: both")
    parser.add_argument("--speech", nargs="+", type=Path, default=[], metavar="PARQUET", help="of training speakers")
    parser.add_argument(
        "--speech-utterances", type=int, default=400, help="of each file, spread over it (default %(default)s)"
    )
    parser.add_argument(
        "--noise", nargs=2, type=float, default=(0.0, 15.0), metavar="DB",
        help="signal to noise of training speech, lowest and highest; watch the WER without a list that is printed",
    )  # fmt: skip
    parser.add_argument("--without", nargs="+", choices=FEATURES, default=[], metavar="FEATURE", help="not used")
    options = parser.parse_args()
    sets = Sets(options, with_file(joint(), options.config), {path.stem: path for path in options.speech})
    names = tuple(options.only or options.sets or sets.names)
    if unknown := sorted(set(names) - set(sets.names)):
        raise InputError(f"no sets are called {unknown}; there are {list(sets.names)}, and more with --speech.")
    if not options.only and SOUND_ALIKES not in names:
        names = (*names, SOUND_ALIKES)
    features = [name for name in FEATURES if name not in options.without]
    content: dict[str, Any] = {
        "date": datetime.now(UTC).date().isoformat(), "hardware": hardware(), "features": features,
    }  # fmt: skip
    content |= {} if set(STANDING).isdisjoint(features) else {"odds": odds_of_cut(sets.config)}
    rows: list[dict[str, Any]] = []
    for part in options.parts:
        found = {name: proposals(part, name, sets, options.keep) for name in names}
        if not options.only:
            fitted = fit(found, features, SOUND_ALIKES)
            content[part] = fitted.part()
            rows += [{"part": part} | one for one in fitted.rows]
    if rows:
        show("the guard on both halves of the speakers", rows, options.json)
    if options.write:
        options.write.write_text(json.dumps(content) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
