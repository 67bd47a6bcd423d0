"""What the joint preset brings to another model: with its own search, today's boosting, companion phones or letters.

    python -m benchmarks.any_model --model ../models2/english --language en --utterances 200 --write-speech C.parquet
    rollcall calibrate --model ../models2/english --language en --audio C.parquet --output english_calibration
    python -m benchmarks.any_model --model ../models2/english --language en --emissions out/english \
        --calibration english_calibration --sets is21-100 names_dev adversarial-100 --utterances 200 --json rows.jsonl
    python -m benchmarks.any_model --model ../models2/german --language de --emissions out/german \
        --audio ../models2/german/german_test.parquet --config no_lm.yaml --json rows.jsonl [--alike]

Every second speaker of test-clean-dev is measured; the others are for a calibration (--write-speech). Systems: the
model's own beam and language model without a list; the list without phones, which is what such a model had before; the
joint preset with phones, and with a calibration; the own search with the weights of that. ``closed`` is the share of
the F1 error of the first that is gone.
"""

import argparse
import dataclasses
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from benchmarks.decoding_sets import add_arguments
from benchmarks.joint_ablation import row
from benchmarks.table import Lines
from jobs.run.first_pass import encode
from pipeline.acoustic.adapter_files import resolved
from pipeline.acoustic.calibration_files import configured
from pipeline.acoustic.loading import load_tokens
from pipeline.calibration.lists import ALIKE, with_made_lists
from pipeline.config import RunConfig, baseline, joint, override
from pipeline.recognition.recogniser import Parts, Recogniser
from pipeline.tuning.evaluation import Labelled, LabelledSet, evaluate, load_labelled_set

SETS = {
    "is21-100": ("librispeech_test_clean_dev", "is21_deep_bias/test-clean-dev.biasing_100.tsv"),
    "adversarial-100": ("librispeech_test_clean_dev", "adversarial_100.tsv"),
    "names_dev": ("names_dev", None),
}
"""Audio and lists below --data; None: the audio's own lists."""
_SPEAKERS = "librispeech_test_clean_dev"
OWN, BEFORE, UNCALIBRATED, CALIBRATED = "own search", "list, no phones", "joint", "joint, calibrated"
WEIGHTED = "own search, calibrated"
_WITHOUT_PHONES = (OWN, BEFORE, WEIGHTED)


def systems(options: argparse.Namespace) -> dict[str, RunConfig]:
    """Return the configurations that are compared, by name."""
    given = {"model": options.model, "language": options.language}
    plain = given | {"calibration": None}
    found = {
        OWN: configured(baseline(), options.config, plain | {"phones": None}),
        BEFORE: configured(joint(), options.config, plain | {"phones": None}),
        UNCALIBRATED: configured(joint(), options.config, plain | _phones(options)),
    }
    if options.calibration:
        named = given | _phones(options) | {"calibration": options.calibration}
        found[CALIBRATED] = configured(joint(), options.config, named)
        found[WEIGHTED] = configured(baseline(), options.config, named | {"phones": None})
    wide = {"beam": {"width": options.width}}
    return {name: resolved(override(config, wide)) for name, config in found.items()}


def _phones(options: argparse.Namespace) -> dict[str, str]:
    return {"phones": options.phones} if options.phones else {}


def corpora(options: argparse.Namespace, config: RunConfig) -> Iterator[tuple[str, LabelledSet]]:
    """Yield the sets; their first pass is made once, with phones."""
    if options.audio:
        places = {options.audio.stem: (options.audio, None)}
    else:
        below = {name: SETS[name] for name in options.sets}
        places = {
            name: (options.data / f"{stem}.parquet", None if lists is None else str(options.data / lists))
            for name, (stem, lists) in below.items()
        }
    alphabet = load_tokens(config.acoustic).alphabet
    for name, (audio, lists) in places.items():
        part = _part(audio, options, options.measured)
        emissions = options.emissions / f"{part.stem}.emissions.parquet"
        if not emissions.is_file():
            new = emissions.with_name(f"{emissions.name}.{os.getpid()}")
            Path(encode(str(part), config, new)).replace(emissions)
        corpus = load_labelled_set(str(emissions), str(part), lists, alphabet)
        if options.alike:
            yield f"{name}, alike", with_made_lists(corpus, Parts(config).pronouncer, said=False)[ALIKE]
        else:
            yield name, corpus


