"""A Ray cluster of several nodes on one machine, and jobs.transcribe on it as a process of its own.

    python -m tests.support.local_cluster --dashboard-port 8265

starts a head that takes jobs, and stops it on SIGTERM or Ctrl-C.
"""

import argparse
import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import ray.cluster_utils
from ray._private import services

from tests.support.ports import free_ports
from tests.support.processes import family, title

ROOT = Path(__file__).resolve().parents[2]
_STORE_BYTES = 150_000_000  # per node
_START_TRIES, _START_SECONDS = 6, 60.0
"""A raylet crashes where a loaded machine does not start its agents within 15 s, so patience alone is not enough."""
_PORTS = ("metrics_agent_port", "metrics_export_port", "runtime_env_agent_port", "dashboard_agent_listen_port")
"""Given beforehand, so that a raylet has to wait for fewer of those that its agents choose."""
_HEALTH = {"health_check_period_ms": 1000, "health_check_timeout_ms": 5000, "health_check_failure_threshold": 10}
"""Nodes whose raylet is killed are noticed at once by their broken connection; this is for those that fall silent."""


class LocalCluster:
    """Every node is a raylet with workers of its own; all of them are descendants of this process."""

    def __init__(self) -> None:
        self._cluster: Any = ray.cluster_utils.Cluster()
        self._nodes: dict[str, Any] = {}

    @property
    def address(self) -> str:
        """For RAY_ADDRESS."""
        return str(self._cluster.address)

    def add(self, name: str, cpus: int, gpus: int = 0, audio: int = 0, dashboard_port: int | None = None) -> None:
        """Start a node; the first one is the head, and may have a dashboard. ``gpus`` are only counted.

        audio: cores apart from ``cpus`` that decode audio, as cluster.yaml has them
        """
        first: dict[str, Any] = {}
        if not self._nodes:
            first = {"include_dashboard": dashboard_port is not None, "_system_config": _HEALTH}
            first |= {"dashboard_port": dashboard_port} if dashboard_port else {}
        for tries_left in reversed(range(_START_TRIES)):
            before = set(family(os.getpid()))
            try:
                self._nodes[name] = self._start(cpus, gpus, first | ({"resources": {"audio": audio}} if audio else {}))
                return
            except Exception as error:  # Ray has no class of its own for it
                if not tries_left or "timed out during startup" not in str(error):
                    raise
                _kill(set(family(os.getpid())) - before)

    def _start(self, cpus: int, gpus: int, more: dict[str, Any]) -> Any:
        ports = dict(zip(_PORTS, free_ports(len(_PORTS)), strict=True))
        sizes = {"num_cpus": cpus, "num_gpus": gpus, "object_store_memory": _STORE_BYTES}
        with _patience():
            return self._cluster.add_node(env_vars=_environment(), **sizes, **ports, **more)

    def node_id(self, name: str) -> str:
        return str(self._nodes[name].node_id)

    def raylet(self, name: str) -> int:
        """The process id of a node's raylet; its workers die with it."""
        return int(self._nodes[name].all_processes["raylet"][0].process.pid)

    def kill(self, name: str) -> None:
        """SIGKILL a node's raylet, as when the machine is lost, and forget the node."""
        node = self._nodes.pop(name)
        os.kill(node.all_processes["raylet"][0].process.pid, signal.SIGKILL)
        self._cluster.remove_node(node, allow_graceful=False)

    def close(self) -> None:
        self._cluster.shutdown()


@contextlib.contextmanager
def local_cluster() -> Iterator[LocalCluster]:
    """A cluster without nodes, shut down at the end."""
    cluster = LocalCluster()
    try:
        yield cluster
    finally:
        cluster.close()


def _kill(processes: set[int]) -> None:
    """End what a start that failed has left behind."""
    for pid in processes:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


@contextlib.contextmanager
def _patience() -> Iterator[None]:
    """Wait longer than the 30 s that Ray waits for a node to register."""
    look = services.get_node

    def patient(*arguments: Any) -> Any:
        deadline = time.monotonic() + _START_SECONDS
        while True:
            try:
                return look(*arguments)
            except RuntimeError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.2)

    services.get_node = patient
    try:
        yield
    finally:
        services.get_node = look


def _environment() -> dict[str, str]:
    """What nodes need on a machine that plays several: this repository, one thread per worker, and time to start."""
    patience = {"RAY_agent_register_timeout_ms": "300000"}
    return {"OMP_NUM_THREADS": "1", "RAY_worker_niceness": "0", "PYTHONPATH": str(ROOT), **patience}


def transcribe(address: str, arguments: list[str], errors: IO[bytes]) -> subprocess.Popen[bytes]:
    """Start jobs.transcribe on the cluster.

    errors: a file for its stderr; no pipe, which is full and stops the run when Ray repeats the logs of lost nodes
    """
    return subprocess.Popen(
        [sys.executable, "-m", "jobs.transcribe", *arguments],
        cwd=ROOT,
        env={**os.environ, "RAY_ADDRESS": address, "OMP_NUM_THREADS": "1"},
        stdout=subprocess.DEVNULL,
        stderr=errors,
    )


def workers(root: int, class_name: str) -> list[int]:
    """Return the processes below ``root`` that hold a Ray Data actor of a class, such as ``EncoderActor``."""
    return [pid for pid in family(root) if title(pid).startswith("ray::") and class_name in title(pid)]


def main(argv: list[str] | None = None) -> int:
    """Run a head until a signal comes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dashboard-port", type=int, default=8265)
    parser.add_argument("--cpus", type=int, default=1)
    arguments = parser.parse_args(argv)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    with local_cluster() as cluster, contextlib.suppress(KeyboardInterrupt):
        cluster.add("head", arguments.cpus, dashboard_port=arguments.dashboard_port)
        print(f"http://127.0.0.1:{arguments.dashboard_port}", flush=True)
        signal.pause()
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
