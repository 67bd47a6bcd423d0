"""The ingest command: long recordings, bad input, resuming, and the same through Ray Data."""

import itertools
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import soundfile

from jobs.ingest import main
from pipeline.audio.decode import decode_audio
from tests.support.audio_files import encoded, noise
from tests.support.ingested import ingest, refused, rows_of, summary_of
from tests.support.workers import RAY

ROOT = Path(__file__).resolve().parents[2]


def test_bad_files_become_rows_beside_the_good_ones(tmp_path, capsys) -> None:
    samples = noise(1.0)
    with_nan = samples.copy()
    with_nan[3] = np.nan
    files = {
        "good": encoded(samples),
        "truncated": encoded(samples)[:9000],
        "text": b"this is no audio\n" * 99,
        "empty": b"",
        "zero": encoded(samples[:0]),
        "nan": encoded(with_nan, subtype="FLOAT"),
        "silent": encoded(0 * samples),
        "eight": encoded(noise(1.0, 8_000), rate=8_000),
    }
    source = tmp_path / "corpus"
    source.mkdir()
    for name, data in files.items():
        (source / f"{name}.wav").write_bytes(data)
    rows = ingest(source, tmp_path / "out", "--summary", str(tmp_path / "summary.json"))
    assert sorted(rows) == sorted(files)
    assert {name for name, row in rows.items() if row["error"]} == {"truncated", "text", "empty", "zero", "nan"}
    assert all((row["audio"]["bytes"] is None) == bool(row["error"]) for row in rows.values())
    assert all(row["error"].startswith(f"{name}.wav: ") for name, row in rows.items() if row["error"])
    summary = summary_of(tmp_path / "out")
    assert (summary["rows"], summary["errors"], summary["utterances_in"]) == (8, 5, 8)
    assert summary["audio_hours"] == pytest.approx(3 / 3600)
    assert (tmp_path / "summary.json").read_text() == (tmp_path / "out" / "_SUCCESS").read_text()
    said = capsys.readouterr()
    assert said.err.count("row error: ") == 3  # a shard quotes three of its errors; all are in the rows


def test_only_bad_files_fail_the_job(tmp_path) -> None:
    (tmp_path / "a.wav").write_bytes(b"nothing")
    assert main([str(tmp_path / "a.wav"), "--output", str(tmp_path / "out")]) == 1
    assert list(rows_of(tmp_path / "out")) == ["a"]


def test_an_hour_is_cut_into_utterances(tmp_path) -> None:
    """An hour at 8 kHz: noise with pauses, written and cut in blocks."""
    bursts = np.concatenate([noise(7.0, 8_000, 0.05, seed=1), np.zeros(8_000, np.float32)])
    with soundfile.SoundFile(tmp_path / "hour.flac", "w", 8_000, 1) as file:
        for _ in range(450):
            file.write(bursts)
    rows = ingest(tmp_path / "hour.flac", tmp_path / "out")
    pieces = sorted(rows.values(), key=lambda row: row["start_seconds"])
    assert pieces[0]["start_seconds"] == 0.0
    assert pieces[-1]["end_seconds"] == 3600.0
    assert all(one["end_seconds"] == two["start_seconds"] for one, two in itertools.pairwise(pieces))
    assert all(row["duration_seconds"] <= 28.0 and row["error"] is None for row in pieces)
    assert {row["recording_id"] for row in pieces} == {"hour"}
    assert len(pieces) <= 3600 / (0.6 * 27) + 1
    assert pieces[1]["utterance_id"] == f"hour-{round(pieces[1]['start_seconds'] * 1000):08d}-" + (
        f"{round(pieces[1]['end_seconds'] * 1000):08d}"
    )
    decoded = decode_audio(pieces[5]["audio"]["bytes"], "piece")
    assert decoded.duration_seconds == pieces[5]["duration_seconds"]


