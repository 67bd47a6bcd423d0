"""The adapter in whole runs: from the audio, from a cached first pass, with and without a list."""

from pathlib import Path

import pyarrow.parquet as pq
import pytest

from jobs.transcribe import main
from pipeline.schemas import ADAPTER_INPUT
from tests.support.tiny_adapter import eager, save_beside
from tests.support.tiny_model import tiny_model
from tests.support.transcribing import noises, read_json, transcripts, write_corpus


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A base with an adapter that looks at the list whatever it hears, audio, and two lists."""
    folder = tmp_path_factory.mktemp("adapter")
    base = tiny_model(folder / "base")
    save_beside(base, eager(base))
    write_corpus(folder / "audio.parquet", noises(4) | {"bad": b"no audio"})
    (folder / "names.txt").write_text("Quirinus\nZebedee\n")
    (folder / "none.txt").write_text("")
    (folder / "greedy.yaml").write_text(
        "language_model: null\nphone_fusion: null\nshortlist: null\nbeam: {decoder: greedy}\n"
    )
    return folder


def run(folder: Path, name: str, *more: str) -> list[dict[str, object]]:
    """Return the transcripts of one run."""
    fixed = ["--model", str(folder / "base"), "--config", str(folder / "greedy.yaml"), "--executor", "local"]
    summary = folder / f"{name}.json"
    assert main(["--output", str(folder / name), "--block-rows", "3", "--summary", str(summary), *fixed, *more]) == 0
    return transcripts(read_json(summary)["transcripts"])


def test_from_the_audio_as_from_the_cache(folder: Path) -> None:
    audio, names = ["--audio", str(folder / "audio.parquet")], ["--entities", str(folder / "names.txt")]
    plain = run(folder, "plain", *audio, "--preset", "baseline", "--cache-emissions", *names)
    cache = read_json(folder / "plain.json")["emissions"]["folder"]
    file = next((Path(cache) / "emissions").glob("*.parquet"))
    assert set(ADAPTER_INPUT.names) <= set(pq.read_schema(file).names)  # a cache serves every preset

    direct = run(folder, "direct", *audio, *names, "--preset", "adapter")
    cached = run(folder, "cached", "--emissions", cache, *names, "--preset", "adapter")
    assert cached == direct
    assert [row["error"] is None for row in direct] == [row["utterance_id"] != "bad" for row in direct]
    assert [row["text"] for row in direct] != [row["text"] for row in plain]

    empty = run(folder, "empty", *audio, "--entities", str(folder / "none.txt"), "--preset", "adapter")
    texts = ("text", "words", "nbest", "entities", "error")
    assert [[row[key] for key in texts] for row in empty] == [[row[key] for key in texts] for row in plain]
