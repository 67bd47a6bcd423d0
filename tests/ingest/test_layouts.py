"""Every layout that a corpus may lie in, with small real files."""

import hashlib
import io
import itertools
import json
import re

import av
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import soundfile

from pipeline.audio.decode import decode_audio
from tests.support.audio_files import encoded, encoded_m4a, noise
from tests.support.ingested import ingest, refused

ONE_SECOND = encoded(noise(1.0))


def test_folders_of_every_format_keep_the_bytes(tmp_path) -> None:
    source = tmp_path / "corpus"
    files = {f"{kind}/one.{kind}": encoded(noise(1.0), kind) for kind in ("wav", "flac", "mp3", "ogg", "opus")}
    files["one.m4a"] = encoded_m4a(noise(1.0), tmp_path)
    files["loud/b/UPPER.WAV"] = encoded(np.stack([noise(1.0, 96_000)] * 2, axis=1), rate=96_000)
    for name, data in files.items():
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        (source / name).write_bytes(data)
    (source / "README.txt").write_text("not audio")
    rows = ingest(source, tmp_path / "out")
    assert sorted(rows) == sorted(name.rsplit(".", 1)[0] for name in files)
    for name, data in files.items():
        row = rows[name.rsplit(".", 1)[0]]
        assert row["audio"] == {"bytes": data, "path": name}
        assert row["audio_sha256"] == hashlib.sha256(data).hexdigest()
        assert row["duration_seconds"] == pytest.approx(1.0, abs=0.15)
        assert (row["error"], row["recording_id"], row["start_seconds"]) == (None, None, None)
        assert row["recording_path"] == name


def test_one_audio_file(tmp_path) -> None:
    (tmp_path / "a.wav").write_bytes(ONE_SECOND)
    assert list(ingest(tmp_path / "a.wav", tmp_path / "out")) == ["a"]


def test_nemo_manifest(tmp_path) -> None:
    (tmp_path / "audio").mkdir()
    whole = noise(6.0)
    (tmp_path / "audio" / "long.wav").write_bytes(encoded(whole))
    (tmp_path / "audio" / "short.wav").write_bytes(ONE_SECOND)
    lines = [
        {
            "audio_filepath": "audio/short.wav",
            "duration": 1.0,
            "text": "whole",
            "speaker": "ann",
            "tenant": "acme",
            "session": "call 7",
        },
        {"audio_filepath": "audio/long.wav", "offset": 3.0, "duration": 2.0, "text": "later"},
        {"audio_filepath": str(tmp_path / "audio/long.wav"), "offset": 0.5, "duration": 1.25, "utterance_id": "mine"},
        {"audio_filepath": "audio/gone.wav", "duration": 1.0, "text": "lost"},
        {"audio_filepath": "../../etc/passwd", "text": "stolen"},
    ]
    (tmp_path / "manifest.jsonl").write_text("\n".join(json.dumps(line) for line in lines))
    rows = ingest(tmp_path, tmp_path.parent / f"{tmp_path.name}-out")
    assert rows["audio/short"]["audio"]["bytes"] == ONE_SECOND
    assert (rows["audio/short"]["text"], rows["audio/short"]["speaker"]) == ("whole", "ann")
    assert (rows["audio/short"]["session"], rows["audio/short"]["tenant"]) == ("call 7", "acme")
    cut = rows["audio/long-00003000-00005000"]
    assert (cut["start_seconds"], cut["end_seconds"], cut["text"]) == (3.0, 5.0, "later")
    assert (cut["recording_id"], cut["recording_path"]) == ("audio/long", "audio/long.wav")
    assert rows["audio/gone"]["recording_path"] == "audio/gone.wav"
    assert cut["audio"]["bytes"][:4] == b"fLaC"
    samples = decode_audio(cut["audio"]["bytes"], "cut").samples
    np.testing.assert_allclose(samples, whole[48_000:80_000], atol=1e-4)
    assert rows["mine"]["duration_seconds"] == 1.25
    assert "No such file" in rows["audio/gone"]["error"]
    assert rows["audio/gone"]["text"] == "lost"
    assert "lies outside" in rows["../../etc/passwd"]["error"]