def test_a_long_recording_that_breaks_off_keeps_what_was_heard(tmp_path) -> None:
    data = encoded(noise(90.0, 8_000), "flac", rate=8_000)
    (tmp_path / "a.flac").write_bytes(data[: len(data) * 3 // 4])
    rows = ingest(tmp_path / "a.flac", tmp_path / "out")
    assert "truncated or corrupt after" in rows["a"]["error"]
    good = [row for row in rows.values() if not row["error"]]
    assert good
    assert {row["recording_id"] for row in good} == {"a"}


def test_the_text_of_what_is_cut_is_left_out_and_said(tmp_path, capsys) -> None:
    (tmp_path / "a.wav").write_bytes(encoded(noise(12.0)))
    (tmp_path / "m.jsonl").write_text('{"audio_filepath": "a.wav", "text": "all of it"}\n')
    rows = ingest(tmp_path / "m.jsonl", tmp_path / "out", "--max-seconds", "8")
    assert len(rows) == 2
    assert all(row["text"] is None for row in rows.values())
    assert "the text of 1 cut recordings was left out" in capsys.readouterr().out
    assert next(iter(ingest(tmp_path / "m.jsonl", tmp_path / "whole"))) == "a"


def test_channels_are_mixed_taken_or_split(tmp_path, capsys) -> None:
    left, right = noise(2.0, seed=1), noise(2.0, seed=2)
    source = tmp_path / "calls"
    source.mkdir()
    (source / "two.wav").write_bytes(encoded(np.stack([left, right], axis=1)))
    (source / "mono.wav").write_bytes(encoded(left))
    (source / "opposite.flac").write_bytes(encoded(np.stack([left, -left], axis=1), "flac"))

    def heard(row) -> np.ndarray:
        return decode_audio(row["audio"]["bytes"], "a").samples

    mixed = ingest(source, tmp_path / "mix")
    assert "in 1 files the mix of the channels is more than 12 dB quieter" in capsys.readouterr().out
    assert summary_of(tmp_path / "mix")["quiet_mixes"] == 1
    assert mixed["two"]["audio"]["bytes"] == (source / "two.wav").read_bytes()
    for name, wanted in (("left", left), ("right", right)):
        rows = ingest(source, tmp_path / name, "--channels", name)
        np.testing.assert_allclose(heard(rows["two"]), wanted, atol=1e-4)
        assert rows["mono"]["audio"]["bytes"] == (source / "mono.wav").read_bytes()
    rows = ingest(source, tmp_path / "split", "--channels", "split")
    assert sorted(rows) == ["mono", "opposite-ch1", "opposite-ch2", "two-ch1", "two-ch2"]
    np.testing.assert_allclose(heard(rows["two-ch1"]), left, atol=1e-4)
    np.testing.assert_allclose(heard(rows["two-ch2"]), right, atol=1e-4)
    assert [(rows[f"two-ch{n}"]["recording_id"], rows[f"two-ch{n}"]["speaker"]) for n in (1, 2)] == [
        ("two", "ch1"),
        ("two", "ch2"),
    ]
    assert "12 dB" not in capsys.readouterr().out


def test_segments_and_long_files_are_split_by_channel_too(tmp_path) -> None:
    left, right = noise(12.0, seed=1), noise(12.0, seed=2)
    (tmp_path / "a.wav").write_bytes(encoded(np.stack([left, right], axis=1)))
    (tmp_path / "m.jsonl").write_text('{"audio_filepath": "a.wav", "offset": 1, "duration": 2, "text": "x"}\n')
    rows = ingest(tmp_path / "m.jsonl", tmp_path / "spans", "--channels", "split")
    assert sorted(rows) == ["a-00001000-00003000-ch1", "a-00001000-00003000-ch2"]
    samples = decode_audio(rows["a-00001000-00003000-ch2"]["audio"]["bytes"], "a").samples
    np.testing.assert_allclose(samples, right[16_000:48_000], atol=1e-4)
    rows = ingest(tmp_path / "a.wav", tmp_path / "long", "--channels", "split", "--max-seconds", "8")
    assert {row["recording_id"] for row in rows.values()} == {"a"}
    ends = {name[:5]: row["end_seconds"] for name, row in sorted(rows.items())}
    assert ends == {"a-ch1": 12.0, "a-ch2": 12.0}


def test_duplicate_ids_are_refused_by_name(tmp_path, capsys) -> None:
    source = tmp_path / "corpus"
    source.mkdir()
    for name in ("one.wav", "one.flac", "two.wav"):
        (source / name).write_bytes(encoded(noise(1.0), name[-4:].strip(".")))
    said = refused(capsys, str(source), "--output", str(tmp_path / "out"))
    assert "1 duplicate utterance ids: 'one' in one.flac and in one.wav" in said
    assert not rows_of(tmp_path / "out")


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--max-seconds", "2"], "--max-seconds must be at least 5"),
        (["--max-seconds", "nan"], "--max-seconds must be at least 5"),
        (["--workers", "0"], "--workers must be at least 1"),
        (["--storage-options", '{"colour": 1}'], "unknown storage options ['colour']"),
        (["--storage-options", "nowhere.json"], "must be a JSON object or the path of one"),
    ],
)
def test_bad_options_are_refused(tmp_path, capsys, more, message) -> None:
    (tmp_path / "a.wav").write_bytes(encoded(noise(1.0)))
    source = "s3://bucket/a" if '{"colour": 1}' in more else str(tmp_path / "a.wav")
    assert message in refused(capsys, source, "--output", str(tmp_path / "out"), *more)


