"""Fit what depends on the recogniser to speech of your own: weights, spelling by ear, and the guard.

    python -m jobs.calibrate --model my_model --audio labelled.parquet --output my_model_calibration
    python -m jobs.calibrate --model my_model --audio corpus/*.parquet --output calibration

An hour or two of AUDIO parquet with ``text`` fits all of it. Of audio without any text the model's own transcripts
stand for what was said: they fit its spelling by ear and, with lists of words that sound like it, the guard's bounds.

OUTPUT is a small directory of JSON files and a card. ``--model my_model`` finds it where it is called
my_model_calibration; --calibration names any other. First pass and trials are kept in --work, so the same command goes
on where it was broken off.
"""

import argparse
import dataclasses
import functools
import json
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from rich.console import Console

from jobs.cli.command import Result, add_language, job_parser, leave, run_command
from jobs.run.first_pass import encode
from pipeline.acoustic.adapter_files import resolved
from pipeline.acoustic.calibration_files import doubting
from pipeline.acoustic.loading import load_tokens
from pipeline.calibration.guard import (
    LOST,
    Doubted,
    Fitted,
    collect,
    collect_doubts,
    fit_doubts,
    odds_of,
    refit,
    unweighted,
)  # fmt: skip
from pipeline.calibration.lists import ALIKE, LISTED, as_written, parted, with_made_lists
from pipeline.calibration.search import fit_weights
from pipeline.calibration.spelling import confusions
from pipeline.calibration.write import write_calibration
from pipeline.config import SWITCHES, GuardConfig, RunConfig, joint, override, without
from pipeline.config.config_file import with_file
from pipeline.config.fingerprint import config_fingerprint, content_hash, fingerprint, model_fingerprint
from pipeline.errors import ConfigError, InputError, StorageError
from pipeline.recognition.recogniser import Recogniser
from pipeline.rescoring.guard import ADAPTED, PLAIN, read_judge
from pipeline.storage import matching
from pipeline.training import guard_data
from pipeline.training.guard_data import Half
from pipeline.training.guard_fit import can_fit
from pipeline.tuning.evaluation import LabelledSet, load_labelled_set, sample
from pipeline.tuning.results import nested
from pipeline.tuning.tuning import configured

WORK = "_work"
"""Ending of the folder beside the output where first pass and trials are kept."""


def build_parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = job_parser("calibrate", __doc__)
    parser.add_argument("--model", metavar="DIR", help="a directory of ours or of transformers (default: the shipped)")
    add_language(parser)
    parser.add_argument("--audio", metavar="A", nargs="+", required=True, help="AUDIO parquet files; globs allowed")
    parser.add_argument(
        "--config", metavar="YAML", help="overrides fields of the joint preset, e.g. the language model"
    )
    parser.add_argument("--trials", type=int, default=24, help="of the search for weights (default: %(default)s)")
    parser.add_argument(
        "--utterances",
        type=int,
        default=1000,
        metavar="N",
        help="at most so many, spread over it (default %(default)s)",
    )
    parser.add_argument("--seed", type=int, default=0, help="default: %(default)s")
    parser.add_argument("--work", metavar="W", help="folder for first pass and trials (default: OUTPUT_work)")
    parser.add_argument("--output", metavar="O", required=True, help="directory to write")
    return parser


def main(argv: list[str] | None = None) -> int:
    """Run the command; exit code 0, or 2 for bad input."""
    arguments = build_parser().parse_args(argv)
    return run_command(lambda: Calibrating(arguments).run(), arguments.json)


@dataclasses.dataclass(frozen=True)
class Speech:
    """What is calibrated on; ``labelled``: whether people transcribed it."""

    corpus: LabelledSet
    labelled: bool

    @property
    def has_phones(self) -> bool:
        return any(one.heard.phone_log_probs is not None for one in self.corpus.utterances)