def test_librispeech(tmp_path) -> None:
    chapter = tmp_path / "LibriSpeech" / "84" / "121123"
    chapter.mkdir(parents=True)
    for number in range(2):
        (chapter / f"84-121123-000{number}.flac").write_bytes(encoded(noise(1.0), "flac"))
    (chapter / "84-121123.trans.txt").write_text("84-121123-0000 GO ON\n84-121123-0002 NOT THERE\n")
    rows = ingest(tmp_path / "LibriSpeech", tmp_path / "out")
    assert sorted(rows) == ["84-121123-0000", "84-121123-0001", "84-121123-0002"]
    first = rows["84-121123-0000"]
    assert (first["text"], first["speaker"], first["session"]) == ("GO ON", "84", "84-121123")
    assert rows["84-121123-0001"]["text"] is None
    assert "the audio file is missing" in rows["84-121123-0002"]["error"]


def test_kaldi_without_segments(tmp_path) -> None:
    (tmp_path / "one.wav").write_bytes(ONE_SECOND)
    (tmp_path / "wav.scp").write_text("b cat secret |\nc feats.ark:17\na one.wav\nd ../../../etc/passwd\n")
    (tmp_path / "text").write_text("a hello there\n")
    (tmp_path / "utt2spk").write_text("a ann\nb bob\n")
    rows = ingest(tmp_path, tmp_path.parent / f"{tmp_path.name}-out")
    assert (rows["a"]["text"], rows["a"]["speaker"], rows["a"]["error"]) == ("hello there", "ann", None)
    assert rows["a"]["audio"]["bytes"] == ONE_SECOND
    assert "never run" in rows["b"]["error"]
    assert rows["b"]["speaker"] == "bob"
    assert "Kaldi archive" in rows["c"]["error"]
    assert "lies outside" in rows["d"]["error"]


def test_kaldi_commands_are_not_run(tmp_path) -> None:
    (tmp_path / "one.wav").write_bytes(ONE_SECOND)
    (tmp_path / "wav.scp").write_text(f"a one.wav\nb touch {tmp_path}/ran |\nc touch {tmp_path}/ran |  \n")
    ingest(tmp_path, tmp_path.parent / f"{tmp_path.name}-out")
    assert not (tmp_path / "ran").exists()


def test_kaldi_segments(tmp_path) -> None:
    whole = noise(10.0)
    (tmp_path / "r.flac").write_bytes(encoded(whole, "flac"))
    (tmp_path / "wav.scp").write_text("rec.A r.flac\n")
    segments = ["u1 rec.A 4.0 6.5", "u2 rec.A 0.0 2.0", "u3 rec.A 1.0 5.0", "u4 rec.A 8.0 -1", "u5 rec.A 9.0 10.2"]
    segments += ["u6 rec.A 9.0 12.0", "u7 rec.A 5.0 5.0", "u8 gone 1.0 2.0"]
    (tmp_path / "segments").write_text("\n".join(segments) + "\n")
    (tmp_path / "text").write_text("u1 one\nu6 six\n")
    rows = ingest(tmp_path, tmp_path.parent / f"{tmp_path.name}-out")
    assert sorted(rows) == [f"u{number}" for number in range(1, 9)]
    samples = decode_audio(rows["u1"]["audio"]["bytes"], "u1").samples
    np.testing.assert_allclose(samples, whole[64_000:104_000], atol=1e-4)
    assert (rows["u1"]["text"], rows["u1"]["recording_id"], rows["u1"]["start_seconds"]) == ("one", "rec.A", 4.0)
    assert rows["u1"]["recording_path"] == "r.flac"
    assert [rows[f"u{n}"]["duration_seconds"] for n in (2, 3, 4, 5)] == [2.0, 4.0, 2.0, 1.0]
    assert "beyond the end" in rows["u6"]["error"]
    assert rows["u6"]["text"] == "six"
    assert "must be after its start" in rows["u7"]["error"]
    assert "not in" in rows["u8"]["error"]