def _part(audio: Path, options: argparse.Namespace, measured: bool) -> Path:
    """Write what is measured of a file: so many utterances, of test-clean-dev of every second speaker.

    What is not ``measured`` is what a calibration may hear, of the others.
    """
    speakers = pq.read_table(audio, columns=["speaker"])["speaker"].to_pylist()
    chosen = set(speakers)
    if audio.stem == _SPEAKERS:
        chosen = set(sorted(chosen)[int(measured) :: 2])
    rows = [at for at, speaker in enumerate(speakers) if speaker in chosen]
    most = options.utterances or len(rows)
    rows = rows[:: max(1, len(rows) // most)]
    options.emissions.mkdir(parents=True, exist_ok=True)
    path = options.emissions / f"{audio.stem}.{'measured' if measured else 'others'}.{most}.parquet"
    pq.write_table(pq.read_table(audio).take(rows), path)
    return path


def _heard_by(corpus: LabelledSet, system: str) -> LabelledSet:
    """Return the set without phones, or letters in their place, for a system that has none."""
    if system not in _WITHOUT_PHONES:
        return corpus
    found = (Labelled(one.reference, dataclasses.replace(one.heard, phone_log_probs=None)) for one in corpus.utterances)
    return dataclasses.replace(corpus, utterances=tuple(found))


def measure(options: argparse.Namespace) -> None:
    """Score every system on every set."""
    options.emissions.mkdir(parents=True, exist_ok=True)
    chosen, lines = systems(options), Lines(options.json, options.resume)
    for name, corpus in corpora(options, chosen[UNCALIBRATED]):
        known = {one["system"]: one for one in lines.before if one["set"] == name and one["model"] == options.model}
        for system, config in chosen.items():
            if system in known:
                continue
            transcriber = Recogniser.load(config, encodes=False).transcriber
            found = row(system, name, evaluate(transcriber, _heard_by(corpus, system)))
            known[system] = found
            lines.add({**found, **_closed(known[OWN], found), "model": options.model, "width": options.width})


def _closed(own: dict[str, Any], found: dict[str, Any]) -> dict[str, float]:
    before, now = own["f1"][0], found["f1"][0]
    return {} if before is None or now is None else {"closed": round(100 * (now - before) / max(1e-9, 100 - before), 1)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_arguments(parser)
    parser.set_defaults(width=baseline().beam.width, measured=True)
    parser.add_argument("--model", required=True, help="directory of a CTC model of transformers")
    parser.add_argument("--language", required=True, help="of the model")
    parser.add_argument("--phones", help="acoustic.phones, if not by the language")
    parser.add_argument("--calibration", help="directory that rollcall calibrate wrote")
    parser.add_argument("--sets", nargs="+", default=list(SETS), choices=SETS)
    parser.add_argument("--audio", type=Path, help="AUDIO parquet with texts and lists, in place of --sets")
    parser.add_argument("--alike", action="store_true", help="lists of what sounds like what was said, made for it")
    parser.add_argument("--write-speech", type=Path, metavar="PARQUET", help="write speech for a calibration and end")
    parser.add_argument("--resume", action="store_true", help="what --json has is not measured again")
    options = parser.parse_args()
    if options.write_speech:
        _part(options.data / f"{_SPEAKERS}.parquet", options, measured=False).replace(options.write_speech)
        return
    measure(options)


if __name__ == "__main__":
    main()
