"""Measure again what is out of date, and write every table of the results that it changes.

    python -m benchmarks.all --list                  # what is done, what is out of date, and why
    python -m benchmarks.all                         # all that is; broken off, the same command goes on
    python -m benchmarks.all --only "joint-*" base   # steps by name or pattern
    python -m benchmarks.all --limit 8               # a trial with 8 utterances a file, in out/all/limit-8

The steps are in benchmarks/all.yaml: what each runs, which models and code it reads, and which tables it writes. What
was measured is kept, with date, hardware, commit and hashes of what was read, in benchmarks/results/measured, one file
a step: commit them with the tables. A step is done while all it reads is as it was; comments in code do not count. One
that fails is named, and the others go on; its output is in the folder of logs that is named with it. Exit code 1 if one
failed.
"""

import argparse
import dataclasses
import fnmatch
import hashlib
import json
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.inputs import digest
from benchmarks.steps import Plan, Step, check_blocks, put, read_plan
from benchmarks.table import hardware, markdown
from pipeline.errors import InputError, RollcallError

ROOT = Path(__file__).resolve().parents[1]
_MODEL = "models/base_en_ctc"
_TAIL = 8  # lines of a failed step's output that are shown
_LINE = 116  # characters of a command before it is broken


@dataclasses.dataclass(frozen=True)
class Place:
    """root: code, models; results: where files with blocks are; state, work, data, emissions: folders"""

    root: Path
    results: Path
    state: Path
    work: Path
    data: Path
    emissions: Path

    def inputs(self, step: Step) -> dict[str, str]:
        """Return a digest of everything that the step reads, and of what it reads of other steps."""
        found = {path: digest(self.root / path) for path in step.reads}
        return found | {f"step {name}": self.measured(name).get("made", "") for name in step.needs}

    def measured(self, name: str) -> dict[str, Any]:
        """Return what is kept of a step, nothing if it was never done."""
        path = self.state / f"{name}.json"
        return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}

    def reasons(self, step: Step) -> list[str]:
        """Return why a step is out of date; nothing if it is not."""
        kept = self.measured(step.name)
        if not kept:
            return ["never measured"]
        now, before = self.inputs(step), kept["inputs"]
        changed = [path for path in now if now[path] != before.get(path)]
        return changed if kept["command"] == step.command else ["its command", *changed]


def run(step: Step, place: Place) -> str | None:
    """Run one step, keep what it found and write its tables; return what went wrong, or None."""
    inputs, began = place.inputs(step), time.monotonic()
    rows, out, log = (
        (place.work / kind / f"{step.name}{ending}").absolute()
        for kind, ending in (("rows", ".json"), ("out", ""), ("logs", ".txt"))
    )
    begun, now = rows.with_suffix(".begun"), json.dumps([step.command, inputs])
    if not begun.is_file() or begun.read_text(encoding="utf-8") != now:
        shutil.rmtree(out, ignore_errors=True)
        rows.unlink(missing_ok=True)
    for folder in (rows.parent, log.parent, out, place.emissions):
        folder.mkdir(parents=True, exist_ok=True)
    names = {"data": str(place.data), "emissions": str(place.emissions), "rows": str(rows), "out": str(out)}
    names |= {f"rows:{name}": str((place.state / f"{name}.json").absolute()) for name in step.needs}
    begun.write_text(now, encoding="utf-8")
    with log.open("w", encoding="utf-8") as file:
        command = [sys.executable, *shlex.split(_filled(step.command, names))]
        code = subprocess.run(command, stdout=file, stderr=subprocess.STDOUT, cwd=place.root).returncode
    if code != 0:
        tail = log.read_text(encoding="utf-8", errors="replace").splitlines()[-_TAIL:]
        return "\n    ".join([f"exit code {code}, {log}:", *tail])
    facts = {
        "step": step.name, "command": step.command, "date": datetime.now(UTC).isoformat(timespec="minutes"),
        "hardware": hardware(), "commit": _commit(place.root), "seconds": round(time.monotonic() - began),
    }  # fmt: skip
    try:
        found = read_rows(rows)
        table = Path(_filled(step.table, names)).read_text(encoding="utf-8") if step.table else shown(step, found)
    except (OSError, ValueError, KeyError, TypeError) as error:
        return f"its rows or table cannot be read: {error!r}; {log}"
    for file, block in step.into:
        put(place.results / file, block, f"{_heading(step, facts)}\n\n{table}")
    kept = {**facts, "made": digest_of(found, table), "inputs": inputs, "rows": found}
    place.state.mkdir(parents=True, exist_ok=True)
    new = place.state / f"{step.name}.new"
    new.write_text(json.dumps(kept, indent=1) + "\n", encoding="utf-8")
    new.replace(place.state / f"{step.name}.json")
    begun.unlink()
    return None


def digest_of(rows: list[dict[str, Any]], table: str) -> str:
    """Return a digest of what a step found."""
    return hashlib.sha256((json.dumps(rows) + table).encode()).hexdigest()[:12]


def read_rows(path: Path) -> list[dict[str, Any]]:
    """Return the rows of a benchmark's JSON, or of its JSON lines; none if it wrote none."""
    if not path.is_file():
        return []
    text = path.read_text(encoding="utf-8")
    try:
        content = json.loads(text)
    except json.JSONDecodeError:
        return [json.loads(line) for line in text.splitlines()]
    return list(content.get("rows", [content]))


