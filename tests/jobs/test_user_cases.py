"""The inputs of users that failed once (shared/data/user_cases, whose README says what is right for each)."""

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from jobs import ingest as ingest_job
from jobs import score as score_job
from jobs import transcribe
from pipeline.acoustic.loading import load_tokens
from pipeline.config import AcousticConfig
from pipeline.decoding.ngram import read_ngrams
from pipeline.entities.loading import load_entity_list
from pipeline.errors import ModelError
from tests.support.ingested import ingest
from tests.support.shared_data import SHARED, needs_shared_data
from tests.support.transcribing import command, write_corpus

CASES = SHARED / "user_cases"
pytestmark = needs_shared_data


def seconds(rows: dict[str, dict[str, Any]]) -> dict[str, float]:
    assert [row["error"] for row in rows.values() if row["error"]] == []
    return {name: round(row["duration_seconds"], 1) for name, row in rows.items()}


SOUND = {
    "joined": {"cat_mp3": 10.0, "chain_opus": 10.0},
    "headers": dict.fromkeys(("size_arecord", "size_gst", "size_plus16", "size_zero"), 3.3),
    "containers": {"au": 3.3, "clip.mkv": 5.2, "clip.mov": 5.2, "nist": 3.3},
    "manifests/dali.json": {"wav/audio1": 3.3, "wav/audio1-00003300-00008500": 5.2},
    "parquet/audio_as_arrays": dict.fromkeys(("1089-134686-0001", "1089-134686-0002", "1089-134686-0004"), 1.0),
    "parquet/corpus.pq": {"1089-134686-0001": 3.3, "1089-134686-0002": 6.7, "1089-134686-0004": 5.2},
    "parquet/show [2020]": {"1089-134686-0001": 3.3, "1089-134686-0002": 6.7, "1089-134686-0004": 5.2},
    "parquet/uneven_partitions": {"1089-134686-0001": 3.3, "1089-134686-0002": 6.7},
}


@pytest.mark.parametrize("case", SOUND)
def test_all_of_the_sound_is_read(case: str, tmp_path: Path) -> None:
    assert seconds(ingest(CASES / case, tmp_path / "out")) == SOUND[case]


def test_both_manifests_with_their_texts(tmp_path: Path) -> None:
    rows = ingest(CASES / "layouts/two_nemo_manifests", tmp_path / "out")
    assert (len(seconds(rows)), all(row["text"] for row in rows.values())) == (8, True)


def test_a_row_without_a_path_has_an_id_and_an_error(tmp_path: Path, tiny: Path) -> None:
    case = CASES / "manifests/common_voice_without_path"
    rows = ingest(case, tmp_path / "corpus")
    assert {name for name, row in rows.items() if row["error"]} == {"z", "validated-line-0000004"}
    assert transcribe.main(command(tmp_path / "corpus", tmp_path / "out", tiny)) == 0


@pytest.mark.parametrize("case", ["corpus.pq", "show [2020]", "uneven_partitions", "audio_as_arrays"])
def test_parquet_is_transcribed_as_it_is(case: str, tmp_path: Path, tiny: Path) -> None:
    assert transcribe.main(command(CASES / "parquet" / case, tmp_path / "out", tiny)) == 0


def test_paths_are_read_where_the_files_are(tmp_path: Path) -> None:
    table = pq.read_table(CASES / "parquet/audio_as_paths")
    source = tmp_path / "data"
    source.mkdir()
    audio = []
    for item in table["audio"].to_pylist():  # absolute paths of the machine that they were made on
        name = Path(item["path"]).name
        (source / name).write_bytes((CASES / "headers/size_zero.wav").read_bytes())
        audio.append({"bytes": None, "path": name})
    at = table.column_names.index("audio")
    pq.write_table(
        table.set_column(at, "audio", pa.array(audio, table.schema.field("audio").type)), source / "a.parquet"
    )
    assert set(seconds(ingest(source, tmp_path / "out")).values()) == {3.3}


def test_a_column_that_is_there_twice_is_named(tmp_path: Path, tiny: Path, capsys: pytest.CaptureFixture[str]) -> None:
    case = CASES / "parquet/column_twice"
    assert transcribe.main(command(case, tmp_path / "out", tiny)) == 2
    assert ingest_job.main([str(case), "--output", str(tmp_path / "corpus")]) == 2
    said = capsys.readouterr().err
    assert said.count("columns ['text'] are there more than once") == 2


def test_lists() -> None:
    quote = load_entity_list(str(CASES / "lists/quote.tsv"))
    assert [entity.text for entity in quote.entities] == ["brian eno", "david bowie", "heroes", "tony visconti"]
    assert [entity.text for entity in load_entity_list(str(CASES / "lists/list.json")).entities] == ["london", "paris"]
    sherpa = load_entity_list(str(CASES / "lists/sherpa.txt"))
    assert [entity.display_as for entity in sherpa.entities] == ["Smith, John"]
    assert [one.row for one in sherpa.rejected] == [1, 2, 3, 4, 5, 6]


def test_lists_whose_ids_name_no_utterance(tmp_path: Path, tiny: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ids = ("parliament-000", "medical-000", "parliament-001", "medical-001")
    audio = write_corpus(tmp_path / "a.parquet", dict.fromkeys(ids))
    listed = ["--entities", str(CASES / "lists/perutt_mismatch.tsv")]
    assert transcribe.main(command(audio, tmp_path / "out", tiny, *listed)) == 2
    said = capsys.readouterr().err
    assert "3 of 4 lists name no utterance of the audio: 'medical-000.wav'" in said
    assert "the audio has 'medical-000' for 'medical-000.wav'" in said


@pytest.mark.parametrize("name", ["trunc_uni", "count", "upper"])
def test_language_models_that_are_not_whole_or_in_capitals_are_refused(name: str) -> None:
    with pytest.raises(ModelError, match=name):
        read_ngrams(CASES / f"arpa/{name}.arpa")


def test_a_language_model_without_blank_lines_is_read() -> None:
    assert read_ngrams(CASES / "arpa/noblank.arpa").words == read_ngrams(CASES / "arpa/ok.arpa").words


def test_checkpoints() -> None:
    assert load_tokens(AcousticConfig(model=str(CASES / "checkpoints/tutorial"))).pieces
    with pytest.raises(ModelError, match=r"vocab\.json"):
        load_tokens(AcousticConfig(model=str(CASES / "checkpoints/no_vocabulary")))


@pytest.mark.parametrize(
    ("reference", "hypotheses", "said"),
    [
        ("cjk_ref.tsv", "cjk_hyp.tsv", "2 texts have letters that are not scored yet"),
        ("mixs_ref.tsv", "mixs_hyp.tsv", "1 texts have letters that are not scored yet: 'a' ('москва')"),
        ("kaldi_text.txt", "text", None),
        ("text", "kaldi_text.txt", None),
    ],
)
def test_references_are_scored_or_said(
    reference: str, hypotheses: str, said: str | None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = [f"--{name}={CASES / 'references' / file}" for name, file in
             (("reference", reference), ("hypotheses", hypotheses))]  # fmt: skip
    code = score_job.main([*files, "--output", str(tmp_path / "scores")])
    assert code == (2 if said else 0)
    if said:
        assert said in capsys.readouterr().err
    else:
        assert "0.00%" in capsys.readouterr().out
