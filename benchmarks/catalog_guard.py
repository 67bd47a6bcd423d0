"""What a guard is worth on large lists that was fitted on longer shortlists, and on larger lists, than the shipped one.

    python -m benchmarks.catalog_guard --emissions out/emissions --width 128 --keep out/guard --bounds -4 -5 -6 \
        --catalog million=out/million

Needs ``out/guard/adapted``, the proposals that benchmarks.guard_calibration keeps. The sets ``directory`` and ``words``
of benchmarks.calibration_sets, and names_dev with each catalog that is given (``rollcall index``), are collected at
each ``cut.bound`` beside them. Trees are fitted on what the shipped ones were fitted on, and on that and all of these;
what was kept at a bound that is among ``--bounds`` counts twice then.
Every figure is of trees that were fitted on the other half of the speakers; the same set is always judged.

gained: names that were said and that the guard writes, beyond those that stand in the unbiased text; wrong: names that
it writes and that were not said.
"""

import argparse
import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.calibration_sets import Sets
from benchmarks.decoding_sets import add_arguments
from benchmarks.guard_calibration import proposals
from benchmarks.table import show
from pipeline.calibration.guard import across, let_in
from pipeline.config import joint, override
from pipeline.config.config_file import with_file
from pipeline.entities.catalog import open_catalog
from pipeline.rescoring.evidence import FEATURES
from pipeline.rescoring.guard import ADAPTED
from pipeline.rescoring.trees import Trees
from pipeline.storage import open_filesystem
from pipeline.training import guard_data
from pipeline.training.guard_data import Half
from pipeline.tuning.evaluation import LabelledSet, with_lists

Judged = Mapping[str, Sequence[Half]]


@dataclasses.dataclass(frozen=True)
class WithCatalogs(Sets):
    """The same sets, and names_dev with each of ``catalogs``, a folder by its name."""

    catalogs: Mapping[str, str] = dataclasses.field(default_factory=dict)

    def load(self, name: str, count: int | None = None) -> LabelledSet:
        if name not in self.catalogs:
            return super().load(name, count)
        catalog = open_catalog(open_filesystem(self.catalogs[name]))
        return with_lists(super().load("names_dev"), lambda _: catalog)


def rows(fitted_on: str, trees: Sequence[Trees], judged: Judged, bounds: Sequence[float]) -> list[dict[str, Any]]:
    """Return a row for each set of two halves and each bound of the log odds; ``trees``: that judge each half."""
    found = []
    for name, pair in judged.items():
        odds = [half.odds(own, FEATURES) for half, own in zip(pair, trees, strict=True)]
        for bound in bounds:
            counts = [let_in(half, own, bound) for half, own in zip(pair, odds, strict=True)]
            gained, wrong = (sum(values) for values in zip(*counts, strict=True))
            found.append({
                "fitted on": fitted_on, "set": name, "log odds from": bound,
                "not written without": sum(half.said - half.known for half in pair), "gained": gained, "wrong": wrong,
                "F1": sum(half.f1(*some) for half, some in zip(pair, counts, strict=True)) / len(pair),
            })  # fmt: skip
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_arguments(parser)
    parser.add_argument("--keep", type=Path, required=True, help="folder of collected proposals")
    parser.add_argument("--bounds", nargs="+", type=float, default=[-4.0, -5.0, -6.0], help="values of cut.bound")
    parser.add_argument("--catalog", nargs="+", default=[], metavar="NAME=FOLDER", help="for names_dev")
    parser.add_argument("--log-odds", nargs="+", type=float, default=[-0.6, -0.27, 0.0], help="bounds of the guard")
    options = parser.parse_args()
    config = with_file(joint(), options.config)
    catalogs = dict(one.split("=", 1) for one in options.catalog)
    before = {path.stem: guard_data.read(path) for path in sorted((options.keep / ADAPTED).glob("*.parquet"))}
    wide: dict[str, Sequence[Half]] = {}
    for bound in options.bounds:
        sets = WithCatalogs(options, override(config, {"cut": {"bound": bound}}), {}, catalogs)
        for name in ("directory", "words", *catalogs):
            wide[f"{name} at {bound:g}"] = proposals(ADAPTED, name, sets, options.keep / f"bound{bound:g}")
    judged = {name: found for name, found in (before | wide).items() if len(found) == 2}
    shown = rows("as shipped", across(before, FEATURES), judged, options.log_odds)
    shown += rows("and these", across(before | wide, FEATURES), judged, options.log_odds)
    show("guards on large lists", shown, options.json)


if __name__ == "__main__":
    main()
