"""CTM, STM, subtitles and TextGrid: right by their specifications, and read back by others' readers where there are."""

import io
import itertools
from pathlib import Path

import av
import pytest
import webvtt
from hypothesis import given, settings
from hypothesis import strategies as st
from praatio import textgrid as praat

from pipeline.export import nist, subtitles
from pipeline.export.speech import Spoken, Track, Utterance
from pipeline.export.textgrid import intervals, textgrid
from tests.support.exported_runs import FAILED, export


def track(*words: tuple[str, float, float], name: str = "t") -> Track:
    spoken = tuple(Spoken(word, word, start, end, 0.5) for word, start, end in words)
    return Track("", name, (Utterance("u", None, 0.0, max((word.end for word in spoken), default=0.0), spoken, ()),))


def test_ctm_is_sorted_in_the_time_of_the_recording(tmp_path: Path) -> None:
    output, record = export(tmp_path, "ctm")
    assert sorted(path.name for path in output.glob("*.ctm")) == ["part-00000.ctm", "talk 1.ctm"]
    assert (output / "part-00000.ctm").read_text().splitlines() == [
        ";; rollcall.ctm version 1",
        "solo%3B2 1 0.000 0.500 say 0.7500",
        "solo%3B2 1 0.500 0.250 r 0.7500",
        "solo%3B2 1 0.750 0.250 d 0.7500",
    ]
    assert (output / "talk 1.ctm").read_text().splitlines() == [
        ";; rollcall.ctm version 1",
        "talk%201 1 0.100 0.300 from 0.7500",
        "talk%201 1 0.400 0.200 new 0.7500",
        "talk%201 1 0.600 0.400 york 0.7500",
        "talk%201 1 5.000 0.200 to 0.7500",
        "talk%201 1 5.200 0.700 lodz 0.7500",
    ]
    assert (record["recordings"], record["words"], record["rows_aside"]) == (3, 8, {"error": 1})


def test_stm_takes_errors_out_of_the_scoring(tmp_path: Path) -> None:
    output, _ = export(tmp_path, "stm")
    assert (output / "part-00000.stm").read_text().splitlines()[1:] == [
        "silent 1 bob 0.000 0.500",
        "solo%3B2 1 bob 0.000 1.500 say r d",
    ]
    assert (output / "talk 1.stm").read_text().splitlines()[1:] == [
        "talk%201 1 ann 0.000 2.000 from new york",
        "talk%201 1 ann 2.000 5.000 IGNORE_TIME_SEGMENT_IN_SCORING",
        "talk%201 1 ann 5.000 6.000 to lodz",
    ]


def test_without_audio_every_utterance_is_its_own_recording(tmp_path: Path) -> None:
    output, record = export(tmp_path, "srt", audio=False)
    assert record["recordings"] == 4
    assert (output / "talk 1%2Fc.srt").read_text() == "1\n00:00:00,000 --> 00:00:01,000\nto Łódź\n\n"
    assert (output / "silent.srt").read_text() == ""


def test_vtt_is_escaped_and_read_back(tmp_path: Path) -> None:
    output, _ = export(tmp_path, "vtt")
    content = (output / "solo;2.vtt").read_text()
    assert content.startswith("WEBVTT\n\nNOTE rollcall.subtitles version 1\n\n1\n00:00:00.000 --> 00:00:01.000\n")
    assert 'say R&amp;D &lt;"x"&gt;' in content
    captions = webvtt.from_string((output / "talk 1.vtt").read_text())
    assert [(one.start, one.text) for one in captions] == [
        ("00:00:00.100", "from New York"),
        ("00:00:05.000", "to Łódź"),
    ]


