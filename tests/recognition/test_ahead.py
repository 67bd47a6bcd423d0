"""Shortlists made in threads, ahead of the adapter of a GPU: the same rows, to the byte, whatever the threads."""

import dataclasses
import threading
from pathlib import Path

import pyarrow as pa
import pytest

from pipeline.census import counting, step
from pipeline.config import AcousticConfig, AdapterConfig, CutConfig, ShortlistConfig, baseline
from pipeline.entities.lists import EntitySource
from pipeline.entities.loading import build_list
from pipeline.recognition.adapt import AdapterPass
from pipeline.recognition.ahead import MOST_THREADS, Ahead, usable_threads
from pipeline.recognition.recogniser import Recogniser
from pipeline.retrieval.phonetic import Phonetic
from pipeline.retrieval.shortlist import Shortlister
from pipeline.types.emissions import Emissions
from pipeline.types.entity import EntityList
from pipeline.types.shortlist import Shortlist
from tests.support.audio_files import encoded, noise
from tests.support.tiny_adapter import eager, save_beside
from tests.support.tiny_model import tiny_model

NAMES = ("Quirinus", "Zebedee", "Ida", "Odesa", "Lviv", "Alcott", "Bertha", "Cassius")
ROWS = 40


@pytest.fixture(scope="module")
def audio() -> pa.Table:
    """Rows of several batches, each with a list of its own; two have no audio."""
    kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    sounds = [encoded(noise(0.4 + number / 10, seed=number)) for number in range(8)]
    rows = [{"bytes": b"no audio" if number in (3, 21) else sounds[number % 8], "path": None} for number in range(ROWS)]
    own = [[NAMES[(number + at) % len(NAMES)] for at in range(1 + number % 5)] for number in range(ROWS)]
    names = [f"u{number}" for number in range(ROWS)]
    return pa.table({"utterance_id": names, "audio": pa.array(rows, kind), "names": own})


@pytest.fixture(scope="module")
def on_gpu(tmp_path_factory: pytest.TempPathFactory) -> Recogniser:
    """As beside a GPU: the encoder makes batches, the adapter hears many utterances at once."""
    folder: Path = tiny_model(tmp_path_factory.mktemp("models") / "base")
    save_beside(folder, eager(folder))
    settings = dataclasses.replace(
        baseline(), acoustic=AcousticConfig(model=str(folder), dtype="float32", batch_seconds=4.0),
        language_model=None, phone_fusion=None, adapter=AdapterConfig(),
        shortlist=ShortlistConfig(per_phone=5.0, most=100.0), cut=CutConfig(above=4, bound=-30.0),
    )  # fmt: skip
    source = EntitySource(build_list([(1, {"entity": "Marguerite"}), (2, {"entity": "Oberon"})]))
    found = Recogniser.load(settings, source, list_column="names", transcribes=False)
    assert found.parts.adapter is not None
    found.parts.model.together = found.parts.adapter.together = True  # type: ignore[misc]
    return found


def afresh(recogniser: Recogniser, threads: int) -> AdapterPass:
    """An adapter that remembers nothing of any list."""
    from pipeline.retrieval.shortlist import build_shortlister

    parts, adapter = recogniser.parts, recogniser.adapter
    assert adapter is not None
    shortlister = build_shortlister(parts.config, parts.pronouncer, parts.tokens)
    return dataclasses.replace(adapter, shortlister=shortlister, threads=threads)


def test_the_same_bytes_whatever_the_threads(on_gpu: Recogniser, audio: pa.Table) -> None:
    emissions = on_gpu.encode(audio)
    with counting() as alone:
        expected = afresh(on_gpu, 1).adapt(emissions)
    assert expected["error"].null_count == ROWS - 2
    kept = [len(one) for one in expected["shortlist"].to_pylist() if one is not None]
    assert len(set(kept)) > 2, "lists of their own have shortlists of their own"
    for threads in (2, 8):
        with counting() as census:
            assert afresh(on_gpu, threads).adapt(emissions).equals(expected)
        assert {name: one.utterances for name, one in census.steps.items()} == {
            name: one.utterances for name, one in alone.steps.items()
        }


