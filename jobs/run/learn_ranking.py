"""The part of ``rollcall learn`` that refits guard and cut to reviews, and writes them as a calibration.

What else the run's own calibration has stays in it. The folder is called by a hash of what a run reads of it.
"""

import dataclasses
import hashlib
import json
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from pipeline import config as configuration
from pipeline import storage
from pipeline.acoustic.adapter_files import resolved
from pipeline.acoustic.calibration_files import CONFIG, CUT, FILES, GUARD, Calibration, read_calibration
from pipeline.calibration import believing, ranking
from pipeline.calibration.answered import Answered, Told, answered, by_audio, told_of
from pipeline.calibration.believing import Believing, Labels, refit
from pipeline.calibration.guard import unweighted
from pipeline.calibration.ranking import Ranked, Ranking, counts, refit_ranking
from pipeline.calibration.write import write_calibration
from pipeline.config import AUTO, CutConfig, RunConfig
from pipeline.config.fingerprint import fingerprint
from pipeline.entities import snapshot
from pipeline.entities.lists import EntitySource
from pipeline.learning.gather import first_pass, rows_of_audio
from pipeline.recognition.recogniser import Recogniser
from pipeline.rescoring.guard import ADAPTED, PLAIN, read_judge
from pipeline.retrieval import ranked
from pipeline.review.folder import Files
from pipeline.runs.folder import RunFolder
from pipeline.runs.reader import Run
from pipeline.storage import Location
from pipeline.text import Alphabet
from pipeline.training.cut_fit import rows_of
from pipeline.training.guard_fit import can_fit
from pipeline.types.emissions import Emissions
from pipeline.types.entity import EntityList

_NAME = "calibration"
_SHOWN_RATE = 20.0  # false accepts per hour, the default of a run


@dataclasses.dataclass
class _Found:
    """What reviews say of a run's audio: of the guard's proposals, and of what large lists hold."""

    proposals: list[Answered] = dataclasses.field(default_factory=list)
    ranked: list[Ranked] = dataclasses.field(default_factory=list)
    large: bool = False


@dataclasses.dataclass(frozen=True)
class RankingLearner:
    """A run with what it takes to refit its guard and its cut from reviews of its audio."""

    run: Run
    folder: RunFolder
    cached: Sequence[Location]
    alphabet: Alphabet

    def learn(self, files: Files, output: Location) -> dict[str, Any]:
        """Write a calibration below ``output`` where there is enough to learn from, and return what learn.json says.

        Raises RollcallError.
        """
        config = resolved(configuration.override(RunConfig(), self.run.record["config"]))
        if config.guard is None or config.shortlist is None:
            return {"file": None, "why": "the run has no guard or no shortlist, so nothing is ranked or believed"}
        weights = json.loads(Path(config.guard.weights).read_text(encoding="utf-8"))
        part = PLAIN if config.adapter is None else ADAPTED
        found = self._find(config, files, weights.get("odds"))
        labels = Labels.of(found.proposals)
        guard = refit(labels, read_judge(Path(config.guard.weights), part))
        cut, cut_facts = self._ranking(config, found)
        facts = {"file": None, "part": part, "guard": _guard_facts(labels, guard), "cut": cut_facts}
        contents: dict[str, Any] = {}
        if guard is not None:
            kept = {name: value for name, value in weights.items() if name not in ("date", "hardware")}
            contents[GUARD] = kept | {part: guard.part()}
        if cut is not None and cut.changed:
            contents[CUT] = cut.content()
        return facts | self._write(config, contents, output, facts) if contents else facts

    def _lists(self) -> EntitySource:
        return snapshot.load(self.folder.lists, self.alphabet)

    def _find(self, config: RunConfig, files: Files, odds: Mapping[str, float] | None) -> _Found:
        """Look at every reviewed utterance as the run does, without what a policy draws."""
        reviews, found, lists = by_audio(files), _Found(), self._lists()
        there = {row["utterance_id"]: row["audio_sha256"] for row in rows_of_audio(self.run, reviews)}
        with tempfile.TemporaryDirectory(prefix="rollcall-learn-") as folder:
            plain = unweighted(dataclasses.replace(config, policy=None), Path(folder), odds)
            recogniser = Recogniser.load(plain, lists, encodes=False)
        for scalars, heard in first_pass(self.cached, there, self._columns()):
            own = scalars["entities"] if self.run.record.get("list_column") is not None else None
            entities = lists.of(scalars["utterance_id"], own)
            if not len(entities) or heard.phone_log_probs is None:
                continue
            told = told_of(reviews[scalars["audio_sha256"]], entities, self.alphabet)
            found.proposals.append(answered(len(found.proposals), scalars, heard, entities, told, recogniser))
            self._add_ranked(found, scalars, heard, entities, told, recogniser)
        return found

    def _columns(self) -> list[str]:
        """Return all columns of the first pass: what the adapter needs too."""
        with self.cached[0].filesystem.open(self.cached[0].path, "rb") as stream:
            return list(pq.read_schema(stream).names)

    def _add_ranked(
        self, found: _Found, scalars: Mapping[str, Any], heard: Emissions, entities: EntityList, told: Told,
        recogniser: Recogniser,
    ) -> None:  # fmt: skip
        config, name = recogniser.parts.config.cut, scalars["utterance_id"]
        strategies = [one for one in recogniser.parts.shortlister.strategies if isinstance(one, ranked.Ranked)]
        if config is None or not strategies or not strategies[0].can_say(heard, len(entities)):
            return
        found.large = True
        if not told.whole:
            return
        number = int.from_bytes(hashlib.sha256(name.encode()).digest()[:4], "big")
        rows = rows_of(strategies[0], heard, entities, set(told.said), number)
        speaker, offset = scalars["speaker"] or name, -ranked.rise(config, len(entities))
        found.ranked.append(Ranked(name, speaker, told.weight, rows, len(told.said), offset))

    def _ranking(self, config: RunConfig, found: _Found) -> tuple[Ranking | None, dict[str, Any]]:
        if not found.large or config.cut is None:
            return None, {"why": f"no list has more than {(config.cut or CutConfig()).above:,} names"}
        before = ranked.read_weights(Path(config.cut.weights))
        said, rejected = counts(found.ranked, before, config.cut.bound)
        facts: dict[str, Any] = {"said": said, "rejected": rejected}
        fitted = refit_ranking(found.ranked, before, config.cut.bound)
        if fitted is None:
            return None, facts | {"missing_said": max(0, ranking.LEAST_SAID - said),
                                  "missing_rejected": max(0, ranking.LEAST_REJECTED - rejected)}  # fmt: skip
        names = ("recall_before", "recall", "gained_at_least", "loss_before", "loss", "changed")
        return fitted, facts | {name: _rounded(getattr(fitted, name)) for name in names}

    def _write(
        self, config: RunConfig, contents: Mapping[str, Any], output: Location, facts: Mapping[str, Any]
    ) -> dict[str, Any]:
        """Write the calibration; one of the same content is left as it is."""
        before, files = _own(config), dict[str, Any]()
        if before is not None:
            folder, known = before
            files = {name: json.loads((folder / name).read_text(encoding="utf-8")) for name in known.files}
        values = {} if before is None else before[1].values
        files |= contents
        version = fingerprint({"values": values, "files": files})
        target = output.join(f"{_NAME}-{version}")
        if not storage.exists(target.join(CONFIG)):
            flat = {f"{one} {name}": value for one in ("guard", "cut") for name, value in facts[one].items()}
            about = {"learnt from": self.run.record.get("fingerprint"), "part": facts["part"], **flat}
            with tempfile.TemporaryDirectory(prefix="rollcall-learn-") as made:
                write_calibration(Path(made), config, values, files, about, "learn")
                names = sorted({path.name for path in Path(made).iterdir()} - {CONFIG})
                for name in (*names, CONFIG):  # the one that says that all are there comes last
                    storage.write_atomic(target.join(name), (Path(made) / name).read_bytes())
        return {"file": target.uri, "version": version, "files": sorted(set(files) & set(FILES))}


