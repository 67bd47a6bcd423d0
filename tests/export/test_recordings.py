"""Recordings that ingest cut come out whole: one file each, with the recording's times, and without the audio."""

import itertools
import json
import unicodedata
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import webvtt
from hypothesis import given, settings
from hypothesis import strategies as st
from praatio import textgrid as praat

from jobs.export import main
from pipeline.export import subtitles
from pipeline.export.files import Names, file_name, partition_folder
from pipeline.export.speech import Track, utterances
from pipeline.schemas import TRANSCRIPTS
from pipeline.storage.disk_table import temporary_database
from tests.support.audio_files import encoded, noise
from tests.support.exported_runs import entity, row, words
from tests.support.ingested import ingest

BOARD = "Board meeting – 2026"


def piece(recording: str, start: float, spoken: list[dict[str, Any]], seconds: float, **more: Any) -> dict[str, Any]:
    """A row that ingest cut from a recording."""
    name = f"{recording}-{round(start * 1000):08d}-{round((start + seconds) * 1000):08d}"
    place = {"recording_id": recording, "start_seconds": start, "end_seconds": start + seconds}
    return row(name, spoken, seconds, **({"recording_path": f"{recording}.wav"} | place | more))


def board() -> list[dict[str, Any]]:
    """Two pieces, the later one first."""
    found = [entity("Łódź", 1, 2, 0.5, 1.0)]
    return [
        piece(
            BOARD, 20.96, words(("to", 0.0, 0.5), ("lodz", 0.5, 1.0)), 1.5, entities=found, speaker="ann", tenant="acme"
        ),
        piece(BOARD, 0.0, words(("good", 0.25, 0.5), ("morning", 0.5, 1.0)), 20.96, session="call", tenant="acme"),
    ]


def export(folder: Path, rows: list[dict[str, Any]], form: str, *more: str) -> dict[str, str]:
    """Export rows without their audio; returns the text of each file by name."""
    pq.write_table(pa.Table.from_pylist(rows, schema=TRANSCRIPTS), folder / "rows.parquet")
    output = folder / "out"
    command = ["--run", str(folder / "rows.parquet"), "--format", form, "--output", str(output)]
    assert main([*command, *more]) == 0
    return {path.name: path.read_text() for path in output.iterdir() if not path.name.startswith("_")}


def test_subtitles_of_a_cut_recording_are_one_file_in_its_time(tmp_path: Path) -> None:
    assert export(tmp_path, board(), "srt") == {
        f"{BOARD}.srt": "1\n00:00:00,250 --> 00:00:01,250\ngood morning\n\n"
        "2\n00:00:20,960 --> 00:00:21,960\nto Łódź\n\n"
    }


def test_each_utterance_on_its_own_begins_at_zero(tmp_path: Path) -> None:
    found = export(tmp_path, board(), "srt", "--per", "utterance")
    assert found == {
        f"{BOARD}-00000000-00020960.srt": "1\n00:00:00,250 --> 00:00:01,250\ngood morning\n\n",
        f"{BOARD}-00020960-00022460.srt": "1\n00:00:00,000 --> 00:00:01,000\nto Łódź\n\n",
    }


@pytest.mark.parametrize(
    ("form", "wanted"),
    [
        ("ctm", "Board%20meeting%20–%202026 1 20.960 0.500 to 0.7500"),
        ("stm", "Board%20meeting%20–%202026 1 ann 20.960 22.460 to lodz"),
        ("vtt", "00:00:20.960 --> 00:00:21.960"),
        ("textgrid", "            xmin = 20.960000"),
    ],
)
def test_every_timed_format_does_so(tmp_path: Path, form: str, wanted: str) -> None:
    ((name, text),) = export(tmp_path, board(), form).items()
    assert name.rpartition(".")[0] == BOARD
    assert wanted in text.splitlines()


def meeting(first: str | None, second: str | None) -> list[dict[str, Any]]:
    """Two people at once; the second goes on after the first."""
    return [
        piece("m", 0.0, words(("after", 1.0, 1.5), ("early", 2.0, 2.5)), 3.0, speaker=first),
        piece("m", 1.0, words(("good", 0.25, 0.5), ("night", 1.0, 1.5), ("<b>", 2.0, 2.5)), 4.0, speaker=second),
        piece("m", 10.0, words(("so", 0.0, 0.5)), 1.0, speaker=first),
    ]


def test_people_who_talk_at_once_have_cues_of_their_own(tmp_path: Path) -> None:
    assert export(tmp_path, meeting("Ann", "Bob <1>"), "srt") == {
        "m.srt": "1\n00:00:01,000 --> 00:00:02,500\nAnn: after early\n\n"
        "2\n00:00:01,250 --> 00:00:03,500\nBob ‹1›: good night ‹b›\n\n"
        "3\n00:00:10,000 --> 00:00:11,000\nAnn: so\n\n"
    }


