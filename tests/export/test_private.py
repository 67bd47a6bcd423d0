"""Private exports of a small run: what goes out, what is charged, what is refused, and what a kill leaves."""

import base64
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from jobs import export, verify
from pipeline.privacy.lists import known_names
from pipeline.schemas import TRANSCRIPTS

KEY = base64.b64encode(b"a key for tests, 32 bytes long..").decode()
FORMATS = ("parquet", "hf", "jsonl", "csv")


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROLLCALL_PRIVACY_KEY", KEY)


def invented(count: int) -> list[str]:
    """Names that no public list has, from a generator of syllables."""
    random, found = np.random.default_rng(5), set()
    while len(found) < count:
        parts = random.choice(["zwe", "qui", "xor", "vlu", "gnu", "psy", "dwo", "kje"], 3)
        found.add("".join(parts) + "x")
    assert not found & known_names()
    return sorted(found)


CANARIES = invented(200)
WORDS = ("the", "old", "house", "near", "our", "river", "was", "very", "quiet", "when", "we", "came", "last", "winter")


def row(number: int, text: str, **more: object) -> dict[str, object]:
    words = [{"word": word, "start_seconds": 0.1, "end_seconds": 0.3, "confidence": 0.5} for word in text.split()]
    other = {"nbest": [{"text": text}], "audio_sha256": "abcdef012345", "list_version": "list-version"}
    fields = {"utterance_id": f"utt-{number:04}", "text": text, "words": words, "duration_seconds": 2.5}
    origin = {
        "speaker": f"speaker-{number % 7}",
        "recording_id": f"rec-{number % 20}",
        "recording_path": "vault/x.wav",
    }
    return fields | origin | other | more


def make_run(folder: Path, rows: list[dict[str, object]], files: int = 3) -> Path:
    """A run without run.json, as transcripts alone are."""
    run = folder / "run"
    run.mkdir(parents=True)
    for number in range(files):
        table = pa.Table.from_pylist(rows[number::files], schema=TRANSCRIPTS)
        pq.write_table(table, run / f"{number}.parquet")
    return run


def canary_rows() -> list[dict[str, object]]:
    random, rows = np.random.default_rng(1), []
    for number, name in enumerate(CANARIES):
        words = [*random.choice(WORDS, 6), name, *random.choice(WORDS, 4)]
        found = {"entity": name, "display_as": name.title(), "start_word": 6, "end_word": 7, "alternative": f"{name}y"}
        is_found = number % 2 == 0  # the others stand in the text, and no list found them
        entities = [found] if is_found else []
        error = f"{name}: audio is damaged" if number % 50 == 3 else None
        rows.append(row(number, " ".join(words), entities=entities, error=error))
    return rows


def release(run: Path, output: Path, *more: str, values: str = "{}", form: str = "jsonl", code: int = 0) -> Path:
    settings = run.parent / "privacy.yaml"
    settings.write_text(values)
    before = set(output.glob("*")) if output.exists() else set()
    arguments = ["--run", str(run), "--private", str(settings), "--format", form, "--output", str(output), *more]
    assert export.main(arguments) == code
    new = [path for path in output.glob("*") if path not in before and path.name != "_ledger"]
    return new[0] if new else output


def rows_of(folder: Path) -> list[dict[str, object]]:
    return [json.loads(line) for file in sorted(folder.glob("part-*")) for line in file.read_text().splitlines()]


@pytest.fixture(scope="module")
def canary_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_run(tmp_path_factory.mktemp("canaries"), canary_rows())


@pytest.mark.parametrize("form", FORMATS)
def test_no_canary_and_nothing_of_a_run_is_in_any_byte(canary_run: Path, tmp_path: Path, form: str) -> None:
    folder = release(canary_run, tmp_path / "out", form=form)
    texts = []
    for file in (path for path in (tmp_path / "out").rglob("*") if path.is_file()):
        if file.suffix == ".parquet":
            texts.append(json.dumps(pq.read_table(file).to_pylist()) + str(pq.read_schema(file)))
        texts.append(file.read_bytes().decode("latin-1"))
    everything = "\n".join(texts).lower()
    assert [name for name in CANARIES if name in everything] == []
    inside = ("utt-0", "speaker-", "rec-", "vault", "abcdef012345", "list-version", "damaged", KEY.lower(), "2.5,")
    for secret in inside:
        assert secret not in everything, secret
    assert "anonym" not in everything
    assert verify.main([str(folder)]) == 0


def test_a_release_has_the_words_and_tags_that_it_should(canary_run: Path, tmp_path: Path) -> None:
    folder = release(canary_run, tmp_path / "out")
    rows = rows_of(folder)
    assert len({row["utterance_id"] for row in rows}) == len(CANARIES)
    assert {len(str(row["text"]).split()) for row in rows if row["text"] is not None} == {11}
    assert all(row["tags"] == [{"tag": "family", "start_word": 6, "end_word": 7}] for row in rows if row["text"])
    assert len({row["speaker"] for row in rows}) == 7
    record = json.loads((folder / "privacy.json").read_text())
    assert record["audited"] <= 3 + 1e-9
    assert record["largest_loss_over_all_pairs_of_words"] <= 3 + 1e-9
    assert "epsilon 3 a word, whichever two words are compared" in (folder / "PRIVACY.md").read_text()
    assert "groups" not in {name for name, value in record.items() if value is not None}


def test_groups_are_told_only_where_it_is_asked_for(canary_run: Path, tmp_path: Path) -> None:
    folder = release(canary_run, tmp_path / "out", values="within: kary")
    assert json.loads((folder / "privacy.json").read_text())["groups"] == 1003
    assert "the group is told" in (folder / "PRIVACY.md").read_text()
    assert verify.main([str(folder)]) == 0


