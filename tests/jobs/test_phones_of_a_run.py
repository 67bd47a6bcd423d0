"""A run of a model without phones with those of one of ours beside it: from the audio, and from its cache."""

from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from jobs.transcribe import main
from tests.support.checkpoints import save_wav2vec
from tests.support.tiny_model import tiny_model
from tests.support.transcribing import noises, read_json, transcripts, write_corpus


def run(folder: Path, *more: str) -> dict[str, Any]:
    command = ["--entities", str(folder / "names.txt"), "--model", str(folder / "model"), "--executor", "local"]
    command += ["--config", str(folder / "run.yaml"), "--summary", str(folder / "run.json"), "--preset", "boosting"]
    assert main([*command, *more]) == 0
    return read_json(folder / "run.json")


def test_the_cache_has_the_phones_and_the_record_says_whose(tmp_path: Path) -> None:
    save_wav2vec(tmp_path / "model", "wav2vec2-layer")
    ours = tiny_model(tmp_path / "ours")
    (tmp_path / "names.txt").write_text("Zelenskyy\nKyiv\n")
    (tmp_path / "run.yaml").write_text(f"acoustic: {{phones: {ours}}}\nlanguage_model: null\nphone_fusion: null\n")
    audio = str(write_corpus(tmp_path / "audio.parquet", noises(2)))
    first = run(tmp_path, "--audio", audio, "--output", str(tmp_path / "out"), "--cache-emissions")
    assert (first["phones"]["of"], first["config"]["acoustic"]["phones"]) == (str(ours), str(ours))
    assert first["model_id"].count("+") == 1
    cache = next((tmp_path / "out" / "emissions").iterdir())
    again = run(tmp_path, "--emissions", str(cache), "--output", str(tmp_path / "again"))
    assert transcripts(again["transcripts"]) == transcripts(first["transcripts"])
    (file,) = (cache / "emissions").glob("*.parquet")
    assert pq.read_table(file, columns=["phone_frames"])["phone_frames"].to_pylist() == [25, 27]