def test_webvtt_names_voices_by_its_own_tag(tmp_path: Path) -> None:
    text = export(tmp_path, meeting("Ann", "Bob <1>"), "vtt")["m.vtt"]
    assert "<v Ann>after early\n" in text
    assert "<v Bob &lt;1&gt;>good night &lt;b&gt;\n" in text
    captions = webvtt.from_string(text)
    assert [(one.voice, one.start) for one in captions][::2] == [("Ann", "00:00:01.000"), ("Ann", "00:00:10.000")]


def test_unknown_speakers_are_not_mixed_either(tmp_path: Path) -> None:
    text = export(tmp_path, meeting(None, None), "srt")["m.srt"]
    assert [line for line in text.splitlines() if line[:1].isalpha()] == ["after early", "good night ‹b›", "so"]


@pytest.mark.parametrize(
    ("speakers", "tiers"),
    [
        (("Ann", "Bob"), ["Ann - utterances", "Ann - words", "Ann - entities", "Bob - utterances", "Bob - words",
                          "Bob - entities"]),
        (("Ann", "Ann"), ["utterances", "words", "entities", "utterances 2", "words 2", "entities 2"]),
    ],
)  # fmt: skip
def test_a_grid_has_tiers_per_speaker_with_their_times(
    tmp_path: Path, speakers: tuple[str, str], tiers: list[str]
) -> None:
    (tmp_path / "m.TextGrid").write_text(export(tmp_path, meeting(*speakers), "textgrid")["m.TextGrid"])
    grid = praat.openTextgrid(str(tmp_path / "m.TextGrid"), includeEmptyIntervals=False)
    assert list(grid.tierNames) == tiers
    assert [(one.start, one.label) for one in grid.getTier(tiers[4]).entries] == [
        (1.25, "good"),
        (2.0, "night"),
        (3.0, "<b>"),
    ]
    assert [(one.start, one.end) for one in grid.getTier(tiers[0]).entries] == [(0.0, 3.0), (10.0, 11.0)]


def test_a_manifest_points_into_the_recording(tmp_path: Path) -> None:
    found = export(tmp_path, board(), "nemo-manifest")
    assert list(found) == [f"{BOARD}.jsonl"]
    first, second = map(json.loads, found[f"{BOARD}.jsonl"].splitlines())
    assert first == {
        "audio_filepath": f"{BOARD}.wav", "offset": 0.0, "duration": 20.96, "text": "good morning",
        "utterance_id": f"{BOARD}-00000000-00020960", "session": "call", "tenant": "acme",
    }  # fmt: skip
    assert (second["audio_filepath"], second["offset"], second["duration"]) == (f"{BOARD}.wav", 20.96, 1.5)


def test_a_manifest_that_was_ingested_and_exported_can_be_ingested_again(tmp_path: Path) -> None:
    (tmp_path / "calls").mkdir()
    (tmp_path / "calls" / "talk.wav").write_bytes(encoded(noise(6.0)))
    line = {"audio_filepath": "calls/talk.wav", "speaker": "ann", "session": "7", "tenant": "acme"}
    lines = [line | {"offset": 0.5, "duration": 2.0}, line | {"offset": 3.0, "duration": 1.25}]
    (tmp_path / "first.jsonl").write_text("\n".join(map(json.dumps, lines)))
    once = ingest(tmp_path / "first.jsonl", tmp_path / "once")
    rows = [{name: one[name] for name in one if name in TRANSCRIPTS.names} for one in once.values()]
    spoken = [one | {"text": "hello", "words": [], "entities": []} for one in rows]
    (text,) = export(tmp_path, spoken, "nemo-manifest").values()
    (tmp_path / "second.jsonl").write_text(text)
    again = ingest(tmp_path / "second.jsonl", tmp_path / "again")
    dropped = ("text", "audio")
    assert [{key: one[key] for key in one if key not in dropped} for one in again.values()] == [
        {key: one[key] for key in one if key not in dropped} for one in once.values()
    ]
    assert {one["text"] for one in again.values()} == {"hello"}


