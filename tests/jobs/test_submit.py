"""jobs.submit before anything is sent; what it does on a cluster needs one (test_submit_head)."""

import pytest

from jobs import submit
from jobs.run import submission
from jobs.run.submission import Submission
from tests.support.ports import free_port


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--", "nonsense"], "comes a job"),
        ([], "comes a job"),
        (["--", "submit", "--", "verify", "x"], "comes a job"),
        (["--env", "NAME", "--", "verify", "x"], "NAME=VALUE"),
        (["--attempts", "0", "--", "verify", "x"], "--attempts"),
        (["--working-dir", "/tmp", "--", "verify", "x"], "is not this repository"),
    ],
)
def test_bad_arguments_end_before_anything_is_sent(
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert submit.main(arguments) == 2
    assert said in capsys.readouterr().err


def test_a_cluster_that_is_not_there(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(submission, "_PAUSE", 0.01)
    assert submit.main(["--address", f"http://127.0.0.1:{free_port()}", "--", "verify", "x"]) == 1
    assert "Check the address" in capsys.readouterr().err


def test_the_name_is_that_of_the_command_and_nothing_secret_is_in_it() -> None:
    def read(*arguments: str) -> Submission:
        return submit.read_submission(submit.build_parser().parse_args([*arguments, "--", "lint-list", "a b.txt"]))

    plain, other = read(), read("--env", "KEY=secret", "--attempts", "9")
    assert plain.entrypoint == "python -m jobs.lint_list 'a b.txt'"
    assert plain.name == other.name
    assert other.runtime_env()["env_vars"]["KEY"] == "secret"
    assert {".git", ".venv"} <= set(plain.runtime_env()["excludes"])
