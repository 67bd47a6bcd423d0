"""A Ray cluster of several nodes on one machine, and jobs.transcribe on it as a process of its own."""

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import ray.cluster_utils

from benchmarks.processes import family, title

ROOT = Path(__file__).resolve().parent.parent
_STORE_BYTES = 150_000_000  # per node
_START_TRIES = 4
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

    def add(self, name: str, cpus: int, gpus: int = 0) -> None:
        """Start a node; the first one is the head. ``gpus`` are only counted, there need not be any."""
        first = {} if self._nodes else {"include_dashboard": False, "_system_config": _HEALTH}
        for tries_left in reversed(range(_START_TRIES)):
            try:
                self._nodes[name] = self._cluster.add_node(
                    num_cpus=cpus, num_gpus=gpus, object_store_memory=_STORE_BYTES, env_vars=_environment(), **first
                )
                return
            except Exception as error:  # Ray's own class for it: a raylet that a loaded machine did not start in 30 s
                if not tries_left or "timed out during startup" not in str(error):
                    raise

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


def _environment() -> dict[str, str]:
    """What workers need to run on a machine that plays several: one thread each, and this repository."""
    return {"OMP_NUM_THREADS": "1", "RAY_worker_niceness": "0", "PYTHONPATH": str(ROOT)}


def transcribe(address: str, arguments: list[str]) -> subprocess.Popen[bytes]:
    """Start jobs.transcribe on the cluster."""
    return subprocess.Popen(
        [sys.executable, "-m", "jobs.transcribe", *arguments],
        cwd=ROOT,
        env={**os.environ, "RAY_ADDRESS": address, "OMP_NUM_THREADS": "1"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )


def workers(root: int, class_name: str) -> list[int]:
    """Return the processes below ``root`` that hold a Ray Data actor of a class, such as ``EncoderActor``."""
    return [pid for pid in family(root) if title(pid).startswith("ray::") and class_name in title(pid)]
