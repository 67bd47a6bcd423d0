"""Audio parquet wherever it lies and however its text is encoded: what stands in a path is never part of the rows."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from jobs.transcribe import main
from tests.support.transcribing import command, noises, transcripts

pytestmark = pytest.mark.usefixtures("ray_running")


@pytest.mark.parametrize("executor", ["local", "ray"])
def test_folders_of_keys_and_values_brackets_and_other_endings(executor: str, tmp_path: Path, tiny: Path) -> None:
    corpus = tmp_path / "show [2020]"
    places = ["lang=en/a.parquet", "lang=en/speaker=x/b.PARQUET", "utterance_id=5/c.pq"]
    kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    for place, (name, data) in zip(places, noises(3).items(), strict=True):
        (corpus / place).parent.mkdir(parents=True, exist_ok=True)
        ids = pa.array([name]).dictionary_encode() if place.endswith("pq") else pa.array([name])
        audio = pa.array([{"bytes": data, "path": None}], kind)
        pq.write_table(pa.table({"utterance_id": ids, "audio": audio}), corpus / place)
    output = tmp_path / "run=1"
    assert main(command(corpus, output, tiny, "--executor", executor)) == 0
    [folder] = output.glob("*/transcripts")
    rows = transcripts(folder)
    assert [(row["utterance_id"], row["error"]) for row in rows] == [("n000", None), ("n001", None), ("n002", None)]


@pytest.mark.parametrize("executor", ["local", "ray"])
def test_a_file_without_an_ending(executor: str, tmp_path: Path, tiny: Path) -> None:
    kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    [(name, data)] = noises(1).items()
    table = {"utterance_id": pa.array([name]), "audio": pa.array([{"bytes": data, "path": None}], kind)}
    pq.write_table(pa.table(table), tmp_path / "corpus")
    assert main(command(tmp_path / "corpus", tmp_path / "out", tiny, "--executor", executor)) == 0
    [folder] = (tmp_path / "out").glob("*/transcripts")
    assert [(row["utterance_id"], row["error"]) for row in transcripts(folder)] == [(name, None)]
