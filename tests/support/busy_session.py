"""A short session of a local Ray that ends while its actors are at what an end must not wait for.

    python -m tests.support.busy_session [MODEL]

When the session ends, an EncoderActor with the MODEL is inside a call (none without one), another actor is in a native
call that keeps Python's lock, and a third has been released and never comes to its end. ``leftovers`` finds what is
still alive, by a variable in the environment that the script was started with.
"""

import ctypes
import os
import subprocess
import sys
import threading
import time
import uuid
from pathlib import Path
from typing import Any

import pyarrow as pa

_VARIABLE = "BUSY_SESSION_OF_A_TEST"
_HOURS = 3 * 3600
_CALLS = 500  # of the encoder, far more than are done before the end
_RELEASE_SECONDS = 2.0  # until a released actor has signed off


def run(model: Path | None, timeout: float) -> str:
    """Run the script to its end and return the value by which ``leftovers`` finds its processes."""
    value = uuid.uuid4().hex
    command = [sys.executable, "-m", "tests.support.busy_session", *([] if model is None else [str(model)])]
    # stdout of the script is no pipe: what it leaves behind would hold that open
    subprocess.run(command, check=True, timeout=timeout, env=os.environ | {_VARIABLE: value}, stdout=subprocess.DEVNULL)
    return value


def leftovers(value: str) -> dict[int, str]:
    """Return the processes of a script that has ended and what they call themselves."""
    import ray  # noqa: F401  puts psutil on the path
    import psutil  # isort: skip

    found = {}
    for process in psutil.process_iter():
        try:
            if process.environ().get(_VARIABLE) == value and process.status() != psutil.STATUS_ZOMBIE:
                found[process.pid] = " ".join(process.cmdline())
        except (psutil.Error, OSError):  # it has just ended, or belongs to somebody else
            pass
    return found


class Native:
    """Stuck in a native call that does not let other Python threads run."""

    def work(self) -> None:
        ctypes.PyDLL(None).sleep(_HOURS)

    def ready(self) -> bool:
        return True


class Released(Native):
    """Has a thread that Python waits for at the end of the process."""

    def __init__(self) -> None:
        threading.Thread(target=time.sleep, args=(_HOURS,)).start()


def main(model: str | None) -> None:
    import ray

    from jobs.run.session import ray_session

    with ray_session():
        native, released = (ray.remote(num_cpus=0)(kind).remote() for kind in (Native, Released))
        calls = [] if model is None else encoding(model)
        ray.get([native.ready.remote(), released.ready.remote(), *calls[:1]])
        stuck = native.work.remote()  # noqa: F841  a call whose result nobody holds is one that may be cancelled
        del released
        time.sleep(_RELEASE_SECONDS)
        assert model is None or ray.wait(calls, num_returns=_CALLS, timeout=0)[1], "the encoder must be inside a call"


def encoding(model: str) -> list[Any]:
    """Give an EncoderActor more calls than it comes to the end of; return what will hold their results."""
    import ray

    from actors.encoder import EncoderActor
    from actors.meter import RayMeter
    from pipeline.config import AcousticConfig, RunConfig
    from tests.support.audio_files import encoded, noise

    audio = [{"bytes": encoded(noise(10.0, seed=seed), "flac"), "path": None} for seed in range(4)]
    batch = pa.table({"utterance_id": [f"n{seed}" for seed in range(4)], "audio": audio})
    config = RunConfig(acoustic=AcousticConfig(model=model))
    encoder = ray.remote(num_cpus=0)(EncoderActor).remote(config, None, 1, RayMeter())
    return [encoder.__call__.remote(batch) for _ in range(_CALLS)]


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else None)