def test_places_that_cannot_be_used_are_refused_before_work(tmp_path, capsys) -> None:
    (tmp_path / "a.wav").write_bytes(encoded(noise(1.0)))
    (tmp_path / "file").write_text("in the way")
    source = str(tmp_path / "a.wav")
    assert "does not exist" in refused(capsys, str(tmp_path / "none"), "--output", str(tmp_path / "out"))
    assert "is a file" in refused(capsys, source, "--output", str(tmp_path / "file"))
    assert "cannot write" in refused(capsys, source, "--output", "/proc/rollcall")
    more = ["--summary", "/proc/rollcall/summary.json"]
    assert "cannot write" in refused(capsys, source, "--output", str(tmp_path / "out"), *more)
    assert "lies in the source" in refused(capsys, str(tmp_path), "--output", str(tmp_path / "out"))
    assert "protocol 'ftp'" in refused(capsys, "ftp://x/y", "--output", str(tmp_path / "out"))


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_an_unwritable_output_is_refused(tmp_path, capsys) -> None:
    (tmp_path / "a.wav").write_bytes(encoded(noise(1.0)))
    (tmp_path / "locked").mkdir(mode=0o500)
    said = refused(capsys, str(tmp_path / "a.wav"), "--output", str(tmp_path / "locked" / "out"))
    assert "permission denied; check its permissions" in said


def test_another_source_is_not_mixed_into_an_output(tmp_path, capsys) -> None:
    for name in ("a.wav", "b.wav"):
        (tmp_path / name).write_bytes(encoded(noise(1.0)))
    ingest(tmp_path / "a.wav", tmp_path / "out")
    before = (tmp_path / "out" / "part-000000.parquet").stat()
    assert list(ingest(tmp_path / "a.wav", tmp_path / "out")) == ["a"]
    assert (tmp_path / "out" / "part-000000.parquet").stat().st_mtime_ns == before.st_mtime_ns  # nothing is redone
    said = refused(capsys, str(tmp_path / "b.wav"), "--output", str(tmp_path / "out"))
    assert "holds an ingest of another source" in said


@pytest.fixture
def many(tmp_path) -> Path:
    """Three shards' worth of very short files, one of them bad."""
    source = tmp_path / "corpus"
    source.mkdir()
    data = encoded(noise(0.05))
    for number in range(600):
        (source / f"{number:03d}.wav").write_bytes(data if number != 300 else b"bad")
    return source


@RAY
def test_ray_data_writes_what_one_process_writes(tmp_path, many) -> None:
    parallel = ingest(many, tmp_path / "parallel", "--workers", "2")
    assert len(parallel) == 600
    assert sum(bool(row["error"]) for row in parallel.values()) == 1
    shards = sorted((tmp_path / "parallel").glob("*.parquet"))
    assert len(shards) == 3
    written = [shard.read_bytes() for shard in shards]
    shards[1].unlink()
    again = ingest(many, tmp_path / "parallel")  # one is missing: done without Ray
    assert again == parallel
    assert [shard.read_bytes() for shard in shards] == written
    assert summary_of(tmp_path / "parallel")["rows"] == 600


def test_a_killed_ingest_leaves_whole_shards_and_resumes(tmp_path) -> None:
    """SIGKILL in the middle: what a reader sees is whole, and the rerun ends with every row once."""
    source = tmp_path / "corpus"
    source.mkdir()
    for number in range(8):
        (source / f"{number:02d}.wav").write_bytes(encoded(noise(40.0, 8_000), rate=8_000))
    script = f"""
import signal, os, sys
import pipeline.ingest.rows as rows
made = rows.piece_row
calls = iter(range(10**9))
def kill(*arguments):
    if next(calls) == 9:
        os.kill(os.getpid(), signal.SIGKILL)
    return made(*arguments)
rows.piece_row = kill
from jobs.ingest import main
main([{str(source)!r}, "--output", {str(tmp_path / "out")!r}])
"""
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, check=False, timeout=120)
    assert done.returncode == -9, done.stderr
    assert not list((tmp_path / "out").glob("*.parquet"))
    assert list((tmp_path / "out" / "_ingest" / "tmp").iterdir())  # the part that was begun is out of sight
    rows = ingest(source, tmp_path / "out")
    assert {row["recording_id"] for row in rows.values()} == {f"{number:02d}" for number in range(8)}
    assert not (tmp_path / "out" / "_ingest" / "tmp").exists()


def test_readers_see_only_the_shards(tmp_path) -> None:
    (tmp_path / "a.wav").write_bytes(encoded(noise(1.0)))
    ingest(tmp_path / "a.wav", tmp_path / "out")
    assert pq.read_table(tmp_path / "out")["utterance_id"].to_pylist() == ["a"]