def _own(config: RunConfig) -> tuple[Path, Calibration] | None:
    """Return the calibration that a run was made with."""
    named = config.acoustic.calibration
    return None if named in (None, AUTO) else (Path(str(named)), read_calibration(Path(str(named))))


def _guard_facts(labels: Labels, found: Believing | None) -> dict[str, Any]:
    facts: dict[str, Any] = {"labels": labels.count, "right": int((labels.right & labels.known).sum())}
    missing = {"bounds": believing.LEAST_LABELS - labels.count, "trees": believing.LEAST_FOR_TREES - labels.count}
    facts |= {f"missing_{name}": max(0, count) for name, count in missing.items()}
    if found is None:
        return facts
    names = ("grown", "shift", "slope", "loss_before", "loss")
    facts |= {name: _rounded(getattr(found, name)) for name in names}
    facts["bound"] = next((bound for rate, bound in found.bounds if rate == _SHOWN_RATE), None)
    return facts


def _rounded(value: Any) -> Any:
    return round(value, 4) if isinstance(value, float) else value


def show_ranking(facts: Mapping[str, Any]) -> list[str]:
    """Return the lines about guard and cut for the terminal."""
    if "why" in facts:
        return [f"ranking: none, {facts['why']}"]
    lines = [_guard_line(facts["guard"]), _cut_line(facts["cut"])]
    if facts["file"] is None:
        return lines
    return [*lines, f"written: {facts['file']}, for --calibration"]


def _guard_line(guard: Mapping[str, Any]) -> str:
    if guard["missing_bounds"]:
        return (f"guard: {guard['missing_bounds']:,} more judged proposals are needed to fit its bounds "
                f"({guard['labels']:,} of {believing.LEAST_LABELS:,})")  # fmt: skip
    said = (f"guard: bounds from {guard['labels']:,} judged proposals, {guard['right']:,} of them right; at "
            f"{_SHOWN_RATE:g} false accepts an hour {guard['bound']:+.2f}; ")  # fmt: skip
    if guard["missing_trees"]:
        return said + f"its trees need {guard['missing_trees']:,} more"
    if guard["grown"]:
        return said + "its trees are grown on"
    return said + ("its trees stay: others were no better" if can_fit() else "its trees stay without scikit-learn")


def _cut_line(cut: Mapping[str, Any]) -> str:
    if "why" in cut:
        return f"cut: as it was, {cut['why']}"
    missing = [f"{count:,} more {what}" for count, what in
               ((cut.get("missing_said"), "names that were said in utterances heard whole"),
                (cut.get("missing_rejected"), "candidates that were not said")) if count]  # fmt: skip
    if missing:
        return f"cut: {' and '.join(missing)} are needed ({cut['said']:,} and {cut['rejected']:,} there)"
    kept = f"{cut['recall_before']:.1%} of {cut['said']:,} said names pass, {cut['recall']:.1%} by weights of others"
    return f"cut: {kept}; " + ("new weights" if cut["changed"] else "it stays as it was")
