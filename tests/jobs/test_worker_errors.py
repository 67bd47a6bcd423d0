"""What a worker raised reaches the user as one line; on Ray's own exceptions, without a cluster."""

import pytest
from ray.exceptions import RayTaskError

from jobs.cli.command import BAD_INPUT, INTERNAL, run_command
from jobs.cli.worker_errors import raised_on_worker
from pipeline.errors import ModelError, RollcallError

TRACE = (
    '\x1b[36mray::check_models()\x1b[39m (pid=7, ip=127.0.0.1)\n  File "x.py", line 3, in load\n'
    "    raise ModelError(message)\npipeline.errors.ModelError: my_model: config.json is missing; needed is more."
)
LINE = "my_model: config.json is missing; needed is more."


def from_worker(cause: Exception) -> Exception:
    raised: Exception = RayTaskError("check_models", TRACE, cause, "title", 7, "127.0.0.1").as_instanceof_cause()
    return raised


def wrapped(cause: Exception) -> Exception:
    outer = RuntimeError("the plan failed")
    outer.__cause__ = from_worker(cause)
    return outer


@pytest.mark.parametrize("error", [from_worker(ModelError(LINE)), wrapped(ModelError(LINE)), RuntimeError(TRACE)])
def test_a_model_error_on_a_worker_is_one_line(error: Exception, capsys: pytest.CaptureFixture[str]) -> None:
    found = raised_on_worker(error)
    assert (type(found), str(found)) == (ModelError, LINE)

    def body() -> int:
        raise error

    assert run_command(body) == BAD_INPUT
    assert capsys.readouterr().err == f"error: {LINE}\n"


def test_what_was_raised_here_stays_as_it_is() -> None:
    error = RollcallError("here")
    assert raised_on_worker(error) is error


def test_a_fault_of_ours_keeps_its_traceback(capsys: pytest.CaptureFixture[str]) -> None:
    assert raised_on_worker(RuntimeError("ray::f()\nKeyError: 'a'")) is None

    def body() -> int:
        raise KeyError("a")

    assert run_command(body) == INTERNAL
    assert "Traceback" in capsys.readouterr().err