@pytest.mark.parametrize(("form", "write"), [("srt", subtitles.srt), ("webvtt", subtitles.vtt)])
def test_ffmpeg_reads_subtitles(form: str, write: object) -> None:
    text = write(track(("hello", 1.0, 1.5), ("again", 3661.25, 3662.5)))  # type: ignore[operator]
    with av.open(io.BytesIO(text.encode()), format=form) as file:
        shown = [(packet.pts * packet.time_base, bytes(packet)) for packet in file.demux() if packet.size]
    assert [(float(at), content.strip()) for at, content in shown] == [(1.0, b"hello"), (3661.25, b"again")]


def test_subrip_markup_is_taken_for_text() -> None:
    assert subtitles.srt(track(("<i>", 0, 1), ("-->", 1, 2), ("{b}", 2, 3))).splitlines()[2] == "‹i› → (b)"


def test_cues_keep_to_lines_and_seconds() -> None:
    spoken = [(f"word{number:03d}", number * 0.4, number * 0.4 + 0.35) for number in range(200)]
    found = subtitles.cues(track(*spoken))
    assert " ".join(line for cue in found for line in cue.lines).split() == [word for word, _, _ in spoken]
    assert all(len(cue.lines) <= 2 and all(len(line) <= 42 for line in cue.lines) for cue in found)
    assert all(0 < cue.end - cue.start <= 7.0 for cue in found)
    assert all(first.end <= second.start for first, second in itertools.pairwise(found))


def test_a_pause_ends_a_cue_and_short_cues_stay() -> None:
    first, second = subtitles.cues(track(("yes", 0.0, 0.2), ("no", 2.0, 2.1)))
    assert (first.start, first.end, second.start) == (0.0, 1.0, 2.0)


def test_textgrid_is_read_by_praatio(tmp_path: Path) -> None:
    output, record = export(tmp_path, "textgrid")
    grid = praat.openTextgrid(str(output / "talk 1.TextGrid"), includeEmptyIntervals=True)
    assert grid.tierNames == ("utterances", "words", "entities")
    assert (grid.minTimestamp, grid.maxTimestamp) == (0.0, 6.0)
    words = [(entry.start, entry.end, entry.label) for entry in grid.getTier("words").entries if entry.label]
    assert [label for _, _, label in words] == ["from", "new", "york", "to", "lodz"]
    assert words[-1][:2] == pytest.approx((5.2, 5.9))
    assert [one.label for one in grid.getTier("entities").entries if one.label] == ["New York", "Łódź"]
    assert [one.label for one in grid.getTier("utterances").entries][1] == f"[error] {FAILED}: audio is truncated."
    odd = next(path for path in output.glob("solo*.TextGrid"))
    labels = [
        one.label for one in praat.openTextgrid(str(odd), includeEmptyIntervals=False).getTier("entities").entries
    ]
    assert labels == ['R&D <"x">']
    assert record["rows_aside"] == {}


times = st.floats(0, 100, allow_nan=False).map(lambda value: round(value, 3))


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(times, times), max_size=20), times)
def test_intervals_tile_the_time_and_lose_no_word(pairs: list[tuple[float, float]], end: float) -> None:
    marks = sorted((start, stop, f"w{number}") for number, (start, stop) in enumerate(pairs))
    tiled = intervals(marks, end)
    assert [text for _, _, text in tiled if text] == [text for _, _, text in marks]
    assert tiled[0][0] == 0.0
    assert tiled[-1][1] >= end
    assert all(stop - start > 0.0009 for start, stop, _ in tiled)
    assert all(first[1] == second[0] for first, second in itertools.pairwise(tiled))


def test_an_empty_track_is_a_valid_grid() -> None:
    grid = textgrid(Track("", "empty", (Utterance("u", None, 0.0, 0.0, (), ()),)))
    assert grid.count("intervals: size = 1") == 3


def test_ids_are_one_field_and_stay_apart() -> None:
    ids = ["a b", "a_b", "a%20b", ";;x", "<o,f0>", "", "ü", "%"]
    assert len({nist.field(one) for one in ids}) == len(ids) - 0
    assert all(" " not in nist.field(one) and not nist.field(one).startswith(";") for one in ids)