def shown(step: Step, rows: list[dict[str, Any]]) -> str:
    """Return the step's table; raises ValueError if there is nothing in it."""
    kept = [row for row in rows if all(fnmatch.fnmatch(str(row[key]), of) for key, of in (step.only or {}).items())]
    if not kept:
        raise ValueError("no rows")
    return markdown(kept, step.columns or {name: name for name in dict.fromkeys(name for row in kept for name in row)})


def _filled(text: str, names: Mapping[str, str]) -> str:
    for name, value in names.items():
        text = text.replace(f"{{{name}}}", value)
    return text


def _heading(step: Step, facts: Mapping[str, Any]) -> str:
    """Date, hardware, model and command, as results state them."""
    about = f", model `{_model_id()}`" if _MODEL in step.reads else ""
    named = {"data": "../shared/data", "emissions": "out/emissions", "out": "out", "rows": "rows.json"}
    named |= {f"rows:{name}": f"measured/{name}.json" for name in step.needs}
    lines, line = [], "    python"
    for word in _filled(step.command, named).split():
        if len(line) + len(word) + 3 > _LINE:
            lines.append(line + " \\")
            line = "       "
        line += f" {word}"
    return "\n".join([f"{facts['date'][:10]}, {facts['hardware']}, at {facts['commit']}{about}:", "", *lines, line])


def _model_id() -> str:
    """The model's own name for itself; loading what knows it takes seconds, which only tables need."""
    from pipeline.acoustic.model_files import content_hash

    return content_hash(ROOT / _MODEL)


def _commit(root: Path) -> str:
    """The commit, with a + where files differ from it."""
    asked = ["git", "-C", str(root)]
    found = subprocess.run([*asked, "rev-parse", "--short", "HEAD"], capture_output=True, text=True)
    if found.returncode != 0:
        return "no commit"
    changed = subprocess.run([*asked, "status", "--porcelain", "-uno"], capture_output=True, text=True).stdout
    return found.stdout.strip() + ("+" if changed else "")


def measure(plan: Plan, place: Place, chosen: set[str], again: bool) -> list[str]:
    """Run what is chosen and out of date, in order; return what failed, or could not run."""
    failed: list[str] = []
    for step in plan.steps:
        if step.name not in chosen or not (again or place.reasons(step)):
            continue
        if missing := [name for name in step.needs if not place.measured(name) or name in failed]:
            print(f"{step.name}: left out, it needs {', '.join(missing)}", flush=True)
            failed.append(step.name)
            continue
        print(f"{step.name} ...", flush=True)
        try:
            wrong = run(step, place)
        except RollcallError as error:
            wrong = str(error)
        print(f"{step.name}: " + (f"FAILED, {wrong}" if wrong else f"done in {place.measured(step.name)['seconds']} s"))
        failed += [step.name] if wrong else []
    return failed


def listing(plan: Plan, place: Place) -> None:
    """Print every step with its date, and what has changed since."""
    for step in plan.steps:
        reasons, kept = place.reasons(step), place.measured(step.name)
        date = kept.get("date", "")[:10]
        print(f"{step.name:30} {date:10}  " + ("out of date: " + ", ".join(reasons) if reasons else "done"))


def build_parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--list", action="store_true", help="show what is out of date and measure nothing")
    parser.add_argument("--only", nargs="+", metavar="STEP", help="names or patterns")
    parser.add_argument("--again", action="store_true", help="what is done, too")
    parser.add_argument("--limit", type=int, metavar="N", help="a trial with N utterances of each file, kept apart")
    parser.add_argument("--data", type=Path, default=Path("../shared/data"), help="development data (default there)")
    parser.add_argument("--work", type=Path, default=Path("out/all"), help="first passes, logs (default %(default)s)")
    parser.add_argument("--steps", type=Path, default=ROOT / "benchmarks/all.yaml")
    parser.add_argument("--root", type=Path, default=ROOT, help="folder of code, models and results")
    return parser


def placed(options: argparse.Namespace, plan: Plan) -> Place:
    """Return where everything is; with ``--limit`` data and results are copies."""
    root, work = options.root.resolve(), options.work.absolute()
    results, data = root, options.data
    if options.limit:
        results = work = work / f"limit-{options.limit}"
        from benchmarks.trial import cut  # readers of parquet, which nothing else here needs

        data = cut(data, work / "data", options.limit)
        for file in {file for step in plan.steps for file, _ in step.into}:
            if not (results / file).is_file():
                (results / file).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(root / file, results / file)
    heard = hashlib.sha256("".join(digest(root / path) for path in plan.emissions).encode()).hexdigest()[:8]
    state = results / "benchmarks/results/measured"
    return Place(root, results, state, work, data, work / f"emissions-{heard}")


def main(argv: list[str] | None = None) -> int:
    """Run the command; exit code 1 if a step failed, 2 for bad input."""
    options = build_parser().parse_args(argv)
    try:
        plan = read_plan(options.steps)
        check_blocks(plan, options.root)
        place = placed(options, plan)
        patterns = options.only or ["*"]
        chosen = {one.name for one in plan.steps if any(fnmatch.fnmatch(one.name, pattern) for pattern in patterns)}
        if not chosen:
            raise InputError(f"--only {' '.join(patterns)}: no step is called that; --list names them.")
        failed = [] if options.list else measure(plan, place, chosen, options.again)
        listing(plan, place)
    except RollcallError as error:
        print(error, file=sys.stderr)
        return 2
    return int(bool(failed))


if __name__ == "__main__":
    raise SystemExit(main())
