"""A folder in which the commands of README and docs run as they stand: small inputs, a real Ray cluster, a real S3.

What a page calls ``recordings/``, ``names.csv`` or ``s3://bucket`` is here; ``http://HEAD:8265`` is a local cluster.
Commands that would install, or run for minutes and have tests of their own, are only checked: ``make`` runs with
``--dry-run``, ``ray up`` checks the file as Ray's launcher does, and ``docker build`` that there is one.

Most blocks run in children of one process that has imported everything (tests.support.preloaded), as dozens of new
processes would spend minutes on imports. Those that are asked for as ``real`` run as a user runs them.
"""

import contextlib
import dataclasses
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import boto3
import pyarrow.parquet as pq
import soundfile

from pipeline.audio.decode import decode_audio
from tests.support.ports import free_ports
from tests.support.preloaded import CLIENT, SOCKET, preloaded
from tests.support.servers import KEY, SECRET, moto_endpoint

ROOT = Path(__file__).resolve().parents[2]
UTTERANCES = 4  # of examples/demo.parquet
_WITHIN = 900  # seconds for one block, which takes some 10 where nothing else runs
_ATTEMPTS = 5  # to start Ray
_ENDS_WITHIN = 3  # seconds; then it is killed, as nothing of it is kept
_VENV = Path(sys.executable).parent
_PYTHON_PATH = ".venv/bin/python"

_MAKE = f"""#!/bin/sh
exec {shutil.which("make")} --dry-run --directory {ROOT} "$@" > /dev/null
"""
_RAY = f"""#!/bin/sh
if [ "$1" = up ]; then
    exec {sys.executable} -c "import sys, yaml
from ray.autoscaler._private.util import prepare_config, validate_config
validate_config(prepare_config(yaml.safe_load(open(sys.argv[1]))))" "$2"
fi
exec {_VENV}/ray "$@"
"""
_DOCKER = f"""#!/bin/sh
[ "$1 $2" = "build -f" ] && [ -f "{ROOT}/$3" ]
"""


def _either(program: str, first: str) -> str:
    """A program of the environment that a preloaded process runs, where there is one."""
    client = f'exec {sys.executable} -I -S {CLIENT} "${SOCKET}"{first}'
    return f'#!/bin/sh\n[ -z "${SOCKET}" ] || {client} "$@"\nexec {_VENV / program} "$@"\n'


_PROGRAMS = {"make": _MAKE, "ray": _RAY, "docker": _DOCKER, "rollcall": _either("rollcall", " -m jobs.rollcall")}
_PYTHON = _either("python", "")


class BlockError(AssertionError):
    """A block that does not run."""


@dataclasses.dataclass
class Sandbox:
    """``folder`` is where blocks run; ``environment`` is what they see.

    address:   of the cluster, for RAY_ADDRESS
    dashboard: what stands for ``http://HEAD:8265``
    socket:    of the preloaded process
    """

    folder: Path
    environment: dict[str, str]
    address: str
    dashboard: str
    socket: str

    def shell(self, code: str, real: bool = False, cluster: bool = False) -> str:
        """Run a shell block and return what it printed; raises BlockError with its output if it fails.

        real:    each command in a process of its own, as users have it
        cluster: with RAY_ADDRESS set, as whoever reads of clusters has it
        """
        return self._run(["bash", "-euo", "pipefail", "-c", self._filled(code)], code, real, cluster)

    def python(self, code: str, real: bool = False, cluster: bool = False) -> str:
        """Run a block of Python; as above."""
        return self._run([str(self.folder / _PYTHON_PATH), "-c", code], code, real, cluster)

    def _filled(self, code: str) -> str:
        """Put real values for placeholders: ``<fingerprint>`` is the newest run in out/."""
        runs = sorted(self.folder.glob("out/*/run.json"), key=lambda path: path.stat().st_mtime)
        if runs:
            code = code.replace("<fingerprint>", runs[-1].parent.name)
        return code.replace("http://HEAD:8265", self.dashboard)

    def _run(self, command: Sequence[str], code: str, real: bool, cluster: bool) -> str:
        environment = self.environment | ({} if real else {SOCKET: self.socket})
        environment |= {"RAY_ADDRESS": self.address} if cluster else {}
        done = subprocess.run(
            command, cwd=self.folder, env=environment, capture_output=True, text=True, timeout=_WITHIN, check=False
        )
        if done.returncode != 0:
            raise BlockError(f"exit code {done.returncode} of\n{code}\n{done.stdout[-3000:]}\n{done.stderr[-5000:]}")
        return done.stdout