def test_common_voice(tmp_path) -> None:
    (tmp_path / "clips").mkdir()
    (tmp_path / "clips" / "cv_1.mp3").write_bytes(encoded(noise(1.0, 48_000), "mp3", rate=48_000))
    lines = ["client_id\tpath\tsentence\tup_votes", 'abc\tcv_1.mp3\t"Go," she said.\t2', "abc\tcv_2.mp3\tGone.\t2"]
    (tmp_path / "validated.tsv").write_text("\n".join(lines) + "\n")
    rows = ingest(tmp_path, tmp_path.parent / f"{tmp_path.name}-out")
    assert (rows["cv_1"]["text"], rows["cv_1"]["speaker"]) == ('"Go," she said.', "abc")
    assert rows["cv_1"]["error"] is None
    assert "No such file" in rows["cv_2"]["error"]


def _write_parquet(path, **columns) -> None:
    pq.write_table(pa.table(columns), path)


def test_hugging_face_parquet(tmp_path) -> None:
    bad = ONE_SECOND[:500]
    audio = [{"bytes": ONE_SECOND, "path": "x.wav"}, {"bytes": bad, "path": None}, {"bytes": None, "path": "y"}, None]
    entities = [["Ann", "Bob"], None, [], None]
    _write_parquet(
        tmp_path / "a.parquet", id=[7, 8, 9, 10], audio=audio, sentence=["s", "t", None, "u"], entities=entities
    )
    rows = ingest(tmp_path / "a.parquet", tmp_path / "out")
    assert sorted(rows) == ["10", "7", "8", "9"]
    assert (rows["7"]["text"], rows["7"]["entities"]) == ("s", ["Ann", "Bob"])
    assert rows["7"]["audio"] == {"bytes": ONE_SECOND, "path": "x.wav"}
    assert rows["8"]["error"].startswith("8: wav is truncated")
    assert "no bytes" in rows["9"]["error"]
    assert "no bytes" in rows["10"]["error"]


def test_audio_as_samples_or_as_paths(tmp_path) -> None:
    samples = noise(1.0, 8_000)
    (tmp_path / "clips").mkdir()
    (tmp_path / "clips" / "x.wav").write_bytes(ONE_SECOND)
    named = [{"array": samples.tolist(), "sampling_rate": 8_000, "path": "a"}]
    whole = [(samples * 32767).astype(int).tolist()]
    _write_parquet(tmp_path / "array.parquet", id=["a"], audio=named)
    _write_parquet(tmp_path / "plain.parquet", id=["b"], audio=whole, sampling_rate=[8_000])
    _write_parquet(tmp_path / "paths.parquet", id=["c", "d"], audio=["clips/x.wav", "clips/gone.wav"])
    _write_parquet(
        tmp_path / "outside.parquet", id=["e", "f"], audio=[{"path": "/etc/passwd"}, {"path": "clips/x.wav"}]
    )
    rows = ingest(tmp_path, tmp_path.parent / f"{tmp_path.name}-out")
    assert {name: row["duration_seconds"] for name, row in rows.items()} == {
        **dict.fromkeys("abcf", pytest.approx(1.0)),
        **dict.fromkeys("de", None),
    }
    stored, rate = soundfile.read(io.BytesIO(rows["a"]["audio"]["bytes"]), dtype="float32")
    assert rate == 8_000
    assert (stored == samples).all()
    assert rows["c"]["audio"]["bytes"] == ONE_SECOND
    assert "'clips/gone.wav' below" in rows["d"]["error"]
    assert "lies outside" in rows["e"]["error"]