class Calibrating:
    """One run of the command; what is costly is kept in the work folder."""

    def __init__(self, arguments: argparse.Namespace) -> None:
        """Raises RollcallError for what is wrong before any work begins."""
        self.arguments, self.console = arguments, Console(highlight=False)
        for name in ("trials", "utterances"):
            if getattr(arguments, name) < 1:
                raise ConfigError(f"--{name} must be 1 or more, got {getattr(arguments, name)}.")
        self.files = [file for pattern in arguments.audio for file in matching(pattern)]
        if not self.files:
            raise InputError(f"--audio {' '.join(arguments.audio)}: no such file.")
        self.config = _config(arguments)
        self.labelled = _labelled(self.files)
        if self.labelled and not can_fit():
            self.console.print(
                "note: scikit-learn is not installed, so the guard's trees stay and only its bounds are fitted; "
                "pip install 'rollcall[calibrate]' fits both",
                soft_wrap=True, markup=False,
            )  # fmt: skip
        self.work = self._work_folder()

    def _work_folder(self) -> Path:
        """A folder of its own for these files, model and configuration."""
        root = Path(self.arguments.work or self.arguments.output.rstrip("/") + WORK)
        what = [content_hash(file) for file in self.files]
        parts = [what, model_fingerprint(self.config.acoustic.model), config_fingerprint(self.config)]
        folder = root / fingerprint([*parts, self.arguments.utterances, self.arguments.trials, self.arguments.seed])
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StorageError(f"{folder} cannot be written to: {error}") from error
        return folder

    def run(self) -> Result:
        """Fit everything that the speech and the model allow, and write it."""
        config, speech = self.config, self._speech()
        values, measured = self._weights(speech)
        config = configured(config, values)
        files: dict[str, Any] = {}
        if speech.has_phones:
            files |= self._spelling(speech)
            if "confusions.json" in files:
                (self.work / "confusions.json").write_text(json.dumps(files["confusions.json"]), encoding="utf-8")
                config = override(config, {"g2g": {"confusions": str(self.work / "confusions.json")}})
            files["guard.json"], facts = self._guard(config, speech)
            measured |= facts
            bound, facts = self._doubts(config, speech)
            files["guard.json"] |= bound
            measured |= facts
        else:
            self.console.print("no phones are heard, so there is no guard to fit and no spelling by ear")
        hours = speech.corpus.seconds / 3600
        about: dict[str, Any] = {
            "hours": round(hours, 3),
            "utterances": len(speech.corpus.utterances),
            "labelled": speech.labelled,
        }
        about |= {"date": datetime.now(UTC).date().isoformat(), **measured}
        written = write_calibration(Path(self.arguments.output), self.config, nested(values), files, about)
        self.console.print(f"written: {self.arguments.output}", soft_wrap=True)
        return Result(written.to_json() | {"output": self.arguments.output})

    def _speech(self) -> Speech:
        """Return the utterances with what was said in them, or what the model writes."""
        alphabet, found = load_tokens(self.config.acoustic).alphabet, []
        plain = Recogniser.load(functools.reduce(without, SWITCHES, self.config), encodes=False)
        for number, file in enumerate(self.files):
            emissions = self.work / f"emissions_{number}.parquet"
            if not emissions.is_file():
                self.console.print(f"hearing {file}", soft_wrap=True)
                Path(encode(file, self.config, emissions.with_suffix(".new"))).replace(emissions)
            if self.labelled:
                found.append(load_labelled_set(str(emissions), file, None, alphabet))
            else:
                found.append(as_written(str(emissions), plain.transcriber))
        utterances = tuple(one for corpus in found for one in corpus.utterances if one.reference.text)
        if len(utterances) < 2:
            raise InputError(
                f"{' '.join(self.files)}: {len(utterances)} utterances with words in them; needed are two."
            )
        corpus = dataclasses.replace(found[0], utterances=utterances)
        speech = Speech(sample(corpus, self.arguments.utterances), self.labelled)
        said = "with text" if self.labelled else "without text: the model's own transcripts stand for what was said"
        self.console.print(
            f"{len(speech.corpus.utterances):,} utterances, {speech.corpus.seconds / 3600:.2f} h, {said}",
            soft_wrap=True,
        )
        return speech

    def _weights(self, speech: Speech) -> tuple[dict[str, float], dict[str, Any]]:
        """Return weights of the search by dotted key, and the WER with them on speakers that did not choose them."""
        config = self.config
        if not speech.labelled or (config.language_model is None and config.phone_fusion is None):
            return {}, {}
        kept = self.work / "weights.json"
        if not kept.is_file():
            trials = 0

            def note(_: object) -> None:
                nonlocal trials
                trials += 1
                self.console.print(f"weights: trial {trials} of {self.arguments.trials}")

            found = fit_weights(config, parted(speech.corpus), self.arguments.trials, self.arguments.seed, note)
            kept.write_text(json.dumps(dataclasses.asdict(found)), encoding="utf-8")
        content = json.loads(kept.read_text(encoding="utf-8"))
        rates = {"wer_before": round(content["before"], 5), "wer": round(content["now"], 5)}
        self.console.print(f"weights: WER {content['before']:.2%} to {content['now']:.2%} on the other half")
        return content["values"], rates

    def _spelling(self, speech: Speech) -> dict[str, Any]:
        table = confusions(speech.corpus, load_tokens(self.config.acoustic))
        count = sum(map(len, table.values()))
        self.console.print(f"spelling by ear: {count} pairs of letters" + ("" if count else "; the default's are kept"))
        return {"confusions.json": table} if count else {}

    def _guard(self, config: RunConfig, speech: Speech) -> tuple[dict[str, Any], dict[str, Any]]:
        """Return a weights file of the guard, and what was measured of it."""
        parts = [PLAIN] if config.adapter is None else [PLAIN, ADAPTED]
        content: dict[str, Any] = {"odds": odds_of(config)}
        rows: list[dict[str, Any]] = []
        trees = {}
        for part in parts:
            judges = {name: read_judge(Path(GuardConfig().weights), name) for name in (PLAIN, ADAPTED)}
            judge, other = judges[part], judges[PLAIN if part == ADAPTED else ADAPTED]
            found = dict(self._proposals(part, config, speech))
            fitted = refit(found, ALIKE, judge, other)
            content |= {"features": judge.features, part: fitted.part()}
            rows += [{"part": part} | row for row in fitted.rows]
            trees[f"trees_{part}"] = "grown on from the shipped ones" if fitted.grown else "the shipped ones"
            self._say(part, found, fitted)
        return content, {**trees, "guard_rows": rows}

    def _proposals(self, part: str, config: RunConfig, speech: Speech) -> Iterator[tuple[str, tuple[Half, ...]]]:
        """Yield the judged proposals of each set, in halves."""
        config = config if part == ADAPTED or config.adapter is None else without(config, "adapter")
        recogniser = Recogniser.load(unweighted(config, self.work), encodes=False)
        sets = with_made_lists(speech.corpus, recogniser.parts.pronouncer, speech.labelled)
        for name, corpus in sets.items():
            kept = self.work / f"{part}_{name}.parquet"
            if not kept.is_file():
                self.console.print(f"guard: lists '{name}'{' with the adapter' if part == ADAPTED else ''}")
                guard_data.write(kept, [collect(recogniser, half) for half in parted(corpus)])
            yield name, guard_data.read(kept)

    def _doubts(self, config: RunConfig, speech: Speech) -> tuple[dict[str, float], dict[str, Any]]:
        """Return the bound for names that the search writes without a list, for the weights file, and what it does."""
        if not speech.labelled or config.guard is None or not config.guard.doubts:
            return {}, {}
        kept = self.work / "doubts.json"
        if not kept.is_file():
            self.console.print("guard: names that are written without a list")
            plain = config if config.adapter is None else without(config, "adapter")
            recogniser = Recogniser.load(unweighted(plain, self.work), encodes=False)
            sets = with_made_lists(speech.corpus, recogniser.parts.pronouncer)
            found = {name: list(map(dataclasses.asdict, collect_doubts(recogniser, one))) for name, one in sets.items()}
            kept.write_text(json.dumps(found), encoding="utf-8")
        content = json.loads(kept.read_text(encoding="utf-8"))
        listed, alike = ([Doubted(**one) for one in content[name]] for name in (LISTED, ALIKE))
        fitted = fit_doubts(listed, alike)
        if fitted.bound is None:
            self.console.print(
                f"doubts: {fitted.right} names are rightly written without a list, needed are {round(1 / LOST)}; "
                f"the default's bound is kept"
            )
            return {}, {}
        does = f"of {fitted.wrong} wrong names {fitted.undone} undone, of {fitted.right} right ones {fitted.lost} lost"
        self.console.print(f"doubts: below log odds of {fitted.bound:.2f}, {does}", soft_wrap=True)
        return {"doubt": fitted.bound}, {"doubts_below": round(fitted.bound, 2), "doubts": does}

    def _say(self, part: str, found: Mapping[str, tuple[Half, ...]], fitted: Fitted) -> None:
        rate = GuardConfig().max_false_accepts_per_hour
        for row in fitted.rows:
            if row["rate"] == rate and row["set"] == LISTED:
                self.console.print(
                    f"guard, {row['half']}: F1 {row['F1 unbiased']:.1f} to {row['F1']:.1f}", soft_wrap=True
                )
        right = sum(one.right for halves in found.values() for half in halves for one in half.proposals)
        learned = f"learned from {right} right proposals" if fitted.grown else "only bounds were fitted"
        self.console.print(f"guard ({part}): {learned}")


