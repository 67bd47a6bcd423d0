"""A real headless Chromium, driven over the W3C WebDriver protocol with nothing but the standard library."""

import json
import os
import shutil
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import pytest

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
CHROMEDRIVER = shutil.which("chromedriver")
MISSING = "chromium and chromedriver are not installed: sh tests/support/browser.sh (Debian: chromium, chromium-driver)"
IN_CI = os.environ.get("CI", "").lower() not in ("", "0", "false")
"""Where everything that a test needs must be there: what is missing fails, and is not skipped."""
needs_chromium = pytest.mark.skipif(not IN_CI and (CHROMIUM is None or CHROMEDRIVER is None), reason=MISSING)
_FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--window-size=1200,900",
    "--autoplay-policy=no-user-gesture-required",
    # nothing but the page that is tested
    "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--disable-quic",
)  # fmt: skip
_ELEMENT = "element-6066-11e4-a52e-4f735466cecf"  # the key of an element reference, fixed by the standard
_STARTS_WITHIN = 60  # seconds; a loaded machine is slow
_ANSWERS_WITHIN = 180  # seconds


class Browser:
    """One browser session; use it in a ``with`` block."""

    def __init__(self) -> None:
        assert CHROMIUM is not None, MISSING
        assert CHROMEDRIVER is not None, MISSING
        self._profile = tempfile.TemporaryDirectory(prefix="chromium-", ignore_cleanup_errors=True)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        self._url = f"http://127.0.0.1:{port}"
        self._driver = subprocess.Popen(
            [CHROMEDRIVER, f"--port={port}"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        self._session = ""

    def __enter__(self) -> Self:
        arguments = [*_FLAGS, f"--user-data-dir={self._profile.name}"]
        options = {
            "goog:chromeOptions": {"binary": CHROMIUM, "args": arguments},
            "goog:loggingPrefs": {"browser": "ALL"},
            "timeouts": {"script": _ANSWERS_WITHIN * 1000},
        }
        deadline = time.monotonic() + _STARTS_WITHIN
        while not self._ready():
            assert time.monotonic() < deadline, "chromedriver does not start"
            time.sleep(0.2)
        self._session = self._call("POST", "/session", {"capabilities": {"alwaysMatch": options}})["sessionId"]
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if self._session:
                self._call("DELETE", f"/session/{self._session}")
        finally:
            self._driver.terminate()
            self._driver.wait()
            self._profile.cleanup()

    def open(self, path: Path) -> None:
        """Load a local file and wait until it is loaded."""
        self._command("POST", "url", {"url": path.as_uri()})

    def run(self, script: str, *arguments: Any) -> Any:
        """Return what the body of a JavaScript function returns; promises are awaited."""
        return self._command("POST", "execute/sync", {"script": script, "args": list(arguments)})

    def click(self, selector: str) -> None:
        self._command("POST", f"element/{self._find(selector)}/click", {})

    def type(self, selector: str, keys: str) -> None:
        """Send keys as a keyboard would, to a focusable element."""
        self._command("POST", f"element/{self._find(selector)}/value", {"text": keys})

    def console(self) -> list[str]:
        """Return the messages of the console since the last call."""
        return [entry["message"] for entry in self._command("POST", "se/log", {"type": "browser"})]

    def devtools(self, command: str, **parameters: Any) -> Any:
        """Send a DevTools command, e.g. to emulate dark mode."""
        return self._command("POST", "goog/cdp/execute", {"cmd": command, "params": parameters})

    def _find(self, selector: str) -> str:
        found = self._command("POST", "element", {"using": "css selector", "value": selector})
        return str(found[_ELEMENT])

    def _command(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        return self._call(method, f"/session/{self._session}/{path}", body)

    def _ready(self) -> bool:
        try:
            return bool(self._call("GET", "/status")["ready"])
        except urllib.error.URLError:
            return False

    def _call(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self._url + path, data, {"Content-Type": "application/json"}, method=method)
        try:
            with urllib.request.urlopen(request, timeout=_ANSWERS_WITHIN) as answer:
                return json.load(answer)["value"]
        except urllib.error.HTTPError as error:
            raise AssertionError(f"{method} {path}: {json.load(error)['value']}") from error