def test_text_in_any_encoding_of_arrow(tmp_path) -> None:
    texts = pa.array(["x", "y"])
    _write_parquet(
        tmp_path / "a.pq",
        id=pa.array(["a", "b"]).dictionary_encode(),
        audio=[{"bytes": ONE_SECOND, "path": None}] * 2,
        text=texts.cast(pa.string_view()),
        speaker=texts.dictionary_encode(),
    )
    rows = ingest(tmp_path / "a.pq", tmp_path / "out")
    assert {name: (row["text"], row["speaker"]) for name, row in rows.items()} == {"a": ("x", "x"), "b": ("y", "y")}


def test_a_column_that_is_there_twice_is_named(tmp_path, capsys) -> None:
    audio = pa.array([{"bytes": ONE_SECOND, "path": None}])
    pq.write_table(
        pa.Table.from_arrays([audio, pa.array(["a"]), pa.array(["b"])], ["audio", "text", "text"]),
        tmp_path / "a.parquet",
    )
    said = refused(capsys, str(tmp_path / "a.parquet"), "--output", str(tmp_path / "out"))
    assert "a.parquet: columns ['text'] are there more than once" in said


def test_another_column_can_hold_the_ids(tmp_path, capsys) -> None:
    audio = [{"bytes": ONE_SECOND, "path": None}] * 2
    _write_parquet(tmp_path / "a.parquet", id=[7, 7], file=["x.wav", "y.wav"], audio=audio)
    assert "--id-column" in refused(capsys, str(tmp_path / "a.parquet"), "--output", str(tmp_path / "none"))
    assert set(ingest(tmp_path / "a.parquet", tmp_path / "out", "--id-column", "file")) == {"x.wav", "y.wav"}
    (tmp_path / "a.wav").write_bytes(ONE_SECOND)
    nemo(tmp_path / "m.jsonl", {"audio_filepath": "a.wav", "key": 12}, {"audio_filepath": "a.wav", "key": 13})
    assert set(ingest(tmp_path / "m.jsonl", tmp_path / "nemo", "--id-column", "key")) == {"12", "13"}
    said = refused(capsys, str(tmp_path / "a.parquet"), "--output", str(tmp_path / "none"), "--id-column", "gone")
    assert "--id-column 'gone' is no column" in said
    said = refused(capsys, str(tmp_path / "a.wav"), "--output", str(tmp_path / "none"), "--id-column", "x")
    assert "--id-column is for parquet, nemo, common-voice" in said


def test_folders_with_keys_and_values_are_plain_folders(tmp_path) -> None:
    for number, folder in enumerate(("lang=en", "lang=en/speaker=x", "utterance_id=5")):
        (tmp_path / "set" / folder).mkdir(parents=True)
        audio = [{"bytes": ONE_SECOND, "path": None}]
        _write_parquet(tmp_path / "set" / folder / "p.parquet", utterance_id=[f"u{number}"], audio=audio)
    assert set(ingest(tmp_path / "set", tmp_path / "out")) == {"u0", "u1", "u2"}


def test_what_ingest_wrote_can_be_ingested_again_and_cut_further(tmp_path) -> None:
    (tmp_path / "talk.wav").write_bytes(encoded(noise(30.0)))
    once = ingest(tmp_path / "talk.wav", tmp_path / "once", "--max-seconds", "16")
    again = ingest(tmp_path / "once", tmp_path / "again", "--max-seconds", "16")
    origin = ("recording_id", "recording_path", "start_seconds", "end_seconds")
    assert {name: [row[one] for one in origin] for name, row in again.items()} == {
        name: [row[one] for one in origin] for name, row in once.items()
    }
    rows = sorted(ingest(tmp_path / "once", tmp_path / "cut", "--max-seconds", "8").values(), key=place_of)
    assert {(row["recording_id"], row["recording_path"]) for row in rows} == {("talk", "talk.wav")}
    assert rows[0]["start_seconds"] == 0.0
    assert rows[-1]["end_seconds"] == 30.0
    assert all(one["end_seconds"] == two["start_seconds"] for one, two in itertools.pairwise(rows))
    assert all(row["end_seconds"] - row["start_seconds"] == pytest.approx(row["duration_seconds"]) for row in rows)


