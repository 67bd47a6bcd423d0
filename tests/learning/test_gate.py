"""What a policy must show before it is published, and the pointer that names it."""

import dataclasses
from pathlib import Path
from typing import Any

import pytest

from pipeline.errors import ConfigError, InputError
from pipeline.learning.gate import PolicyGates, objections
from pipeline.learning.policies import PolicyPointer, file_name, publish
from pipeline.retrieval.policy import Policy
from pipeline.storage import open_filesystem
from tests.support.policies import always

GOOD: dict[str, Any] = {
    "against": None,
    "difference": {"value": 0.01, "low": -0.001, "high": 0.02},
    "gained": 0.01,
    "effective_sample": 250.0,
    "replay": {"difference": {"value": 0.01, "low": 0.0, "high": 0.02}},
}


def test_what_is_no_worse_on_enough_evidence_may_go_out() -> None:
    assert objections(GOOD, None, PolicyGates()) == []


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"difference": {"value": 0.01, "low": -0.0021, "high": 0.02}}, "must be at least -0.0020"),
        ({"difference": {"value": 0.01, "low": float("nan"), "high": 0.02}}, "must be at least -0.0020"),
        ({"effective_sample": 199.0}, "at least 200 are needed"),
        ({"replay": None}, "was not replayed"),
        ({"replay": {"difference": {"value": -0.01, "low": -0.02, "high": 0.005}}}, "expected were"),
        ({"against": "abc"}, "learn again with --against"),
        ({"difference": None}, "does not say what it is worth"),
    ],
)
def test_what_speaks_against_a_policy_is_said(change: dict[str, Any], said: str) -> None:
    (found,) = objections(GOOD | change, None, PolicyGates())
    assert said in found


def test_a_policy_without_an_account_of_itself_stays_where_it_is() -> None:
    assert "does not say" in objections({}, None, PolicyGates())[0]
    with pytest.raises(ConfigError, match="effective"):
        PolicyGates(effective=0)


def kept(policy: Policy, folder: Path, **about: Any) -> Path:
    told = dataclasses.replace(policy, about=GOOD | about)
    path = folder / file_name(told.version)
    path.write_bytes(told.to_json())
    return path


def test_policies_are_published_one_after_the_other_and_taken_back(tmp_path: Path) -> None:
    pointer = PolicyPointer(open_filesystem(str(tmp_path)))
    one = kept(always(1), tmp_path)
    two = kept(always(2), tmp_path, against=always(1).version)
    assert "held against policy" in publish(open_filesystem(str(two)), PolicyGates())[0]
    assert pointer.run is None
    assert publish(open_filesystem(str(one)), PolicyGates()) == []
    assert (pointer.run, pointer.version) == (one.name, always(1).version)
    assert publish(open_filesystem(str(one)), PolicyGates()) == [], "it is published already"
    assert publish(open_filesystem(str(two)), PolicyGates()) == []
    assert pointer.version == always(2).version
    pointer.roll_back()
    assert pointer.run == one.name
    with pytest.raises(InputError, match="nothing to go back to"):
        pointer.roll_back()


def test_what_was_published_before_must_still_be_whole(tmp_path: Path) -> None:
    pointer = PolicyPointer(open_filesystem(str(tmp_path)))
    one = kept(always(1), tmp_path)
    publish(open_filesystem(str(one)), PolicyGates())
    publish(open_filesystem(str(kept(always(2), tmp_path, against=always(1).version))), PolicyGates())
    one.write_bytes(always(3).to_json())
    with pytest.raises(InputError, match="no longer whole"):
        pointer.roll_back()


def test_a_file_that_is_not_called_by_its_version_is_refused(tmp_path: Path) -> None:
    path = kept(always(1), tmp_path).rename(tmp_path / "policy.json")
    with pytest.raises(InputError, match="must be called"):
        publish(open_filesystem(str(path)), PolicyGates())
