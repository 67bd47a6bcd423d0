"""References and hypotheses as other tools write them."""

import gzip
import json
from pathlib import Path

import pytest

from pipeline.errors import InputError
from pipeline.scoring.inputs import is_parquet, read_references, read_written
from pipeline.scoring.text_inputs import read_texts

WANTED = {"u-1": "stuff it into you", "u-2": ""}


def write(folder: Path, name: str, content: str) -> str:
    (folder / name).write_text(content, encoding="utf-8")
    return str(folder / name)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("text", "u-1 STUFF IT INTO YOU\nu-2\n"),
        ("kaldi_text.txt", "u-1  STUFF IT INTO YOU\nu-2 \n"),
        ("a.txt", "u-1\tStuff it into you\nu-2\t\n"),
        ("a.tsv", "speaker\ttext\tid\nann\tStuff it into you\tu-1\nbob\t\tu-2\n"),
        ("a.trn", ";; sclite\nstuff it into you (u-1)\n(u-2)\n"),
        ("trn.txt", "stuff it into you (u-1)\n(u-2)\n"),
        ("a.csv", 'utterance_id,seconds,text\nu-1,3,"Stuff it, into you"\nu-2,1,\n'),
        ("a.jsonl", '{"utterance_id": "u-1", "text": "Stuff it into you"}\n{"utterance_id": "u-2", "text": ""}\n'),
        ("a.json", '{"u-1": "Stuff it into you", "u-2": ""}'),
        ("a.stm", ";; x\nu-1 1 ann 0.00 3.25 <o,f0> stuff it into you\nu-2 1 bob 0 1\n"),
    ],
)
def test_every_format_gives_the_same_texts(tmp_path: Path, name: str, content: str) -> None:
    path = write(tmp_path, name, content)
    assert not is_parquet(path)
    references, unscored = read_references(path)
    assert ({one.utterance_id: one.text for one in references}, unscored) == (WANTED, [])
    assert {name: one.text for name, one in read_written(path).items()} == WANTED


def test_packed_text_is_text(tmp_path: Path) -> None:
    (tmp_path / "a.csv.gz").write_bytes(gzip.compress(b"id,text\nu-1,one\n"))
    assert [one.text for one in read_references(str(tmp_path / "a.csv.gz"))[0]] == ["one"]


def test_pieces_of_an_stm_are_called_as_ingest_calls_them_and_ignored_time_is_not_scored(tmp_path: Path) -> None:
    lines = (
        ";; rollcall.stm version 1\na%20b 1 ann%2F1 0.000 2.500 one\na%20b 1 x 2.5 4 IGNORE_TIME_SEGMENT_IN_SCORING\n"
    )
    rows = read_texts(write(tmp_path, "a.stm", lines))
    assert [(row["utterance_id"], row["text"], row["speaker"], row["duration_seconds"]) for row in rows] == [
        ("a b-00000000-00002500", "one", "ann/1", 2.5),
        ("a b-00002500-00004000", None, "x", 1.5),
    ]


def test_durations_and_speakers_of_json_lines(tmp_path: Path) -> None:
    record = {"utterance_id": "a", "text": "one", "duration_seconds": 2, "speaker": "ann"}
    ((reference,), _) = read_references(write(tmp_path, "a.jsonl", json.dumps(record)))
    assert (reference.duration_seconds, reference.speaker) == (2.0, "ann")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.tsv", "a\tone\nb two three\n", "line 2 has no tab"),
        ("a.csv", "name,words\na,one\n", "the header needs a column"),
        ("a.csv", 'id,text\na,"one\n', "line 2 is not valid CSV"),
        ("a.jsonl", '{"id": "a", "text": "one"}\n{"id": "b"}\n', "line 2 must be an object"),
        ("a.jsonl", "a one\n", "line 1 is not JSON"),
        ("a.trn", "one (a)\ntwo\n", "line 2 does not end with"),
        ("a.trn", "{ one / two } (a)\n", "line 1 has alternatives"),
        ("a.stm", "a 1 ann 0\n", "line 1 has 4 fields"),
        ("a.stm", "a 1 ann zero 1 one\n", "'zero' is no number"),
        ("a.txt", "a\nb\n", "all of its 2 texts are empty"),
    ],
)
def test_lines_of_another_form_are_errors_with_their_number(
    tmp_path: Path, name: str, content: str, message: str
) -> None:
    with pytest.raises(InputError, match=message):
        read_references(write(tmp_path, name, content))
