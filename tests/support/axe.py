"""axe-core, the accessibility checker: from ROLLCALL_AXE, or fetched once with npm. Used in tests only, not shipped."""

import os
import shutil
import subprocess
import tarfile
from pathlib import Path

import pytest

from tests.support.webdriver import IN_CI

VERSION = "4.14.1"  # MPL-2.0, which is why it is fetched and not committed
_WITHIN = 120  # seconds


def axe_source(cache: Path) -> str:
    """Return axe.min.js; where it cannot be had the test is skipped, in CI it fails, and says why."""
    named = os.environ.get("ROLLCALL_AXE")
    path = Path(named) if named else cache / VERSION / "package/axe.min.js"
    if not path.is_file() and not named:
        _fetch(cache / VERSION)
    if not path.is_file():
        missing = f"axe-core {VERSION} is not at {path}; set ROLLCALL_AXE to its axe.min.js, or install npm"
        assert not IN_CI, missing
        pytest.skip(missing)
    return path.read_text(encoding="utf-8")


def _fetch(folder: Path) -> None:
    """Download the package with npm, which checks its hash; nothing of it is run but in the browser."""
    npm = shutil.which("npm")
    if npm is None:
        return
    folder.mkdir(parents=True, exist_ok=True)
    command = [npm, "pack", "--silent", f"axe-core@{VERSION}"]
    try:
        done = subprocess.run(command, cwd=folder, capture_output=True, timeout=_WITHIN, check=False)
    except subprocess.TimeoutExpired:
        return
    if done.returncode == 0:
        with tarfile.open(folder / f"axe-core-{VERSION}.tgz") as package:
            package.extract("package/axe.min.js", folder, filter="data")
