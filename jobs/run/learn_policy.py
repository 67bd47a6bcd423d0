"""The part of ``rollcall learn`` that fits a policy, holds it against the one before, and writes both down."""

import argparse
import dataclasses
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline import config as configuration
from pipeline import storage
from pipeline.acoustic.loading import load_tokens
from pipeline.config import PolicyConfig, RunConfig
from pipeline.entities import snapshot
from pipeline.entities.lists import EntitySource
from pipeline.errors import ConfigError
from pipeline.learning.estimators import facts as estimate_facts
from pipeline.learning.evaluate import Comparison, StrategyWorth, compare
from pipeline.learning.fit import by_strategy, fit_policy, mean_candidates
from pipeline.learning.gather import Gathered, gather
from pipeline.learning.observed import heard_columns
from pipeline.learning.page import build_page
from pipeline.learning.policies import file_name, load
from pipeline.learning.replayed import Replayed, replayed
from pipeline.learning.units import Replay, reviewed
from pipeline.lexicon.pronunciation import Pronouncer
from pipeline.recognition.recogniser import Recogniser
from pipeline.retrieval.context import ContextReader
from pipeline.retrieval.policy import Policy
from pipeline.retrieval.shortlist import build_shortlister
from pipeline.review.folder import Files
from pipeline.runs.columns import batches_of
from pipeline.runs.folder import RunFolder
from pipeline.runs.reader import Run
from pipeline.storage import Location
from pipeline.storage.s3_options import Options
from pipeline.text import Alphabet

LEAST_NAMES = 50
"""Said names that a policy is learnt from at least: of fewer, one utterance more or less would be another policy."""
_REPLAYED = 200  # utterances decoded again by default: some minutes
_PAGE = "report.html"


def add_policy_options(parser: argparse.ArgumentParser) -> None:
    """Add what a user can ask of the policy."""
    policy = parser.add_argument_group("policy")
    policy.add_argument(
        "--against", metavar="FILE", help="policy that the new one is held against (default: the run's)"
    )
    policy.add_argument(
        "--candidates",
        type=float,
        metavar="N",
        help="mean candidates of an utterance that the new policy may ask for (default: those of the one before)",
    )
    policy.add_argument(
        "--replay",
        type=int,
        metavar="N",
        default=_REPLAYED,
        help="utterances heard whole that are decoded again with both policies (default: %(default)s)",
    )


def check_policy_options(arguments: argparse.Namespace) -> None:
    """Raise ConfigError for numbers that cannot be."""
    if arguments.candidates is not None and not arguments.candidates > 0:
        raise ConfigError(f"--candidates must be above 0, got {arguments.candidates:g}.")
    if arguments.replay < 0:
        raise ConfigError(f"--replay must be 0 or more utterances, got {arguments.replay}.")


