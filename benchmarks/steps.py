"""The steps of benchmarks.all, as benchmarks/all.yaml has them.

    groups:                      # what many steps read, by name
      base: [models/base_en_ctc, pipeline/acoustic]
    emissions: [base]            # groups that the cached first pass depends on
    steps:
      - name: base
        command: -m benchmarks.base_model {data}/dev.parquet --json {rows}
        reads: [base, benchmarks/base_model.py]     # groups and paths: when one changes the step is out of date
        needs: [other]           # steps that come first; {rows:other} are theirs
        into: [benchmarks/results/base_model.md clean]
        columns: {set: set, WER %: "wer*100:2"}     # heading: key of the rows, times what, digits after the point
        only: {system: joint}    # rows that are shown; all if it is left out

``into`` names files and in each a block, the lines between ``<!-- measured: NAME -->`` and ``<!-- end: NAME -->``. A
step without ``columns`` shows all; one with ``table: FILE`` shows that file, which its command wrote. ``{out}`` is a
folder of the step's own. It and ``{rows}`` are still there when a step that was broken off runs again with the same
inputs.
"""

import dataclasses
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml

from pipeline.errors import InputError

_KEYS = {"name", "command", "reads", "needs", "into", "columns", "only", "table"}


@dataclasses.dataclass(frozen=True)
class Step:
    """One measurement; see this module."""

    name: str
    command: str
    reads: tuple[str, ...]
    needs: tuple[str, ...] = ()
    into: tuple[tuple[str, str], ...] = ()
    columns: Mapping[str, str] | None = None
    only: Mapping[str, str] | None = None
    table: str | None = None


@dataclasses.dataclass(frozen=True)
class Plan:
    """All steps, each after those that it needs; emissions: paths that the cached first pass depends on."""

    steps: tuple[Step, ...]
    emissions: tuple[str, ...]


def read_plan(path: Path) -> Plan:
    """Read a steps file; raises InputError for what is not understood."""
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
        groups: dict[str, list[str]] = content.get("groups", {})
        steps = tuple(_step(one, groups) for one in content["steps"])
        plan = Plan(steps, tuple(_paths(content.get("emissions", []), groups)))
    except (OSError, yaml.YAMLError, KeyError, TypeError, ValueError, AttributeError) as error:
        raise InputError(f"{path}: not a file of steps ({error!r}); benchmarks/steps.py says what one is.") from error
    seen: set[str] = set()
    for step in plan.steps:
        if step.name in seen:
            raise InputError(f"{path}: two steps are called {step.name}.")
        if late := sorted(set(step.needs) - seen):
            raise InputError(f"{path}: {step.name} needs {late}, which no step before it is called.")
        seen.add(step.name)
    return plan


def _step(content: Mapping[str, Any], groups: Mapping[str, list[str]]) -> Step:
    if unknown := sorted(set(content) - _KEYS):
        raise ValueError(f"{content.get('name')}: unknown keys {unknown}")
    return Step(
        content["name"],
        " ".join(content["command"].split()),
        tuple(_paths(content["reads"], groups)),
        tuple(content.get("needs", ())),
        tuple((file, block) for file, block in (place.split() for place in content.get("into", ()))),
        content.get("columns"),
        content.get("only"),
        content.get("table"),
    )


def _paths(names: Iterable[str], groups: Mapping[str, list[str]]) -> list[str]:
    """Groups replaced by what is in them, each path once."""
    return list(dict.fromkeys(path for name in names for path in groups.get(name, [name])))


def put(path: Path, block: str, text: str) -> None:
    """Replace what stands in one block of a file; raises InputError where the file has no such block, or two."""
    content = path.read_text(encoding="utf-8") if path.is_file() else ""
    opening, closing = f"<!-- measured: {block} -->\n", f"<!-- end: {block} -->\n"
    if content.count(opening) != 1 or content.count(closing) != 1:
        raise InputError(f"{path} needs the lines `{opening.strip()}` and `{closing.strip()}`, each once.")
    before, _, rest = content.partition(opening)
    after = rest.partition(closing)[2]
    new = path.with_name(path.name + ".new")
    new.write_text(f"{before}{opening}{text.strip()}\n{closing}{after}", encoding="utf-8")
    new.replace(path)


def check_blocks(plan: Plan, root: Path) -> None:
    """Raise InputError if a step would have nowhere to write, before anything is measured."""
    for step in plan.steps:
        for file, block in step.into:
            content = (root / file).read_text(encoding="utf-8") if (root / file).is_file() else ""
            for line in (f"<!-- measured: {block} -->\n", f"<!-- end: {block} -->\n"):
                if content.count(line) != 1:
                    raise InputError(f"{step.name}: {root / file} needs the line `{line.strip()}` once.")
