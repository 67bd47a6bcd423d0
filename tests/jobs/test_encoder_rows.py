"""What an encoder on a GPU is given at once: two of its batches at least, in whole blocks, and work for all."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.run.encoder_rows import rows_at_once
from pipeline.config import AcousticConfig
from pipeline.runs.audio_length import mean_seconds
from pipeline.storage import list_parquet
from tests.support.transcribing import noises, write_corpus

DEFAULT = AcousticConfig().batch_seconds


@given(st.floats(1.0, 28.0), st.integers(1, 64))
def test_two_batches_of_the_default_size_at_least_whatever_the_length(seconds: float, encoders: int) -> None:
    rows = rows_at_once(1_000_000, encoders, 64, DEFAULT / seconds)
    assert rows % 64 == 0
    assert rows * seconds >= 2 * DEFAULT
    assert rows * seconds <= 8 * DEFAULT + 64 * seconds  # and its samples, 32 kB a second, are bounded


@pytest.mark.parametrize(
    ("rows", "encoders", "expected"),
    [
        (1_000_000, 1, 960),  # eight batches of 120 utterances, which are 15 blocks
        (1_600, 1, 448),  # four turns
        (1_600, 2, 256),  # two batches, which is more than a fourth of its half
        (300, 2, 192),  # its half
        (10, 1, 64),
    ],
)
def test_small_corpora_leave_work_for_every_gpu(rows: int, encoders: int, expected: int) -> None:
    assert rows_at_once(rows, encoders, 64, 120.0) == expected


def test_the_mean_length_is_that_of_the_first_and_last_file(tmp_path: Path) -> None:
    write_corpus(tmp_path / "a.parquet", {"a0": b"-", "a1": b"-"}, duration_seconds=[4.0, 2.0])
    assert mean_seconds(list_parquet(str(tmp_path)), ["duration_seconds"]) == 3.0
    for name, length in (("b", 100.0), ("c", 6.0)):
        write_corpus(tmp_path / f"{name}.parquet", {name: b"-"}, duration_seconds=[length])
    assert mean_seconds(list_parquet(str(tmp_path)), ["duration_seconds"]) == 4.0
    (tmp_path / "d").mkdir()
    write_corpus(tmp_path / "d" / "d.parquet", noises(10))
    assert mean_seconds(list_parquet(str(tmp_path / "d")), ["audio"]) == pytest.approx(1.2, rel=0.1)