def place_of(row) -> float:
    return row["start_seconds"]


def test_parquet_without_ids_gets_them_from_file_and_row(tmp_path) -> None:
    (tmp_path / "data").mkdir()
    audio = [{"bytes": ONE_SECOND, "path": None}] * 3
    pq.write_table(pa.table({"audio": audio}), tmp_path / "data" / "train-0.parquet", row_group_size=2)
    rows = ingest(tmp_path, tmp_path.parent / f"{tmp_path.name}-out")
    assert sorted(rows) == [f"data/train-0-{group:04d}-{row:07d}" for group, row in ((0, 0), (0, 1), (1, 0))]


def test_damaged_parquet_keeps_its_rows(tmp_path) -> None:
    audio = [{"bytes": encoded(noise(1.0, seed=number)), "path": None} for number in range(100)]
    table = pa.table({"id": [f"u{number:02d}" for number in range(100)], "audio": audio})
    pq.write_table(table, tmp_path / "a.parquet", compression="zstd", data_page_size=100_000, use_dictionary=False)
    data = bytearray((tmp_path / "a.parquet").read_bytes())
    data[len(data) // 2 : len(data) // 2 + 5000] = bytes(5000)
    (tmp_path / "a.parquet").write_bytes(data)
    rows = ingest(tmp_path / "a.parquet", tmp_path / "out")
    assert sorted(rows) == sorted(table["id"].to_pylist())
    assert rows["u00"]["error"] is None
    assert "is damaged from row" in rows["u99"]["error"]


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"text": ["a"]}, r"column 'audio' is missing; it has \['text'\]"),
        ({"audio": [7]}, r"column 'audio' is int64, needed is struct<bytes"),
        ({"audio": [{"array": [0.5]}]}, "needed is struct<bytes"),
        ({"audio": [{"bytes": b"x"}], "text": [3]}, "column 'text' is int64, needed is string"),
        ({"audio": [{"bytes": b"x"}], "id": [0.5]}, "column 'id' is double"),
        ({"audio": [{"bytes": b"x"}], "entities": ["Ann"]}, r"column 'entities' is string, needed is list<string>"),
        ({"audio": [{"bytes": b"x"}] * 2, "id": ["a", None]}, "has an empty id"),
    ],
)
def test_columns_that_do_not_fit_are_refused_before_work(tmp_path, capsys, columns, message) -> None:
    _write_parquet(tmp_path / "a.parquet", **columns)
    said = refused(capsys, str(tmp_path / "a.parquet"), "--output", str(tmp_path / "out"))
    assert re.search(message, said), said
    assert not list((tmp_path / "out").glob("*.parquet"))


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("manifest.jsonl", '{"audio_filepath": "a.wav"}\nnot json\n', "line 2: not JSON"),
        ("manifest.jsonl", '{"text": "a"}\n', "line 1: 'audio_filepath' is missing"),
        ("manifest.jsonl", '{"audio_filepath": "a.wav", "text": 3}\n', "line 1: 'text' must be a string, got 3"),
        ("manifest.jsonl", '{"audio_filepath": "a.wav", "offset": "x"}\n', "line 1: 'offset' must be seconds"),
        ("manifest.jsonl", '{"audio_filepath": "a.wav", "offset": -1}\n', "'offset' must be zero or more"),
        ("validated.tsv", "path\tsentence\na.mp3\tx\n", "columns ['client_id'] are missing"),
        ("validated.tsv", "client_id\tpath\tsentence\na\tb\n", "line 2: 2 columns, the header has 3"),
        ("wav.scp", "a one.wav\na two.wav\n", "an id is there twice ('a', line 2)"),
        ("a.parquet", "not parquet", "not a parquet file"),
        ("a.docx", "x", "the layout of a '.docx' file is not known; looked for audio files"),
    ],
)
def test_malformed_manifests_are_refused_by_line(tmp_path, capsys, name, content, message) -> None:
    (tmp_path / name).write_text(content)
    said = refused(capsys, str(tmp_path / name), "--output", str(tmp_path / "out"))
    assert message in said


