"""benchmarks.all on tiny steps: what it runs, what it keeps and writes, and what makes it run again."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
STEPS = """
groups:
  model: [models/tiny]
emissions: [model]
steps:
  - name: words
    command: code/words.py {rows}
    reads: [model, code/words.py]
    into: [results.md words]
    columns: {set: set, "WER %": "wer*100:2", F1 %: "f1:1"}
  - name: broken
    command: code/broken.py
    reads: [code/broken.py]
    into: [results.md broken]
  - name: after broken
    command: code/words.py {rows}
    needs: [broken]
    reads: [model]
  - name: sum
    command: code/sum.py {rows:words} {out}/table.md
    needs: [words]
    reads: [code/sum.py]
    into: [README.md sum, results.md sum]
    table: "{out}/table.md"
"""
WORDS = '''"""Measures words."""
import json, sys
open("ran.txt", "a").write("words ")
rows = [{"set": "a", "wer": 0.125, "f1": [90.0, 88.12, 91.0]}, {"set": "b", "wer": None, "f1": [50.0, None, None]}]
json.dump({"rows": rows}, open(sys.argv[1], "w"))
'''
SUM = """
import json, sys
open("ran.txt", "a").write("sum ")
open(sys.argv[2], "w").write(f"{len(json.load(open(sys.argv[1]))['rows'])} rows\\n")
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A project with four steps, a model and two files of results."""
    for name, content in {
        "steps.yaml": STEPS,
        "models/tiny/weights": "1",
        "code/words.py": WORDS,
        "code/sum.py": SUM,
        "code/broken.py": "raise SystemExit('no such set')",
        "results.md": "# Results\n" + "".join(map(block, ("words", "broken", "sum"))) + "Prose stays.\n",
        "README.md": "Mine.\n" + block("sum"),
        "data/list.tsv": "u1\tmaria\n",
    }.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(content)
    return tmp_path


def block(name: str) -> str:
    return f"<!-- measured: {name} -->\nold figures of {name}\n<!-- end: {name} -->\n"


def measure(root: Path, *more: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "benchmarks.all", "--root", str(root), "--steps", str(root / "steps.yaml")]
    command += ["--work", str(root / "work"), "--data", str(root / "data"), *more]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)


def ran(root: Path) -> list[str]:
    """What has run since the last time."""
    path = root / "ran.txt"
    found = path.read_text().split() if path.is_file() else []
    path.unlink(missing_ok=True)
    return found


def test_tables_are_written_failures_named_and_only_what_changed_runs_again(root: Path) -> None:
    done = measure(root)
    assert done.returncode == 1
    assert ran(root) == ["words", "sum"]
    assert "broken: FAILED, exit code 1" in done.stdout
    assert "no such set" in done.stdout
    assert "after broken: left out, it needs broken" in done.stdout
    results = (root / "results.md").read_text()
    assert (
        "| set | WER % | F1 % |\n| --- | --- | --- |\n| a | 12.50 | 90.0 [88.1, 91.0] |\n| b |  | 50.0 |\n" in results
    )
    assert "old figures of words" not in results
    assert "old figures of broken" in results
    assert results.endswith("Prose stays.\n")
    assert "2 rows\n<!-- end: sum -->" in results
    assert "2 rows\n<!-- end: sum -->" in (root / "README.md").read_text()
    kept = json.loads((root / "benchmarks/results/measured/words.json").read_text())
    assert kept["rows"][0]["wer"] == 0.125
    assert set(kept["inputs"]) == {"models/tiny", "code/words.py"}

    (root / "code/broken.py").write_text("print('mended')")
    assert "broken: FAILED, its rows or table cannot be read: ValueError('no rows')" in measure(root).stdout
    assert ran(root) == []  # what is done is not done again

    (root / "code/words.py").write_text(WORDS.replace("Measures words.", "Counts words.") + "# a comment\n")
    measure(root, "--only", "words", "sum")
    assert ran(root) == []  # the code does what it did

    (root / "models/tiny/weights").write_text("2")
    listed = measure(root, "--list").stdout
    assert "out of date: models/tiny\n" in listed
    assert ran(root) == []
    assert measure(root, "--only", "w*").returncode == 0
    assert ran(root) == ["words"]
    measure(root, "--only", "sum")
    assert ran(root) == []  # it found what it found before, so what was made of it holds


def test_a_trial_is_kept_apart(root: Path) -> None:
    before = (root / "results.md").read_text()
    measure(root, "--limit", "3", "--only", "words")
    assert ran(root) == ["words"]
    assert (root / "results.md").read_text() == before
    assert "| a | 12.50 |" in (root / "work/limit-3/results.md").read_text()
    assert not (root / "benchmarks").exists()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (STEPS.replace("results.md broken", "results.md nowhere"), "needs the line `<!-- measured: nowhere -->` once"),
        (STEPS.replace("needs: [words]", "needs: [later]"), "sum needs ['later'], which no step before it is called"),
        (STEPS.replace("reads: [model]", "read: [model]"), "unknown keys ['read']"),
        (STEPS.replace("name: sum", "name: words"), "two steps are called words"),
    ],
)
def test_steps_that_cannot_work_are_refused_before_anything_runs(root: Path, content: str, said: str) -> None:
    (root / "steps.yaml").write_text(content)
    done = measure(root)
    assert done.returncode == 2
    assert said in done.stderr
    assert ran(root) == []


def test_the_steps_of_this_repository_have_their_blocks() -> None:
    listed = subprocess.run(
        [sys.executable, "-m", "benchmarks.all", "--list"], cwd=ROOT, capture_output=True, text=True
    )
    assert listed.returncode == 0, listed.stderr