def test_whole_files_of_odd_names_come_back_from_their_manifest_too(tmp_path: Path) -> None:
    names = ["a;b %20.wav", "Folge 1/Über uns & Co..wav", "名前.wav"]
    for name in names:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(encoded(noise(2.0)))
    lines = [{"audio_filepath": name, "speaker": 'O"Neil'} for name in names]
    (tmp_path / "first.jsonl").write_text("\n".join(map(json.dumps, lines)))
    once = ingest(tmp_path / "first.jsonl", tmp_path / "once")
    rows = [{name: one[name] for name in one if name in TRANSCRIPTS.names} for one in once.values()]
    (text,) = export(
        tmp_path, [one | {"text": "hello", "words": [], "entities": []} for one in rows], "nemo-manifest"
    ).values()
    (tmp_path / "second.jsonl").write_text(text)
    again = ingest(tmp_path / "second.jsonl", tmp_path / "again")
    kept = ("audio_sha256", "duration_seconds", "speaker", "recording_id", "recording_path")
    assert {name: [one[key] for key in kept] for name, one in again.items()} == {
        name: [one[key] for key in kept] for name, one in once.items()
    }
    assert len(again) == 3


def test_recordings_of_one_name_stay_apart(tmp_path: Path) -> None:
    spoken = words(("yes", 0.0, 0.5))
    rows = [piece("Talk", 0.0, spoken, 1.0, tenant=tenant) | {"utterance_id": tenant} for tenant in ("a", "b")]
    rows.append(piece("talk", 5.0, spoken, 1.0))
    rows.append(row("talk", spoken, 1.0))
    found = export(tmp_path, rows, "srt")
    assert sorted(name[:4].lower() for name in found) == ["talk"] * 4
    assert len({name.casefold() for name in found}) == 4
    assert sorted(text.split(" ")[0][2:] for text in found.values()) == ["00:00:00,000"] * 3 + ["00:00:05,000"]


@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("Vorstandssitzung – März", "Vorstandssitzung – März"),
        ("理事会 2026-11", "理事会 2026-11"),
        ("Заседание №5; часть 2", "Заседание №5; часть 2"),
        ("50% up", "50% up"),
        ('calls/Q1: "why?"', "calls%2FQ1%3A %22why%3F%22"),
    ],
)
def test_names_keep_their_letters(name: str, file: str) -> None:
    assert file_name(name) == file


def test_what_windows_or_a_shell_would_misread_gets_a_mark() -> None:
    for name in ("../../etc/passwd", "NUL", "con.2026", ".hidden", "trailing.", " ", "", "議" * 100):
        made = file_name(name)
        assert "~" in made
        assert "/" not in made
        assert len(made.encode()) <= 180
    assert partition_folder("by_tenant", "Łódź/..") == "by_tenant=Łódź%2F.."


@settings(deadline=None)
@given(st.lists(st.text(max_size=200), max_size=20))
def test_no_two_files_have_one_name(tmp_path_factory: pytest.TempPathFactory, names: list[str]) -> None:
    with temporary_database(str(tmp_path_factory.mktemp("names"))) as database:
        given_out = Names(database)
        made = [given_out.give("", name, f"{at}") for at, name in enumerate(names)]
    seen = [unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold()) for name in made]
    assert len(set(seen)) == len(names)
    assert not any(set(name) & set('/\\:*?"<>|\0') for name in made)


seconds = st.integers(1, 400).map(lambda frames: frames * 0.04)


@st.composite
def cut_recordings(draw: st.DrawFn) -> list[dict[str, Any]]:
    """Pieces end to end; the last word of each may reach a frame beyond its piece."""
    rows, at = [], 0.0
    for length in draw(st.lists(seconds, min_size=1, max_size=6)):
        times = sorted(draw(st.sets(st.integers(0, max(1, round(length / 0.04))), max_size=12)))
        spoken = words(*((f"w{one}", one * 0.04, after * 0.04) for one, after in itertools.pairwise(times)))
        rows.append(piece("talk", round(at, 3), spoken, round(length - 0.01, 3)))
        at += length - 0.01
    return draw(st.permutations(rows))


@settings(max_examples=50, deadline=None)
@given(cut_recordings())
def test_every_cue_lies_in_its_recording_and_in_order(rows: list[dict[str, Any]]) -> None:
    found = [one for _, one in utterances(pa.Table.from_pylist(rows, schema=TRANSCRIPTS))]
    track = Track("", "talk", tuple(sorted(found, key=lambda one: one.start)))
    end = max(one["end_seconds"] for one in rows)
    cues = subtitles.cues(track)
    assert all(0.0 <= cue.start <= cue.end <= end + 1e-9 for cue in cues)
    assert all(one.end <= two.start for one, two in itertools.pairwise(cues))
    assert sum(len(" ".join(cue.lines).split()) for cue in cues) == sum(len(one["words"]) for one in rows)
    assert len(list(webvtt.from_string(subtitles.vtt(track)))) == len(cues)
