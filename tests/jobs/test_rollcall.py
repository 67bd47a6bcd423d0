"""The command rollcall: dispatch, help, completion, exit codes, --json, and quiet logs."""

import importlib
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from jobs.cli import completion
from jobs.cli.command import FAILED, INTERNAL, INTERRUPTED, OK, Result, job_parser, run_command
from jobs.cli.commands import commands, summary
from jobs.rollcall import main
from pipeline.errors import ConfigError

ROOT = Path(__file__).resolve().parents[2]


def call(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "jobs.rollcall", *arguments]
    return subprocess.run(command, cwd=ROOT, env=os.environ | environment, capture_output=True, text=True, timeout=300)


def hypotheses(folder: Path) -> list[str]:
    (folder / "reference.tsv").write_text("a\tfrom leeds to york\n")
    (folder / "hypotheses.tsv").write_text("a\tfrom leads to york\n")
    files = ["--hypotheses", str(folder / "hypotheses.tsv"), "--reference", str(folder / "reference.tsv")]
    return [*files, "--output", str(folder / "scores")]


def test_every_job_is_a_command_with_a_line_of_help() -> None:
    known = commands()
    assert {"ingest", "transcribe", "score", "compare", "tune", "train-base", "demo"} <= set(known)
    assert "rollcall" not in known
    assert "command" not in known
    for name, module in known.items():
        assert 10 < len(summary(module)) < 120, f"{name}: its docstring must begin with one sentence"
        assert "\n    python -m jobs." in (ROOT / "jobs" / f"{module}.py").read_text(), f"{name} shows no example"


def test_help_is_fast_and_imports_no_job() -> None:
    started = time.monotonic()
    shown = call("--help")
    wall = time.monotonic() - started
    assert shown.returncode == 0
    assert all(f"  {name} " in shown.stdout for name in commands())
    assert wall < 5  # 0.1 s where nothing else runs; importing the jobs takes 3 s and more
    loaded = "import sys; from jobs.rollcall import main; main(['--help']); print(*sys.modules, file=sys.stderr)"
    modules = subprocess.run([sys.executable, "-c", loaded], cwd=ROOT, capture_output=True, text=True).stderr.split()
    assert not {"torch", "ray", "pyarrow", "numpy", "rich", "jobs.transcribe"} & set(modules)


def test_a_subcommand_is_the_job(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["score", *hypotheses(tmp_path)]) == OK
    assert "WER" in capsys.readouterr().out
    assert (tmp_path / "scores" / "metrics.json").is_file()


def test_help_of_a_job_names_the_command_as_it_was_typed(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["score", "--help"])
    shown = capsys.readouterr().out
    assert shown.startswith("usage: rollcall score")
    assert "    rollcall score --transcripts" in shown
    assert "python -m" not in shown
    assert job_parser("score", None).prog == "python -m jobs.score"


def test_bad_command_lines_are_exit_code_2() -> None:
    assert main(["trnscribe"]) == 2
    assert main([]) == 2
    assert main(["completion", "tcsh"]) == 2
    assert call("score").returncode == 2


def test_json_is_all_that_stands_on_stdout(tmp_path: Path) -> None:
    done = call("score", "--json", *hypotheses(tmp_path))
    facts = json.loads(done.stdout)
    assert facts["wer"]["substitutions"] == 1
    assert "Entity F1" in done.stderr
    bad = call("score", "--json", "--hypotheses", "none.tsv", "--reference", "none.tsv", "--output", str(tmp_path))
    assert bad.returncode == 2
    assert "does not exist" in json.loads(bad.stdout)["error"]


def test_no_colours_and_no_bars_in_logs(tmp_path: Path) -> None:
    forced = {"FORCE_COLOR": "1", "TTY_COMPATIBLE": "1"}
    assert "\x1b[" in call("score", *hypotheses(tmp_path), **forced).stdout
    plain = call("score", *hypotheses(tmp_path), **forced, NO_COLOR="1").stdout
    assert "\x1b[3" not in plain.replace("\x1b[3m", "")  # italics are no colour
    piped = call("score", *hypotheses(tmp_path))
    assert "\x1b" not in piped.stdout + piped.stderr


def test_exit_codes(capsys: pytest.CaptureFixture[str]) -> None:
    class Broke(ConfigError):
        exit_code = FAILED

    def raising(error: BaseException) -> int:
        def body() -> int:
            raise error

        return run_command(body)

    assert run_command(lambda: Result({})) == OK
    assert run_command(lambda: Result({}, FAILED)) == FAILED
    assert raising(ConfigError("no such key")) == 2
    assert raising(Broke("the run broke")) == FAILED
    assert raising(KeyboardInterrupt()) == INTERRUPTED
    assert "Traceback" not in capsys.readouterr().err
    assert raising(ZeroDivisionError()) == INTERNAL
    assert "Traceback" in capsys.readouterr().err


def test_completion_in_a_real_bash(tmp_path: Path) -> None:
    script = tmp_path / "rollcall.bash"
    known = {name: importlib.import_module(f"jobs.{commands()[name]}").build_parser() for name in ("score", "ingest")}
    script.write_text(completion.bash(known))

    def offered(*words: str) -> list[str]:
        typed = " ".join(f"'{word}'" for word in words)
        ask = f"source {script}; COMP_WORDS=({typed}); COMP_CWORD={len(words) - 1}; _rollcall; echo ${{COMPREPLY[@]}}"
        return subprocess.run(["bash", "-c", ask], capture_output=True, text=True, check=True).stdout.split()

    assert offered("rollcall", "sc") == ["score"]
    assert offered("rollcall", "score", "--ref") == ["--reference"]
    assert "kaldi" in offered("rollcall", "ingest", "--format", "")
    assert offered("rollcall", "ingest", "some-file") == []  # bash itself completes files


def test_completion_for_other_shells_knows_every_option() -> None:
    known = {"score": importlib.import_module("jobs.score").build_parser()}
    assert "-l reference -r -d " in completion.fish(known)
    assert "bashcompinit" in completion.zsh(known)


_LEAVES = """
import atexit, tempfile, threading, time
from concurrent.futures import ThreadPoolExecutor
from jobs.cli.command import leave
idle = ThreadPoolExecutor(1)
idle.submit(int).result()
folder = tempfile.TemporaryDirectory()
atexit.register(lambda: print("at exit", flush=False))
threading.Thread(target=lambda: (time.sleep(0.2), print("thread"))).start()
print(folder.name)
class Aborts:
    def __del__(self):
        print("destroyed")
kept = Aborts()
leave(7)
"""


def test_a_process_leaves_with_its_code_and_everything_done_but_destructors() -> None:
    """Threads end, also of an idle executor, what was registered runs, folders go, and all that was printed arrives."""
    done = subprocess.run([sys.executable, "-c", _LEAVES], cwd=ROOT, capture_output=True, text=True, timeout=120)
    folder, *rest = done.stdout.splitlines()
    assert (done.returncode, rest, done.stderr) == (7, ["thread", "at exit"], "")
    assert not Path(folder).exists()


def test_whoever_reads_only_a_line_does_no_harm() -> None:
    command = f"{sys.executable} -m jobs.rollcall --help | head -1; echo ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", command], cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.stdout.splitlines() == ["usage: rollcall COMMAND [arguments]", "0"]
    assert done.stderr == ""