@contextlib.contextmanager
def sandbox(folder: Path) -> Iterator[Sandbox]:
    """Make the folder, start what its commands talk to, and stop that at the end."""
    _inputs(folder)
    _programs(folder)
    environment = os.environ | {
        "PATH": f"{folder / 'bin'}:{_VENV}:{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
        "HOME": str(folder / "home"),
        "RAY_AUTH_MODE": "token",
        "AWS_ACCESS_KEY_ID": KEY,
        "AWS_SECRET_ACCESS_KEY": SECRET,
        "AWS_DEFAULT_REGION": "us-east-1",
        "RAY_worker_niceness": "0",  # of 15 by default, which on a busy machine is never
        "COLUMNS": "120",
    }
    for name in ("RAY_ADDRESS", "RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"):
        environment.pop(name, None)
    with moto_endpoint() as endpoint:
        environment["AWS_ENDPOINT_URL"] = endpoint
        _fill_bucket(endpoint, folder)
        with _cluster(environment) as (address, dashboard), preloaded(folder / "home", environment) as socket:
            yield Sandbox(folder, environment, address, dashboard, socket)


def _inputs(folder: Path) -> None:
    """Recordings in the layouts that pages name, all from the demo's synthetic speech."""
    (folder / "home").mkdir(parents=True)
    for name in ("examples", "cluster.yaml"):
        (folder / name).symlink_to(ROOT / name)
    (folder / ".gitignore").write_text(".venv\nhome\nbin\nout\nruns\n")  # not for the cluster: ray job submit heeds it
    shutil.copy(ROOT / "examples/entities.csv", folder / "names.csv")
    table = pq.read_table(ROOT / "examples/demo.parquet").slice(0, UTTERANCES)
    (folder / "speech").mkdir()
    pq.write_table(table, folder / "speech/demo.parquet")
    (folder / "recordings").mkdir()
    manifest, texts = [], []
    for at, row in enumerate(table.to_pylist()):
        speaker = 1 + at % 2  # two of them, as jobs.tune needs
        name, chapter = f"{speaker}-7-{at:04}", folder / f"LibriSpeech/test-clean/{speaker}/7"
        chapter.mkdir(parents=True, exist_ok=True)
        samples = decode_audio(row["audio"]["bytes"], row["utterance_id"]).samples
        for path in (folder / f"recordings/{row['utterance_id']}.flac", chapter / f"{name}.flac"):
            soundfile.write(path, samples, 16_000)
        with (chapter / f"{speaker}-7.trans.txt").open("a") as lines:
            lines.write(f"{name} {row['text'].upper()}\n")
        manifest.append(f'{{"audio_filepath": "recordings/{row["utterance_id"]}.flac", "text": "{row["text"]}"}}\n')
        texts.append(f"{name}\t{row['text'].replace('the', 'a')}\n")
    (folder / "manifest.jsonl").write_text("".join(manifest))
    (folder / "other_system.tsv").write_text("".join(texts))


def _programs(folder: Path) -> None:
    for path, script in [*((f"bin/{name}", script) for name, script in _PROGRAMS.items()), (_PYTHON_PATH, _PYTHON)]:
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(script)
        (folder / path).chmod(0o755)


def _fill_bucket(endpoint: str, folder: Path) -> None:
    client: Any = boto3.client(
        "s3", endpoint_url=endpoint, aws_access_key_id=KEY, aws_secret_access_key=SECRET, region_name="us-east-1"
    )
    client.create_bucket(Bucket="bucket")
    client.upload_file(str(folder / "speech/demo.parquet"), "bucket", "corpus/demo.parquet")
    client.upload_file(str(folder / "names.csv"), "bucket", "names.csv")


@contextlib.contextmanager
def _cluster(environment: dict[str, str]) -> Iterator[tuple[str, str]]:
    """Start a head node of our own with token authentication; yield its address and that of its dashboard."""
    subprocess.run([_VENV / "ray", "get-auth-token", "--generate"], env=environment, check=True, capture_output=True)
    for attempt in range(_ATTEMPTS):
        port, dashboard = free_ports(2)
        log = Path(environment["HOME"]) / f"ray-{attempt}.log"
        with _head(environment, port, dashboard, log) as head:
            if _started(head, log):
                yield f"127.0.0.1:{port}", f"http://127.0.0.1:{dashboard}"
                return
    raise RuntimeError(f"the Ray head does not start: {log.read_text()[-2000:]}")


@contextlib.contextmanager
def _head(environment: dict[str, str], port: int, dashboard: int, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    command = [str(_VENV / "ray"), "start", "--head", "--block", f"--port={port}", "--num-cpus=2"]
    command += ["--include-dashboard=true", f"--dashboard-port={dashboard}", "--disable-usage-stats"]
    command += ["--object-store-memory=400000000", "--dashboard-agent-listen-port=0"]
    with log.open("wb") as output:
        head = subprocess.Popen(command, env=environment, stdout=output, stderr=output, start_new_session=True)
        try:
            yield head
        finally:
            for stop in (signal.SIGTERM, signal.SIGKILL):
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(head.pid, stop)
                with contextlib.suppress(subprocess.TimeoutExpired):
                    head.wait(timeout=_ENDS_WITHIN)


def _started(head: subprocess.Popen[bytes], log: Path) -> bool:
    """Wait until ray says so; False if it gave up, as it does after 30 s on a machine that is too busy."""
    while head.poll() is None:
        if b"Ray runtime started" in log.read_bytes():
            return True
        time.sleep(0.3)
    return False