def test_malformed_segments_are_refused_by_line(tmp_path, capsys) -> None:
    (tmp_path / "wav.scp").write_text("rec r.wav\n")
    (tmp_path / "segments").write_text("u1 rec 0.0\n")
    assert "line 1: needed is 'utterance recording start end'" in refused(
        capsys, str(tmp_path), "--output", str(tmp_path.parent / f"{tmp_path.name}-out")
    )


def test_a_manifest_that_is_not_utf8_is_refused(tmp_path, capsys) -> None:
    (tmp_path / "wav.scp").write_bytes(b"a caf\xe9.wav\n")
    assert "not UTF-8" in refused(capsys, str(tmp_path), "--output", str(tmp_path.parent / f"{tmp_path.name}-out"))


def test_an_empty_folder_says_what_was_looked_for(tmp_path, capsys) -> None:
    (tmp_path / "corpus" / "deep").mkdir(parents=True)
    said = refused(capsys, str(tmp_path / "corpus"), "--output", str(tmp_path / "out"))
    for layout in ("audio files", "LibriSpeech", "Kaldi", "NeMo", "Common Voice", "Hugging Face"):
        assert layout in said


def test_the_format_can_be_forced(tmp_path, capsys) -> None:
    source = tmp_path / "corpus"
    source.mkdir()
    (source / "a.wav").write_bytes(ONE_SECOND)
    (source / "wav.scp").write_text("rec a.wav\n")
    assert list(ingest(source, tmp_path / "auto")) == ["rec"]
    assert list(ingest(source, tmp_path / "forced", "--format", "folder")) == ["a"]
    said = refused(capsys, str(source), "--output", str(tmp_path / "none"), "--format", "common-voice")
    assert "looked for the format 'common-voice'" in said


def test_files_are_audio_by_content_and_the_rest_is_counted_and_named(tmp_path, capsys) -> None:
    source, elsewhere = tmp_path / "corpus", tmp_path / "elsewhere"
    source.mkdir()
    elsewhere.mkdir()
    (elsewhere / "far.flac").write_bytes(encoded(noise(1.0), "flac"))
    (source / "linked").symlink_to(elsewhere)
    (source / "one.sph").write_bytes(written(noise(1.0), "NIST"))
    (source / "two.au").write_bytes(written(noise(1.0), "AU"))
    (source / "three.caf").write_bytes(written(noise(1.0), "CAF"))
    (source / "four.w64").write_bytes(written(noise(1.0), "W64"))
    (source / "five.aif").write_bytes(written(noise(1.0), "AIFF"))
    for kind in ("matroska", "mov", "avi", "mpegts", "3gp"):
        (source / f"{kind}.{kind}").write_bytes(contained(noise(1.0), kind, tmp_path))
    for kind in ("wav", "flac", "mp3", "ogg", "opus"):
        (source / f"call.{kind}.0017").write_bytes(encoded(noise(1.0), kind))
    (source / "page.ts").write_text("export const x = 1;\n" * 50)
    (source / "notes.txt").write_text("hello")
    rows = ingest(source, tmp_path / "out", "--summary", str(tmp_path / "summary.json"))
    assert [row["error"] for row in rows.values()] == [None] * 16
    assert {"one", "two", "three", "four", "five", "linked/far", "call.wav.0017"} <= set(rows)
    assert all(row["duration_seconds"] == pytest.approx(1.0, abs=0.15) for row in rows.values())
    summary = json.loads((tmp_path / "summary.json").read_text())
    assert summary["not_audio"] == 2
    assert "2 files are not audio and were left out: notes.txt, page.ts" in capsys.readouterr().out