@dataclasses.dataclass(frozen=True)
class Learner:
    """A run with what it takes to learn a policy from reviews of its audio."""

    run: Run
    folder: RunFolder
    cached: Sequence[Location]
    pronouncer: Pronouncer
    alphabet: Alphabet
    options: Options

    def learn(self, files: Files, output: Location, arguments: argparse.Namespace) -> dict[str, Any]:
        """Write policy and report below ``output`` and return what learn.json says of them.

        Raises RollcallError.
        """
        config = configuration.override(RunConfig(), self.run.record["config"])
        if config.shortlist is None:
            return {"file": None, "why": "the run has no shortlist, so there is nothing to decide"}
        before = self._before(config, arguments.against)
        found = self._gather(config, files)
        counts = {name: getattr(found, name) for name in ("other", "unknown", "unexplored")}
        names = sum(sum(unit.names) for unit in found.units)
        facts: dict[str, Any] = {"file": None, "decisions": len(found.units), "names": names, **counts}
        if names < LEAST_NAMES:
            why = f"{LEAST_NAMES - names} more names that were said are needed ({names} of {LEAST_NAMES})"
            return facts | {"why": why}
        everything = by_strategy(found.everything)
        candidates = arguments.candidates or mean_candidates(before, everything)
        policy = fit_policy(by_strategy(found.units), candidates, everything)
        result = compare(found.units, before, candidates, policy.price, everything=everything)
        replay = self._replay(config, before, policy, found, arguments.replay)
        about = _about(self.run, before, result, replay)
        policy = dataclasses.replace(policy, about=about)
        file = output.join(file_name(policy.version))
        storage.write_atomic(file, policy.to_json())
        page = build_page(_page_facts(policy, before, self.run), result, replay)
        storage.write_atomic(output.join(_PAGE), page.encode())
        return facts | {"file": file.uri, "version": policy.version, "report": output.join(_PAGE).uri, **about}

    def _before(self, config: RunConfig, against: str | None) -> Policy | None:
        if against is not None:
            return load(storage.open_filesystem(against, self.options))
        if config.policy is None or config.policy.path is None:
            return None
        return load(storage.open_filesystem(config.policy.path, self.options))

    def _lists(self) -> EntitySource:
        return snapshot.load(self.folder.lists, self.alphabet)

    def _gather(self, config: RunConfig, files: Files) -> Gathered:
        assert config.shortlist is not None
        tokens = load_tokens(config.acoustic)
        plain = build_shortlister(dataclasses.replace(config, policy=None), self.pronouncer, tokens)
        replay = Replay(plain.strategies, ContextReader(config.shortlist, self.pronouncer, tokens), self._lists())
        return gather(
            reviewed(files, self.alphabet), self.run, self.folder.root.parent, self.cached, heard_columns(self.cached),
            replay, self.run.record.get("list_column") is not None,
        )  # fmt: skip

    def _replay(
        self, config: RunConfig, before: Policy | None, after: Policy, found: Gathered, most: int
    ) -> Replayed | None:
        names = sorted(found.said)[:most]
        if not names:
            return None
        rows = self._first_pass(names)
        with tempfile.TemporaryDirectory(prefix="rollcall-learn-") as folder:
            old, new = (self._recogniser(config, policy, Path(folder)) for policy in (before, after))
            return replayed(rows, found.said, old, new)

    def _first_pass(self, names: Sequence[str]) -> pa.Table:
        """Return the first pass of utterances, each once, with all that an adapter reads."""
        with self.cached[0].filesystem.open(self.cached[0].path, "rb") as stream:
            columns = pq.read_schema(stream).names
        rows = pa.Table.from_batches(list(batches_of(self.cached, names, columns))).sort_by("utterance_id")
        ids = rows["utterance_id"].to_pylist()
        rows = rows.take([at for at, name in enumerate(ids) if at == 0 or ids[at - 1] != name])
        if self.run.record.get("list_column") is None:
            place = rows.schema.get_field_index("entities")
            field = rows.schema.field(place)
            rows = rows.set_column(place, field, pa.nulls(len(rows), field.type))
        return rows

    def _recogniser(self, config: RunConfig, policy: Policy | None, folder: Path) -> Recogniser:
        decides = None
        if policy is not None:
            path = folder / file_name(policy.version)
            path.write_bytes(policy.to_json())
            decides = PolicyConfig(str(path))
        return Recogniser.load(dataclasses.replace(config, policy=decides), self._lists(), encodes=False)


def _about(run: Run, before: Policy | None, result: Comparison, replay: Replayed | None) -> dict[str, Any]:
    """Return what a policy says of itself; gates look at it (pipeline.learning.gate)."""
    gained = sum(one.names for one in result.new_strategies) - sum(one.names for one in result.old_strategies)
    return {
        "run": run.record.get("fingerprint"),
        "against": None if before is None else before.version,
        "new": estimate_facts(result.new),
        "old": estimate_facts(result.old),
        "difference": dataclasses.asdict(result.difference),
        "gained": gained,
        "effective_sample": result.effective,
        "replay": None if replay is None else dataclasses.asdict(replay),
        "strategies": {
            "before": [_strategy(one) for one in result.old_strategies],
            "new": [_strategy(one) for one in result.new_strategies],
        },
    }


def _strategy(one: StrategyWorth) -> dict[str, Any]:
    return dataclasses.asdict(one) | {"levels": list(one.levels)}


def _page_facts(policy: Policy, before: Policy | None, run: Run) -> Mapping[str, str]:
    return {
        "Policy": policy.version,
        "Against": "no policy" if before is None else before.version,
        "Run": run.uri,
        "Price of a candidate": f"{policy.price:.5f} names",
    }


def show_policy(facts: Mapping[str, Any]) -> list[str]:
    """Return the lines about the policy for the terminal."""
    if "decisions" not in facts:
        return [f"policy: none, {facts['why']}"]
    unused = {
        "of audio that the run has not": facts["other"],
        "judged in part, of runs that are gone": facts["unknown"],
        "judged in part, of runs that did not explore (--explore): only what was heard whole counts": facts[
            "unexplored"
        ],
    }
    lines = [f"policy: {facts['decisions']:,} decisions with {facts['names']:,} names that were said"]
    lines += [f"  {count:,} utterances {why}" for why, count in unused.items() if count]
    if facts["file"] is None:
        return [*lines, f"  none is written: {facts['why']}"]
    low, high = facts["difference"]["low"], facts["difference"]["high"]
    lines.append(
        f"  against {facts['against'] or 'no policy'}: {facts['difference']['value']:+.4f} names per decision "
        f"[{low:+.4f}, {high:+.4f}], effective sample {facts['effective_sample']:,.0f}"
    )
    if facts["replay"] is not None:
        replay = facts["replay"]
        lines.append(
            f"  decoded again, {replay['utterances']:,} utterances: {replay['found_before']:,} names found before, "
            f"{replay['found_after']:,} now, {replay['false_before']:,} and {replay['false_after']:,} false"
        )
    return [*lines, f"written: {facts['file']}, {facts['report']}"]
