"""jobs -> actors -> pipeline, never the other way, and pipeline never sees Ray."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
FORBIDDEN = {
    "pipeline": {"ray", "actors", "jobs", "benchmarks", "tests"},
    "actors": {"jobs", "benchmarks", "tests"},
    "jobs": {"benchmarks", "tests"},
}


def imported(source: str) -> Iterator[str]:
    """Yield the top-level packages that a module imports, wherever in it."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute here, so that a reader sees which layer they cross"
            yield (node.module or "").partition(".")[0]


def modules(package: str) -> list[Path]:
    return sorted((ROOT / package).rglob("*.py"))


@pytest.mark.parametrize("path", [path for package in FORBIDDEN for path in modules(package)], ids=str)
def test_layers(path: Path) -> None:
    package = path.relative_to(ROOT).parts[0]
    assert not set(imported(path.read_text(encoding="utf-8"))) & FORBIDDEN[package]


def test_only_jobs_touch_ray_data() -> None:
    users = [path for path in modules("actors") if "ray.data" in path.read_text(encoding="utf-8")]
    assert users == []


def test_the_check_sees_what_it_must() -> None:
    source = "import ray.data\ndef f():\n    from jobs.transcribe import main\n"
    assert set(imported(source)) == {"ray", "jobs"}
    assert len(modules("pipeline")) > 10