def test_less_usual_files_of_one_name_keep_their_ending(tmp_path) -> None:
    source = tmp_path / "corpus"
    source.mkdir()
    (source / "clip.wav").write_bytes(ONE_SECOND)
    (source / "clip.mkv").write_bytes(contained(noise(1.0), "matroska", tmp_path))
    (source / "clip.mov").write_bytes(contained(noise(1.0), "mov", tmp_path))
    assert set(ingest(source, tmp_path / "out")) == {"clip", "clip.mkv", "clip.mov"}


def written(samples, kind: str) -> bytes:
    buffer = io.BytesIO()
    soundfile.write(buffer, samples, 16_000, format=kind, subtype="PCM_16")
    return buffer.getvalue()


def contained(samples, kind: str, folder) -> bytes:
    path = folder / "made"
    with av.open(str(path), "w", format=kind) as container:
        track = container.add_stream("mp2" if kind == "mpegts" else "aac", rate=16_000)
        track.layout = "mono"
        shape = (samples * 32767).astype(np.int16) if kind == "mpegts" else samples
        frame = av.AudioFrame.from_ndarray(shape[None], format="s16" if kind == "mpegts" else "fltp", layout="mono")
        frame.sample_rate = 16_000
        for packet in [*track.encode(frame), *track.encode(None)]:
            container.mux(packet)
    return path.read_bytes()


def nemo(path, *lines) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(json.dumps(line) for line in lines))


def test_every_manifest_of_a_folder_is_ingested(tmp_path, capsys) -> None:
    source = tmp_path / "corpus"
    nemo(source / "train_manifest.json", {"audio_filepath": "wav/a.wav", "text": "one"})
    nemo(source / "dev_manifest.json", {"audio_filepath": "wav/b.wav", "text": "two"})
    (source / "wav").mkdir()
    for name in "abc":
        (source / "wav" / f"{name}.wav").write_bytes(ONE_SECOND)
    rows = ingest(source, tmp_path / "out")
    assert {name: row["text"] for name, row in rows.items()} == {"wav/a": "one", "wav/b": "two"}
    assert "1 audio files are named by no manifest and were left out" in capsys.readouterr().out


def test_splits_tell_the_same_ids_apart(tmp_path, capsys) -> None:
    source = tmp_path / "corpus"
    for split in ("train", "test"):
        nemo(source / split / "manifest.json", {"audio_filepath": "a.wav", "text": split})
        (source / split / "a.wav").write_bytes(ONE_SECOND)
    rows = ingest(source, tmp_path / "out")
    assert {name: row["text"] for name, row in rows.items()} == {"train/a": "train", "test/a": "test"}
    assert rows["test/a"]["recording_path"] == "a.wav"
    assert "so they begin with the split: test, train" in capsys.readouterr().out


def test_kaldi_and_common_voice_splits_are_all_read(tmp_path) -> None:
    for split in ("train", "test"):
        (tmp_path / "k" / split).mkdir(parents=True)
        (tmp_path / "k" / split / "a.wav").write_bytes(ONE_SECOND)
        (tmp_path / "k" / split / "wav.scp").write_text(f"{split}-1 a.wav\n")
        (tmp_path / "k" / split / "text").write_text(f"{split}-1 {split}\n{split}-2 lost\n")
        (tmp_path / "cv" / split / "clips").mkdir(parents=True)
        (tmp_path / "cv" / split / "clips" / f"{split}.mp3").write_bytes(encoded(noise(1.0), "mp3"))
        (tmp_path / "cv" / split / "validated.tsv").write_text(f"client_id\tpath\tsentence\nx\t{split}.mp3\t{split}\n")
    rows = ingest(tmp_path / "k", tmp_path / "k-out")
    assert {name: row["text"] for name, row in rows.items() if not row["error"]} == {
        "train-1": "train",
        "test-1": "test",
    }
    assert "is in" in rows["train-2"]["error"]
    assert "but not in wav.scp" in rows["train-2"]["error"]
    assert rows["train-2"]["text"] == "lost"
    assert set(ingest(tmp_path / "cv", tmp_path / "cv-out")) == {"train", "test"}


