"""A run that the version before wrote, with its cached first pass: see tests/runs/files/earlier/README.md."""

import hashlib
import json
import lzma
import shutil
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FILES = ROOT / "tests" / "runs" / "files" / "earlier"


def copy_earlier(folder: Path) -> Path:
    """Copy the fixture, as if it had been written there, and return the run's folder."""
    shutil.copytree(FILES, folder, dirs_exist_ok=True)
    (folder / "guard.json").write_bytes(lzma.decompress((folder / "guard.json.xz").read_bytes()))
    (run,) = (path.parent for path in folder.glob("out/*/run.json"))
    record = run / "run.json"
    content = record.read_text().replace("@ROOT@", str(ROOT)).replace("@HERE@", str(folder)).encode()
    record.write_bytes(content)
    manifest = json.loads((run / "_SUCCESS").read_text())
    for file in manifest["files"]:
        if file["path"] == "run.json":
            file |= {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    (run / "_SUCCESS").write_text(json.dumps(manifest))
    return run
