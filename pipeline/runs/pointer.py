"""``latest.json`` of a folder of runs: which of them readers should read, and which they read before."""

import json
from datetime import UTC, datetime
from typing import Any

from pipeline import storage
from pipeline.errors import ConfigError, InputError
from pipeline.runs.folder import RunFolder
from pipeline.runs.manifest import is_intact
from pipeline.storage import Location

_HISTORY = 100  # publications that the pointer remembers


class Pointer:
    """``latest.json`` of a folder of runs."""

    def __init__(self, output: Location, name: str | None = None) -> None:
        """``name`` keeps several pointers apart; raises ConfigError for one that would leave the folder."""
        self.output = output
        self.location = output.join(f"latest-{name}.json" if name else "latest.json")
        if self.location.parent.path != output.path.rstrip("/"):
            raise ConfigError(f"--name {name!r} must be a plain name, without slashes.")

    @property
    def run(self) -> str | None:
        """Fingerprint of the published run, or None."""
        return self.read().get("run")

    def read(self) -> dict[str, Any]:
        """Return ``run``, ``since`` and ``history``, or nothing if nothing is published."""
        if not storage.exists(self.location):
            return {}
        try:
            content: dict[str, Any] = json.loads(storage.read_bytes(self.location))
            return {"run": content["run"], "since": content["since"], "history": content["history"]}
        except (ValueError, KeyError, TypeError) as error:
            raise InputError(f"{self.location.uri}: is broken ({error}); restore it or remove it.") from error

    def move(self, run: str) -> None:
        """Point to ``run`` and remember what was published before."""
        content = self.read()
        history = [*content.get("history", []), *([{k: content[k] for k in ("run", "since")}] if content else [])]
        self._write(run, history[-_HISTORY:])

    def roll_back(self) -> None:
        """Point to the run before; raises InputError if there is none, or it is no longer whole."""
        history = self.read().get("history", [])
        if not history:
            raise InputError(f"{self.location.uri}: nothing was published before; there is nothing to go back to.")
        self.check(history[-1]["run"])
        self._write(history[-1]["run"], history[:-1])

    def check(self, run: str) -> None:
        """Raise InputError if what was published before is no longer whole."""
        before = RunFolder(self.output.join(run))
        if not is_intact(before):
            raise InputError(f"{before.root.uri}: what was published before is no longer whole; publish another run.")

    def _write(self, run: str, history: list[dict[str, str]]) -> None:
        content = {"run": run, "since": datetime.now(UTC).isoformat(timespec="seconds"), "history": history}
        storage.write_atomic(self.location, (json.dumps(content, indent=1) + "\n").encode())