def _config(arguments: argparse.Namespace) -> RunConfig:
    """Return the joint preset with --config, --model and --language put over it, without a calibration of before."""
    given = {name: value for name in ("model", "language") if (value := getattr(arguments, name))}
    config = override(with_file(joint(), arguments.config), {"acoustic": given | {"calibration": None}})
    if config.guard is None:
        raise ConfigError("guard: null; a calibration fits the guard, so leave it in.")
    return doubting(resolved(config))


def _labelled(files: list[str]) -> bool:
    """Whether the audio has texts; raises InputError where some of its files have and others have not."""
    found = {file: _has_text(file) for file in files}
    if len(set(found.values())) > 1:
        bare = [file for file, has in found.items() if not has]
        raise InputError(f"{bare[0]}: has no text, and other files have; give those with text, or those without.")
    return all(found.values())


def _has_text(file: str) -> bool:
    try:
        if "text" not in pq.read_schema(file).names:
            return False
        texts = pq.read_table(file, columns=["text"])["text"]
    except (pa.ArrowInvalid, OSError) as error:
        raise InputError(f"{file} cannot be read as AUDIO parquet: {error}; `rollcall ingest` writes it.") from error
    return bool(pc.any(pc.greater(pc.utf8_length(pc.utf8_trim_whitespace(texts.cast(pa.string()))), 0)).as_py())


if __name__ == "__main__":
    leave(main())
