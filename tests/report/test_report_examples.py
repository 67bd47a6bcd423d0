"""Word times and sound in the report, and the facts of the run."""

import json
from pathlib import Path

import pytest

from jobs.score import main
from pipeline import schemas
from pipeline.errors import InputError
from pipeline.report import ExampleSource
from pipeline.report.aligned import explanation
from pipeline.report.sound import Spoken, spoken_entities
from pipeline.runs.facts import run_facts, vocabulary_of
from pipeline.runs.folder import RunFolder
from pipeline.scoring.score import Lists, Reference, Written, score
from pipeline.storage import open_filesystem
from pipeline.types.entity import Entity, EntityList
from tests.support.reports import run_with_sound, tone, words, write


def test_the_report_of_a_run_has_times_sound_and_facts(tmp_path: Path) -> None:
    run, audio = run_with_sound(tmp_path)
    (tmp_path / "names.txt").write_text("Leeds\nYork\n")
    options = ["--transcripts", run, "--reference", audio, "--lists", str(tmp_path / "names.txt")]
    assert main([*options, "--output", str(tmp_path / "out")]) == 0
    document = (tmp_path / "out/report.html").read_text()
    assert document.count("data:audio/ogg;base64,T2dnUw") == 1  # "OggS"; embedded once,
    assert document.count('data-clip="clip-0"') == 3  # heard in all places that show the utterance
    assert 'data-t="0.5" title="0.50 to 1.00 s"' in document
    assert "leads 0.50–1.00" in document
    for fact in ("m-17", "hotwords", "3 s"):
        assert fact in document


def test_entities_are_heard_where_they_were_written_or_missed() -> None:
    names = EntityList(tuple(Entity(name.lower(), name) for name in ("Leeds", "York", "Bath")))
    said = [Reference("a", "from leeds to leeds and bath")]
    result = score(said, {"a": Written("from leeds to leads and york")}, Lists(lambda _: names))
    times = [(at / 2, at / 2 + 0.5) for at in range(6)]
    assert spoken_entities(result.utterances[0], times) == [
        Spoken("Leeds", "found", 0.5, 1.0),
        Spoken("Leeds", "missed", 1.5, 2.0),
        Spoken("York", "inserted", 2.5, 3.0),
        Spoken("Bath", "missed", 2.5, 3.0),
    ]
    assert spoken_entities(result.utterances[0], times[:-1]) == []
    gone = score(said, {"a": Written("from to")}, Lists(lambda _: names)).utterances[0]
    assert spoken_entities(gone, times[:2])[0] == Spoken("Leeds", "missed", 0.0, 1.0)  # between its neighbours


def test_only_wanted_utterances_are_read_and_sound_stops_at_its_budget(tmp_path: Path) -> None:
    clip = tone(1.0, "OGG")
    rows = [{"utterance_id": f"u{at}", "audio": {"bytes": clip, "path": None}} for at in range(6)]
    audio = write(tmp_path / "a.parquet", schemas.AUDIO, rows, row_group_size=2)
    examples = ExampleSource(audio=audio).load(["u4", "u1", "u0", "gone"], clip_bytes=2 * len(clip))
    assert examples.clips == {"u4": clip, "u1": clip}


def test_broken_audio_and_words_that_do_not_match_are_left_out(tmp_path: Path) -> None:
    rows = [{"utterance_id": "a", "audio": {"bytes": b"not audio", "path": None}}, {"utterance_id": "b", "audio": None}]
    audio = write(tmp_path / "a.parquet", schemas.AUDIO, rows)
    texts = [{"utterance_id": "a", "words": words("jean-luc said")}, {"utterance_id": "b", "words": words("good day")}]
    transcripts = write(tmp_path / "t.parquet", schemas.TRANSCRIPTS, texts)
    examples = ExampleSource(transcripts, audio).load(["a", "b"], clip_bytes=1_000_000)
    assert examples.clips == {}
    assert examples.times == {"b": [(0.0, 0.5), (0.5, 1.0)]}


def test_run_facts_say_what_is_there_and_refuse_what_is_broken(tmp_path: Path) -> None:
    run = RunFolder(open_filesystem(str(tmp_path)))
    assert run_facts(None) == run_facts(run) == {}
    (tmp_path / "run.json").write_text('{"stages": {"encode": {"x_real_time": 12.5}}, "versions": {"torch": "2.13.0"}}')
    assert run_facts(run) == {"Speed of encode": "12.5 x real time", "Versions": "torch 2.13.0"}
    (tmp_path / "run.json").write_text("{")
    with pytest.raises(InputError, match=r"run\.json: is not JSON"):
        run_facts(run)


def test_the_vocabulary_is_that_of_the_runs_language_model_while_it_is_there(tmp_path: Path) -> None:
    run = RunFolder(open_filesystem(str(tmp_path)))
    words = tmp_path / "words.txt"
    (tmp_path / "run.json").write_text(json.dumps({"config": {"language_model": {"unigrams": str(words)}}}))
    assert vocabulary_of(run) is None
    words.write_text("leeds\n")
    assert vocabulary_of(run) == str(words)
    (tmp_path / "run.json").write_text(json.dumps({"config": {"language_model": None}}))
    assert vocabulary_of(run) is None


def test_why_an_entity_was_written_is_told_where_the_run_knows(tmp_path: Path) -> None:
    told = {"entity": "leeds", "display_as": "Leeds", "start_seconds": 0.5, "end_seconds": 1.0}
    told |= {"techniques": ["boost", "rescoring"], "acoustic": -3.25, "boost": 1.5, "alternative": "leads"}
    silent = {"entity": "york", "display_as": "York", "start_seconds": 1.5, "end_seconds": 2.0}
    rows = [
        {"utterance_id": "a", "text": "from leeds", "entities": [told, silent]},
        {"utterance_id": "b", "text": "to york", "entities": [silent]},
    ]
    transcripts = write(tmp_path / "t.parquet", schemas.TRANSCRIPTS, rows)
    examples = ExampleSource(transcripts).load(["a", "b"], clip_bytes=0)
    assert list(examples.reasons) == ["a"]
    (why,) = examples.reasons["a"]
    assert why.shares == {"acoustic": -3.25, "boost": 1.5}
    shown = str(explanation(examples.reasons["a"], "a"))
    for expected in ("Leeds", "0.50–1.00", "boost, rescoring", "-3.25", "1.50", "leads"):
        assert expected in shown
    assert explanation((), "a") is None
