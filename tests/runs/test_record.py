import pytest

from pipeline.runs.counts import StageCount
from pipeline.runs.outcome import Outcome, error_kind
from pipeline.runs.record import stage_facts


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (
            "a-1: audio is truncated or corrupt after 3.20 s (9.00 s declared).",
            "audio is truncated or corrupt after N s.",
        ),
        ("a-1: audio is longer than 120 s; cut it.", "audio is longer than N s; cut it."),
        ("a-1: no 'left' channel", "no channel"),
        ("something else", "something else"),
    ],
)
def test_errors_are_counted_by_kind(error: str, kind: str) -> None:
    assert error_kind(error, "a-1") == kind


def test_real_time_factors() -> None:
    count = StageCount(rows=10, audio_seconds=120.0, busy_seconds=8.0, first_start=100.0, last_end=106.0)
    facts = stage_facts({"encode": count}, {"encode": 2})["encode"]
    assert facts["x_real_time"] == 20.0
    assert facts["x_real_time_per_worker"] == 15.0
    assert facts["real_time_factor"] == 0.05
    assert facts["workers"] == 2


def test_sizes_of_real_batches() -> None:
    count = StageCount(rows=10, audio_seconds=90.0, device_batches=4, padded_seconds=120.0, last_end=1.0)
    facts = stage_facts({"encode": count, "decode": StageCount(rows=10, last_end=1.0)}, {})
    assert (facts["encode"]["batch_seconds"], facts["encode"]["batch_padding"]) == (30.0, 0.25)
    assert facts["decode"]["batch_seconds"] is None


@pytest.mark.parametrize(("missing", "unexpected", "repeated"), [(1, 0, 0), (0, 1, 0), (0, 0, 1)])
def test_any_row_too_few_or_too_many_is_not_reconciled(missing: int, unexpected: int, repeated: int) -> None:
    def outcome(*off: int) -> Outcome:
        return Outcome(5, 5, *off, errors={}, audio_seconds=1.0, entities_found=0)

    assert outcome(0, 0, 0).reconciled
    assert not outcome(missing, unexpected, repeated).reconciled
