import pyarrow as pa
import pytest

from pipeline import schemas
from pipeline.errors import InputError


def test_missing_optional_columns_become_nulls() -> None:
    table = pa.table({"utterance_id": ["a"], "audio": [{"bytes": b"x", "path": "x.flac"}]})
    full = schemas.conform(table, schemas.AUDIO, schemas.AUDIO_REQUIRED, "corpus.parquet")
    assert full.schema.equals(schemas.AUDIO)
    assert full["text"].to_pylist() == [None]


def test_a_missing_required_column_is_named_with_the_fix() -> None:
    with pytest.raises(InputError, match=r"corpus\.parquet: column 'audio' is missing.*jobs\.ingest"):
        schemas.conform(pa.table({"utterance_id": ["a"]}), schemas.AUDIO, schemas.AUDIO_REQUIRED, "corpus.parquet")


def test_a_wrong_type_says_what_came_and_what_is_needed() -> None:
    table = pa.table({"utterance_id": ["a"], "audio": ["not a struct"]})
    with pytest.raises(InputError, match="column 'audio' is string, needed is struct"):
        schemas.conform(table, schemas.AUDIO, schemas.AUDIO_REQUIRED, "corpus.parquet")


@pytest.mark.parametrize("schema", [schemas.AUDIO, schemas.EMISSIONS, schemas.TRANSCRIPTS, schemas.SCORES])
def test_every_dataset_keeps_its_id_and_its_error(schema: pa.Schema) -> None:
    assert not schema.field("utterance_id").nullable
    assert schema.field("error").nullable