@pytest.mark.parametrize("threads", [1, 3])
def test_ahead_of_the_adapter_as_after_the_encoder(
    on_gpu: Recogniser, audio: pa.Table, threads: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = afresh(on_gpu, 1).adapt(on_gpu.encode(audio))
    taken: list[int] = []
    real = Ahead.take

    def take(self: Ahead, rows: list[int], emissions: pa.Table) -> None:
        assert emissions["utterance_id"].to_pylist() == [f"u{row}" for row in rows]
        taken.extend(rows)
        real(self, rows, emissions)

    monkeypatch.setattr(Ahead, "take", take)
    monkeypatch.setattr(on_gpu, "adapter", afresh(on_gpu, threads))
    assert on_gpu.hear(audio).equals(expected)
    assert sorted(taken) == list(range(ROWS))
    assert taken[2:] != sorted(taken[2:]), "as batches are encoded, not in the order of the rows"


def test_a_row_that_fails_in_a_thread_is_an_error_of_that_row(
    on_gpu: Recogniser, audio: pa.Table, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = Shortlister.shortlist

    def fails(self: Shortlister, heard: Emissions, entities: EntityList) -> Shortlist:
        if len(entities) == 7:
            raise ValueError("broken list")
        return real(self, heard, entities)

    monkeypatch.setattr(Shortlister, "shortlist", fails)
    monkeypatch.setattr(on_gpu, "adapter", afresh(on_gpu, 2))
    errors = on_gpu.hear(audio)["error"].to_pylist()
    broken = [number for number in range(ROWS) if number % 5 == 4]
    assert [number for number, error in enumerate(errors) if error and "broken list" in error] == broken


def test_what_threads_raise_is_raised_and_they_end(audio: pa.Table) -> None:
    gate = threading.Event()
    begun: list[int] = []

    def make(rows: pa.Table) -> list[tuple[None, str]]:
        begun.append(len(rows))
        if not gate.wait(10):
            raise AssertionError("never opened")
        raise MemoryError("too much")

    def work() -> None:
        with Ahead(make, 1) as ahead:
            ahead.take(range(ROWS), audio)
            gate.set()
            ahead.made()

    with pytest.raises(MemoryError, match="too much"):
        work()
    assert begun[0] == 16


def test_a_list_of_all_utterances_is_compiled_once(
    on_gpu: Recogniser, audio: pa.Table, monkeypatch: pytest.MonkeyPatch
) -> None:
    compiled: list[EntityList] = []
    real = Phonetic.pronounce

    def pronounce(self: Phonetic, entities: EntityList) -> list[bytes]:
        compiled.append(entities)
        return real(self, entities)

    monkeypatch.setattr(Phonetic, "pronounce", pronounce)
    emissions = on_gpu.encode(
        audio.drop_columns(["names"]).append_column("names", pa.nulls(ROWS, pa.list_(pa.string())))
    )
    afresh(on_gpu, 8).adapt(emissions)
    assert [len(entities) for entities in compiled] == [2]


def test_threads_are_the_cores_of_the_process_as_far_as_they_help(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.sched_getaffinity", lambda _: set(range(3)), raising=False)
    assert usable_threads() == min(3, MOST_THREADS)
    monkeypatch.setattr("os.sched_getaffinity", lambda _: set(range(96)), raising=False)
    assert usable_threads() == MOST_THREADS


def test_what_threads_count_is_counted_where_it_is_asked_for() -> None:
    def make(rows: pa.Table) -> list[tuple[None, None]]:
        for _ in range(len(rows)):
            with step("shortlist") as one:
                one.kept = 5
        return [(None, None)] * len(rows)

    with counting() as census, Ahead(make, 2) as ahead:
        ahead.take(range(20), pa.table({"utterance_id": list("x" * 20)}))
        assert census.steps == {}
        ahead.made()
    assert census.steps["shortlist"].utterances == {5: 20}