def test_several_layouts_are_refused_by_name(tmp_path, capsys) -> None:
    source = tmp_path / "corpus"
    nemo(source / "n" / "manifest.json", {"audio_filepath": "a.wav", "text": "x"})
    (source / "k").mkdir()
    (source / "k" / "wav.scp").write_text("a a.wav\n")
    said = refused(capsys, str(source), "--output", str(tmp_path / "out"))
    assert "holds several layouts: kaldi in k; nemo in n/manifest.json. Choose one with --format" in said


def test_a_duration_without_offset_is_what_the_row_is(tmp_path) -> None:
    whole = noise(8.0)
    (tmp_path / "a.wav").write_bytes(encoded(whole))
    (tmp_path / "b.wav").write_bytes(ONE_SECOND)
    lines = [
        {"audio_filepath": "a.wav", "duration": 3.0, "text": "first"},
        {"audio_filepath": "a.wav", "offset": 3.0, "duration": 5.0, "text": "second"},
        {"audio_filepath": "a.wav", "duration": 8.4, "utterance_id": "whole"},
        {"audio_filepath": "b.wav", "duration": 1.6, "text": "longer than it is"},
    ]
    nemo(tmp_path / "m.json", *lines)
    rows = ingest(tmp_path / "m.json", tmp_path / "out")
    assert {name: row["duration_seconds"] for name, row in rows.items()} == {
        "a": 3.0,
        "a-00003000-00008000": 5.0,
        "whole": 8.0,
        "b": None,
    }
    np.testing.assert_allclose(decode_audio(rows["a"]["audio"]["bytes"], "a").samples, whole[:48_000], atol=1e-4)
    assert (rows["a"]["recording_id"], rows["a"]["start_seconds"], rows["a"]["end_seconds"]) == ("a", 0.0, 3.0)
    assert rows["whole"]["audio"]["bytes"] == (tmp_path / "a.wav").read_bytes()
    assert "its manifest says that it is 1.6 s long; 1.000 s are there" in rows["b"]["error"]


def test_paths_in_manifests_do_not_leave_through_links(tmp_path) -> None:
    source, secret = tmp_path / "corpus", tmp_path / "secret"
    secret.mkdir()
    (secret / "a.wav").write_bytes(ONE_SECOND)
    nemo(source / "m.json", {"audio_filepath": "out/a.wav"}, {"audio_filepath": "in/b.wav"})
    (source / "audio").mkdir()
    (source / "audio" / "b.wav").write_bytes(ONE_SECOND)
    (source / "out").symlink_to(secret)
    (source / "in").symlink_to("audio")
    rows = ingest(source / "m.json", tmp_path / "out")
    assert "leads through a link to" in rows["out/a"]["error"]
    assert rows["in/b"]["error"] is None


def test_a_common_voice_row_without_a_clip_is_an_error_row_with_an_id(tmp_path) -> None:
    (tmp_path / "clips").mkdir()
    (tmp_path / "clips" / "a.mp3").write_bytes(encoded(noise(1.0), "mp3"))
    (tmp_path / "validated.tsv").write_text("client_id\tpath\tsentence\nx\t\tlost\nx\ta.mp3\tthere\n")
    rows = ingest(tmp_path / "validated.tsv", tmp_path / "out")
    assert "line 2: column 'path' is empty" in rows["validated-line-0000002"]["error"]
    assert rows["validated-line-0000002"]["text"] == "lost"
    assert rows["a"]["error"] is None
