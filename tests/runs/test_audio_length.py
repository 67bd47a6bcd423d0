"""How much audio there is, from what ingest wrote or from a few rows, without decoding it all."""

from pathlib import Path

import pytest

from pipeline.runs.audio_length import audio_length
from pipeline.storage import Location, list_parquet
from tests.support.audio_files import encoded, noise
from tests.support.transcribing import noises, write_corpus


def files(path: Path) -> list[Location]:
    return list_parquet(str(path))


def test_the_column_is_summed_and_no_further_than_needed(tmp_path: Path) -> None:
    for name, seconds in (("a", [5.0, 2.5]), ("b", [100.0, None])):
        write_corpus(tmp_path / f"{name}.parquet", {f"{name}{at}": b"-" for at in (0, 1)}, duration_seconds=seconds)
    found = audio_length(files(tmp_path / "a.parquet"), ["audio", "duration_seconds"], 600.0)
    assert (found.seconds, found.at_least, found.how) == (7.5, False, None)
    assert audio_length(files(tmp_path), ["duration_seconds"], 7.0).at_least


def test_rows_that_do_not_say_are_taken_to_be_like_the_others(tmp_path: Path) -> None:
    write_corpus(tmp_path / "a.parquet", dict.fromkeys("abcd", b"-"), duration_seconds=[4.0, 2.0, None, None])
    found = audio_length(files(tmp_path), ["duration_seconds"], 600.0)
    assert found.seconds == 12.0
    assert found.how == "2 of 4 rows say how long they are"


def test_without_the_column_bytes_are_held_against_a_few_rows(tmp_path: Path) -> None:
    write_corpus(tmp_path / "a.parquet", noises(20))
    found = audio_length(files(tmp_path), ["audio"], 600.0)
    assert found.seconds == pytest.approx(24.0, rel=0.1)
    assert "decoded rows: no column duration_seconds" in str(found.how)


def test_what_cannot_be_decoded_is_taken_to_be_long_rather_than_short(tmp_path: Path) -> None:
    broken = encoded(noise(60.0), "flac")[:100] + b"x" * 400_000
    write_corpus(tmp_path / "a.parquet", {"a": broken})
    found = audio_length(files(tmp_path), ["audio"], 600.0)
    assert 99.0 < found.seconds < 110.0
    assert "could be decoded" in str(found.how)
