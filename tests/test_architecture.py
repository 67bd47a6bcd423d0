"""jobs -> actors -> pipeline, never the other way; every shelf of pipeline imports only from shelves below it."""

import ast
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
FORBIDDEN = {
    "pipeline": {"ray", "actors", "jobs", "benchmarks", "tests"},
    "actors": {"jobs", "benchmarks", "tests"},
    "jobs": {"benchmarks", "tests"},
}

SHELVES = (
    # ground: what everything stands on
    "errors", "text", "compiled", "census", "trie", "storage", "schemas", "config", "types",
    # what is known before anything is recognised
    "audio", "lexicon", "entities",
    # the way of one utterance: what could be said, what is heard, what is found, what is believed
    "retrieval", "acoustic", "decoding", "rescoring", "recognition",
    # the way of a run: how it lies on disk, what people say of it, what it is worth, how people read it
    "markup", "runs", "review", "scoring", "report",
    # what is done with all that; side by side
    ("lint", "inspection", "reprocess", "ingest", "export", "privacy", "suggest", "learning", "tuning", "training"),
    # what tuning and training are both for
    "calibration",
)  # fmt: skip
"""The packages and modules of ``pipeline``, in the order of the flow: each imports only what stands before it."""

RUN_FILES = {
    "run.json", "cache.json", "latest.json", "changes.parquet", "changes.html",
    "_checkpoint", "_attempt", "_writing", "_changes", "_forgetting.json", "_recordings",
}  # fmt: skip
"""Names of files and folders of a run that nothing outside of ``pipeline/runs`` may put together."""

HEIGHT = {name: at for at, shelf in enumerate(SHELVES) for name in ([shelf] if isinstance(shelf, str) else shelf)}


def imported(source: str) -> Iterator[str]:
    """Yield the modules that a module imports, wherever in it; ``from a import b`` gives ``a.b``."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute here, so that a reader sees which layer they cross"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def modules(package: str) -> list[Path]:
    return sorted((ROOT / package).rglob("*.py"))


def name_of(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def imports(package: str) -> dict[str, set[str]]:
    """Return for each module of a package the modules of the same package that it imports."""
    sources = {name_of(path): path.read_text(encoding="utf-8") for path in modules(package)}
    found: dict[str, set[str]] = {}
    for name, source in sources.items():
        targets = {target if target in sources else target.rpartition(".")[0] for target in imported(source)}
        found[name] = {target for target in targets if target in sources} - {name}
    return found


def upward(graph: Mapping[str, set[str]], height: Mapping[str, int]) -> list[str]:
    """Return every import of a shelf from one that does not stand below it."""
    return [
        f"{name} -> {target}"
        for name, targets in sorted(graph.items())
        for target in sorted(targets)
        if name.count(".") and target.count(".")
        if (here := name.split(".")[1]) != (there := target.split(".")[1]) and height[there] >= height[here]
    ]


def circles(graph: Mapping[str, set[str]]) -> list[str]:
    """Return the names that are left when every name whose targets are all gone is taken away, again and again."""
    left = {name: set(targets) for name, targets in graph.items()}
    while free := {name for name, targets in left.items() if not targets & left.keys()}:
        left = {name: targets for name, targets in left.items() if name not in free}
    return sorted(left)


@pytest.mark.parametrize("package", FORBIDDEN)
def test_layers(package: str) -> None:
    for path in modules(package):
        tops = {name.partition(".")[0] for name in imported(path.read_text(encoding="utf-8"))}
        assert not tops & FORBIDDEN[package], path


def test_every_shelf_of_pipeline_has_its_place() -> None:
    names = {path.stem for path in (ROOT / "pipeline").iterdir() if path.suffix == ".py" or list(path.rglob("*.py"))}
    assert names - {"__init__", "__pycache__"} == set(HEIGHT)


def test_shelves_import_only_from_below() -> None:
    assert upward(imports("pipeline"), HEIGHT) == []


@pytest.mark.parametrize("package", FORBIDDEN)
def test_no_file_is_part_of_a_circle(package: str) -> None:
    assert circles(imports(package)) == []


def strangers(name: str, source: str) -> set[str]:
    """Return what a module of ``tests`` imports that only its owner should: other files of tests, and benchmarks.

    Tests of the benchmarks, in tests/benchmarks, are about them.
    """
    tops = ("tests",) if name.startswith("tests.benchmarks.") else ("benchmarks", "tests")
    found = {target for target in imported(source) if target.partition(".")[0] in tops}
    return {target for target in found if not target.startswith("tests.support.")} - {name}


def test_tests_share_only_what_lies_in_support() -> None:
    sources = {name_of(path): path.read_text(encoding="utf-8") for path in modules("tests")}
    assert {name: found for name, source in sources.items() if (found := strangers(name, source))} == {}


def test_only_jobs_touch_ray_data() -> None:
    users = [path for path in modules("actors") if "ray.data" in path.read_text(encoding="utf-8")]
    assert users == []


def texts(source: str) -> set[str]:
    """Return the texts of a module that stand alone, which is how files are named; sentences with a name are none."""
    return {
        node.value for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Constant) and type(node.value) is str
    }


def test_only_runs_know_how_a_run_lies_on_disk() -> None:
    owners = {path for path in modules("pipeline") if path.parent.name == "runs"}
    others = {path for package in ("pipeline", "actors", "jobs", "benchmarks") for path in modules(package)} - owners
    owned = set().union(*(texts(path.read_text(encoding="utf-8")) for path in owners))
    assert owned >= RUN_FILES
    for path in others:
        assert not texts(path.read_text(encoding="utf-8")) & RUN_FILES, path


def test_the_checks_see_what_they_must() -> None:
    source = "import ray.data\ndef f():\n    from jobs.transcribe import main\n"
    assert set(imported(source)) == {"ray.data", "jobs.transcribe.main"}
    assert len(modules("pipeline")) > 10
    assert "pipeline.config.config" in imports("pipeline")["pipeline.config.presets"]
    graph = {"pipeline.text": {"pipeline.scoring.words"}, "pipeline.scoring.words": {"pipeline.text"}}
    assert upward(graph, HEIGHT) == ["pipeline.text -> pipeline.scoring.words"]
    assert circles(graph) == ["pipeline.scoring.words", "pipeline.text"]
    assert circles({"a": {"b"}, "b": {"c"}, "c": set()}) == []
    source = "import tests.jobs.test_manifest\nimport benchmarks.table\nfrom tests.support.speech import say\n"
    assert strangers("tests.x", source) == {"tests.jobs.test_manifest", "benchmarks.table"}
    assert upward({"pipeline.lint.check": {"pipeline.export.files"}}, HEIGHT) != []