@pytest.mark.parametrize("form", ["ctm", "stm", "srt", "vtt", "textgrid", "nemo-manifest"])
def test_formats_with_times_or_audio_are_refused(
    canary_run: Path, tmp_path: Path, form: str, capsys: pytest.CaptureFixture[str]
) -> None:
    release(canary_run, tmp_path / "out", form=form, code=2)
    assert ("times of words" in (said := capsys.readouterr().err)) or "audio never goes" in said
    assert not (tmp_path / "out").exists()


def test_the_same_texts_cost_once_and_other_noise_costs_again(tmp_path: Path) -> None:
    run = make_run(tmp_path, [row(at, "this is a short text") for at in range(10)])
    out = tmp_path / "out"
    first = release(run, out)
    again = release(run, out, form="csv")
    ledger = sum(pq.read_table(file).num_rows for file in (out / "_ledger").glob("*.parquet"))
    assert ledger == 10
    assert {str(row["text"]) for row in rows_of(first)} == set(pq_csv_texts(again))
    release(run, out, values="epsilon: 2.0")
    files = (out / "_ledger").glob("*.parquet")
    assert {pq.read_table(file)["epsilon"].to_pylist()[0] for file in files} == {15.0, 10.0}


def pq_csv_texts(folder: Path) -> Iterator[str]:
    for file in folder.glob("part-*.csv"):
        for line in file.read_text().splitlines()[1:]:
            yield line.split(",")[3].strip('"')


def test_a_budget_refuses_before_anything_is_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = make_run(tmp_path, [row(7 * at, "this is a short text") for at in range(4)])  # one speaker, 4 x 5 x 3 = 60
    out = tmp_path / "out"
    release(run, out, values="budget: {speaker: 59}", code=2)
    assert "budget.speaker is 59" in capsys.readouterr().err
    assert [path for path in out.rglob("*") if path.is_file()] == []
    release(run, out, values="budget: {speaker: 61}")
    release(run, out, values="{epsilon: 1.0, budget: {speaker: 61}}", code=2)
    assert "budget.speaker" in capsys.readouterr().err
    release(run, out, values="{truncate: {neighbours: 5}, budget: {recording: 1000000000}}", code=2)
    assert "no finite epsilon" in capsys.readouterr().err


def test_verify_sees_what_was_not_charged_and_what_is_there_twice(tmp_path: Path) -> None:
    run = make_run(tmp_path, [row(at, "this is a short text") for at in range(10)])
    out = tmp_path / "out"
    folder = release(run, out)
    (ledger,) = (out / "_ledger").glob("*.parquet")
    rows = pq.read_table(ledger)
    for wrong in (rows.slice(1), pa.concat_tables([rows, rows.slice(3, 1)])):
        pq.write_table(wrong, ledger)
        assert verify.main([str(folder)]) == 1
    pq.write_table(rows, ledger)
    assert verify.main([str(folder)]) == 0
    (folder / "part-00000.jsonl").write_text("")
    assert verify.main([str(folder)]) == 1


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def is_done(out: Path) -> bool:
    return any(out.glob("*/privacy.json"))


def test_after_ten_kills_ledger_and_release_agree(tmp_path: Path) -> None:
    rows = [row(at, f"this is text number {at} of the long winter near the river") for at in range(300)]
    run = make_run(tmp_path, rows, files=30)
    whole = release(run, tmp_path / "whole")
    out, settings = tmp_path / "out", tmp_path / "privacy.yaml"
    command = [sys.executable, "-m", "jobs.export", "--run", str(run), "--private", str(settings), "--format", "jsonl"]
    for kill in range(10):  # each at another place: before the ledger, and when so many files are there
        process = subprocess.Popen([*command, "--output", str(out)], stdout=subprocess.DEVNULL)
        while process.poll() is None and len(list(out.glob("*/part-*"))) < 3 * kill and not is_done(out):
            time.sleep(0.005)
        process.kill()
        process.wait()
        assert kill < 3 or any((out / "_ledger").glob("*.parquet")), "charged before anything is written"
    release(run, out)
    folder = next(path for path in out.iterdir() if path.name != "_ledger")
    assert verify.main([str(folder)]) == 0
    assert contents(folder) == contents(whole)
    ledger = pa.concat_tables([pq.read_table(file) for file in (out / "_ledger").glob("*.parquet")])
    assert ledger.num_rows == 300 == len(set(ledger["utterance"].to_pylist()))


def test_a_key_is_needed(canary_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ROLLCALL_PRIVACY_KEY")
    release(canary_run, tmp_path / "out", code=2)
    assert not (tmp_path / "out").exists()
    file = tmp_path / "key"
    file.write_text(KEY)
    folder = release(canary_run, tmp_path / "out", "--key", str(file))
    assert KEY not in json.dumps({name: data.decode("latin-1") for name, data in contents(folder).items()})


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ("epsilom: 2", "unknown privacy key 'epsilom'"),
        ("epsilon: -1", "must be above 0"),
        ("epsilon: yes", "must be a number"),
        ("truncate: {distance: 1, neighbours: 2}", "one of 'distance' and 'neighbours'"),
        ("{mechanism: redact, prior: kde}", "are for"),
        ("{within: nearest, prior: kde}", "is for grouped without"),
        ("within: near", "must be one of"),
        ("tags: {ward: castle}", "must be one of"),
        ("[1]", "must be a mapping"),
    ],
)
def test_a_wrong_configuration_says_what_is_wrong(
    canary_run: Path, tmp_path: Path, values: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    release(canary_run, tmp_path / "out", values=values, code=2)
    assert message in capsys.readouterr().err
