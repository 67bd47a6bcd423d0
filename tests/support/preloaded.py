"""Commands in a process that has imported everything already, for what starts many of them.

A server imports what the jobs need, once. A client passes it a command line, its folder, its environment and its three
streams; the server forks a child that runs it. A child is there at once, where a process of its own spends seconds on
imports.

    python -m tests.support.preloaded SOCKET           the server
    python tests/support/preloaded.py SOCKET -m MODULE [ARGUMENT ...]    the client; -c CODE works, too

The client needs nothing but the standard library, so that it may run with ``-I -S``.
"""

import atexit
import contextlib
import gc
import importlib
import json
import os
import runpy
import signal
import socket
import subprocess
import sys
import threading
import time
import traceback
import types
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NoReturn

MODULES = (
    "jobs.rollcall", "jobs.run.transcribe_run", "jobs.run.reprocess_plan", "jobs.compare", "jobs.export", "jobs.ingest",
    "jobs.lint_list", "jobs.publish", "jobs.score", "jobs.tune", "jobs.verify", "pandas", "pyarrow.dataset", "s3fs",
    "transformers", "ray.data",
)  # fmt: skip
CLIENT = Path(__file__)
SOCKET = "ROLLCALL_PRELOADED"
"""The environment variable with which programs are told of a server."""
_STARTS_WITHIN = 300  # seconds; a loaded machine is slow to import
_WAITING = 64  # clients


def main(arguments: list[str]) -> int:
    """Serve, or pass one command to the server and return its exit code."""
    path, *command = arguments
    return ask(path, command) if command else serve(path)


def ask(path: str, command: list[str]) -> int:
    """Have the server at ``path`` run a command with the folder, the environment and the streams of this process."""
    with socket.socket(socket.AF_UNIX) as server:
        server.connect(path)
        request = {"command": command, "folder": os.getcwd(), "environment": dict(os.environ)}
        data = json.dumps(request).encode()
        sent = socket.send_fds(server, [data], [0, 1, 2])
        server.sendall(data[sent:])
        server.shutdown(socket.SHUT_WR)
        answer = server.recv(16)
    return int(answer) if answer else 70  # the server is gone


def serve(path: str) -> int:
    """Answer clients until this process is killed."""
    for name in MODULES:
        importlib.import_module(name)
    gc.collect()
    gc.freeze()  # or collections in children would copy all of it
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(f"{path}.new")
        listening.listen(_WAITING)
        os.rename(f"{path}.new", path)  # only now clients find it
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)
        while True:
            client, _ = listening.accept()
            if os.fork():
                client.close()
                continue
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            listening.close()
            _attend(client)


def _attend(client: socket.socket) -> NoReturn:
    """Fork the child that runs the command; its parent waits for its end and tells the client."""
    data, streams, _, _ = socket.recv_fds(client, 1 << 20, 3)
    while part := client.recv(1 << 20):
        data += part
    child = os.fork()
    if child:
        for stream in streams:
            os.close(stream)
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        client.sendall(str(code if code >= 0 else 128 - code).encode())
        os._exit(0)
    client.close()
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    request = json.loads(data)
    os.chdir(request["folder"])
    os.environ.clear()
    os.environ.update(request["environment"])
    code = _exit_code(request["command"])
    threading._shutdown()
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)  # what is left of an end is to take apart every module, which takes longer than many a command


def _exit_code(command: list[str]) -> int:
    try:
        _run(command)
    except SystemExit as end:
        if end.code is None or isinstance(end.code, int):
            return end.code or 0
        print(end.code, file=sys.stderr)
        return 1
    except BaseException:
        traceback.print_exc()
        return 1
    return 0


def _run(command: list[str]) -> None:
    """Run ``-m MODULE`` or ``-c CODE`` as Python does, in this process."""
    option, what, *arguments = command
    sys.argv = ["-c" if option == "-c" else what, *arguments]
    sys.path[0] = "" if option == "-c" else os.getcwd()
    if option == "-m":
        sys.modules.pop(what, None)  # it becomes __main__
        runpy.run_module(what, run_name="__main__", alter_sys=True)
        return
    script = types.ModuleType("__main__")
    sys.modules["__main__"] = script
    exec(compile(what, "<string>", "exec"), script.__dict__)


@contextlib.contextmanager
def preloaded(folder: Path, environment: Mapping[str, str]) -> Iterator[str]:
    """Start a server with ``environment`` and yield the path of its socket, which lies in ``folder``."""
    path, log = folder / "preloaded", folder / "preloaded.log"
    with log.open("wb") as output:
        command = [sys.executable, "-m", "tests.support.preloaded", str(path)]
        server = subprocess.Popen(command, env=dict(environment), stdout=output, stderr=output)
    try:
        deadline = time.monotonic() + _STARTS_WITHIN
        while not path.exists():
            assert server.poll() is None, log.read_text()
            assert time.monotonic() < deadline, f"nothing was imported within {_STARTS_WITHIN} s"
            time.sleep(0.1)
        yield str(path)
    finally:
        server.kill()
        server.wait()


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
