"""What transcribing a large corpus takes, before it is started: GPU and CPU hours, bytes, nodes, cost.

    python -m jobs.plan --hours 1000000 --deadline-days 7
    python -m jobs.plan --hours 1000000 --rates out/1f3a.../run.json --prices ours.yaml --cache

The rates come from deploy/rates.yaml, measured on the hardware that it names, or better from the run.json of a sample
of one's own corpus on one's own machines. Encoders are planned on what those rates were measured on: GPUs, or cores.
deploy/rates-h200.yaml has what is known of one kind of GPU.
"""

import argparse
import dataclasses
import json
from pathlib import Path
from typing import Any

import yaml
from rich.console import Console
from rich.table import Table

from jobs.cli.command import OK, Result, job_parser, leave, run_command
from jobs.run.planning import Prices, Rates, Wanted, plan, prices_from_yaml, rates_from_run, rates_from_yaml
from pipeline import storage
from pipeline.errors import ConfigError

DEPLOY = Path(__file__).resolve().parent.parent / "deploy"
_UNITS = ("B", "kB", "MB", "GB", "TB", "PB", "EB")


def build_parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = job_parser("plan", __doc__)
    parser.add_argument("--hours", type=float, required=True, metavar="H", help="hours of audio")
    parser.add_argument("--deadline-days", type=float, default=7.0, metavar="D", help="default: %(default)s")
    parser.add_argument(
        "--rates", metavar="FILE", help="run.json of a measured run, or YAML (default: deploy/rates.yaml)"
    )
    parser.add_argument("--prices", metavar="YAML", help="kinds of nodes and prices (default: deploy/prices.yaml)")
    parser.add_argument("--cache", action="store_true", help="the first pass is kept (--cache-emissions)")
    parser.add_argument("--months", type=float, default=1.0, help="for which results are stored (default: %(default)s)")
    parser.add_argument("--utilisation", type=float, default=0.8, help="share of the nodes' time that is work")
    return parser


def main(argv: list[str] | None = None) -> int:
    """Run the command; exit code 0, 2 for bad input."""
    arguments = build_parser().parse_args(argv)
    return run_command(lambda: _run(arguments), arguments.json)


def _run(arguments: argparse.Namespace) -> Result:
    rates = read_rates(arguments.rates)
    prices = prices_from_yaml(_read(arguments.prices or str(DEPLOY / "prices.yaml")))
    days = 24 * arguments.deadline_days
    wanted = Wanted(arguments.hours, days, arguments.utilisation, arguments.cache, arguments.months)
    facts = plan(wanted, rates, prices)
    _print(facts, rates, prices, Console())
    inputs: dict[str, Wanted | Rates | Prices] = {"wanted": wanted, "rates": rates, "prices": prices}
    return Result(facts | {name: dataclasses.asdict(value) for name, value in inputs.items()}, OK)


def read_rates(path: str | None) -> Rates:
    """Return the rates of a run.json or of a YAML file; raises RollcallError."""
    default = rates_from_yaml(_read(str(DEPLOY / "rates.yaml")))
    if path is None:
        return default
    content = _read(path)
    return rates_from_run(content, default, path) if "stages" in content else rates_from_yaml(content)


def _read(path: str) -> dict[str, Any]:
    location = storage.open_filesystem(path)
    storage.check_readable(location)
    text = storage.read_bytes(location)
    try:
        content = json.loads(text) if path.endswith(".json") else yaml.safe_load(text)
    except (ValueError, yaml.YAMLError) as error:
        raise ConfigError(f"{path}: cannot be parsed ({error}).") from error
    if not isinstance(content, dict):
        raise ConfigError(f"{path}: must be a mapping of keys to values, got {type(content).__name__}.")
    return content


def _print(facts: dict[str, Any], rates: Rates, prices: Prices, console: Console) -> None:
    table = Table(title=f"{facts['audio_hours']:,.0f} hours of audio", title_justify="left", show_header=False)
    gpu = f"{facts['gpu_hours']:,.0f}" if rates.device == "gpu" else "0: the rates are of encoders on cores"
    table.add_row("GPU hours", gpu)
    table.add_row("CPU core hours", f"{facts['cpu_hours']:,.0f}")
    if facts["cores_per_gpu"]:
        table.add_row("cores that keep a GPU busy", f"{facts['cores_per_gpu']:,.0f}")
    if facts["shortlist_cores_per_gpu"]:
        table.add_row("of these, for shortlists", f"{facts['shortlist_cores_per_gpu']:,.1f}")
    table.add_row("nodes", ", ".join(f"{count:,} x {name}" for name, count in facts["nodes"].items()))
    table.add_row("wall time", f"{facts['wall_hours']:,.1f} h")
    for name in ("audio", "transcript", "cache"):
        table.add_row(f"{name} bytes", human(facts[f"{name}_bytes"]))
    for name, size in facts["object_store_bytes"].items():
        table.add_row(f"object store, {name}", human(size))
    cost = facts["cost"]
    table.add_row("compute", f"{cost['compute']:,.0f} {cost['currency']}")
    table.add_row("storage", f"{cost['storage']:,.0f} {cost['currency']}")
    table.add_row("cost per audio hour", f"{cost['per_audio_hour']:.4f} {cost['currency']}")
    console.print(table)
    console.print(f"rates: {rates.source}", f"prices: {prices.source}", sep="\n", markup=False, soft_wrap=True)


def human(size: float) -> str:
    """Return a number of bytes in decimal units.

    >>> human(1_500_000)
    '1.5 MB'
    """
    power = 0
    while size >= 1000 and power < len(_UNITS) - 1:
        size, power = size / 1000, power + 1
    return f"{size:.3g} {_UNITS[power]}"


if __name__ == "__main__":
    leave(main())
