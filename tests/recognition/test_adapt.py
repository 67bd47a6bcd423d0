"""The adapter in the pipeline: in the encoder's worker or from a cached first pass, the same rows come out."""

import dataclasses
import io
import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from jobs.explain import main as explain
from pipeline.acoustic.adapter_batch import BatchedAdapter
from pipeline.acoustic.adapter_files import resolved, with_adapter
from pipeline.acoustic.loading import load_model
from pipeline.config import PRESETS, AcousticConfig, AdapterConfig, RunConfig, baseline
from pipeline.config.fingerprint import config_fingerprint
from pipeline.entities.lists import EntitySource
from pipeline.entities.loading import build_list
from pipeline.errors import ConfigError, InputError
from pipeline.recognition.emission_rows import read_emissions, shortlist_of
from pipeline.recognition.encode import Encoder
from pipeline.recognition.recogniser import Recogniser
from pipeline.recognition.transcribe import Transcriber
from pipeline.recognition.waveforms import read_audio
from pipeline.rescoring.stage import RescoringStage
from pipeline.retrieval.shortlist import Shortlister
from pipeline.runs.emission_cache import CacheIdentity, acoustic_identity, write_emissions
from pipeline.schemas import ADAPTER_OUTPUT, EMISSIONS
from pipeline.types.entity import Entity, EntityList
from pipeline.types.hypothesis import Hypothesis, Word
from tests.support.audio_files import encoded, noise
from tests.support.tiny_adapter import eager, save_beside
from tests.support.tiny_model import tiny_model
from tests.support.waits import counted

HOSTILE = '<script>alert("x")</script> & co'


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A base with an adapter that looks at the list whatever it hears."""
    folder = tiny_model(tmp_path_factory.mktemp("models") / "base")
    save_beside(folder, eager(folder))
    return folder


def config(base: Path, **changes: object) -> RunConfig:
    acoustic = AcousticConfig(model=str(base), dtype="float32")
    plain = dataclasses.replace(baseline(), acoustic=acoustic, language_model=None, phone_fusion=None)
    return dataclasses.replace(plain, adapter=AdapterConfig(), **changes)


def audio(*names: str) -> pa.Table:
    kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    rows = [{"bytes": encoded(noise(1.5, seed=number)), "path": None} for number in range(len(names))]
    return pa.table({"utterance_id": list(names), "audio": pa.array(rows, kind)})


def recogniser(settings: RunConfig, *entities: str) -> Recogniser:
    source = EntitySource(build_list([(row, {"entity": text}) for row, text in enumerate(entities, start=1)]))
    return Recogniser.load(settings, source)


def test_from_the_cache_as_from_the_encoder_and_as_from_another_process(base: Path) -> None:
    settings = config(base)
    ours = recogniser(settings, "quirinus", "zebedee")
    emissions = ours.encode(audio("a", "b"))
    straight = ours.adapt(emissions)
    assert straight.column_names == [*EMISSIONS.names, *ADAPTER_OUTPUT.names]
    assert straight["adapted_ids"].null_count == 0

    file = io.BytesIO()
    write_emissions(emissions, file)
    cached = pq.read_table(io.BytesIO(file.getvalue()))
    assert recogniser(settings, "zebedee", "quirinus").adapt(cached).equals(straight)
    assert ours.adapt(straight) is straight  # it has run
    heard = [one for _, one in read_emissions(straight)]
    assert all(one is not None and one.biased is one.adapted and one.adapted is not one.tokens for one in heard)


def test_an_empty_list_gives_the_unbiased_transcripts(base: Path) -> None:
    settings = config(base)
    nothing, names = recogniser(settings), ("a", "b")
    adapted = nothing.adapt(nothing.encode(audio(*names)))
    assert adapted["adapted_ids"].null_count == adapted["attended"].null_count == 2
    plain = Encoder(load_model(settings.acoustic), 60.0).encode(audio(*names))
    assert adapted.select(EMISSIONS.names).equals(plain)
    assert nothing.transcribe(adapted).equals(nothing.transcribe(plain))


def test_the_search_reads_what_the_adapter_wrote(base: Path) -> None:
    settings = config(base)
    ours = recogniser(settings, "quirinus")
    adapted = ours.adapt(ours.encode(audio("a")))
    texts = [ours.transcribe(table)["text"][0].as_py() for table in (adapted, adapted.select(EMISSIONS.names))]
    assert texts[0] != texts[1]


def test_the_search_is_given_what_is_attended_to_and_the_rest_is_still_marked(base: Path) -> None:
    settings = config(base)
    ours = recogniser(settings, "quirinus")
    ((_, heard),) = read_emissions(ours.adapt(ours.encode(audio("a"))))
    assert heard is not None
    seen: list[EntityList] = []

    class Spy:
        def decode(self, emissions: object, entities: EntityList, judged: bool = False) -> list[Hypothesis]:
            seen.append(entities)
            return [Hypothesis((Word("zebedee", 0, 1, 1.0), Word("quirinus", 1, 2, 1.0)), 0.0, 0.0, 0.0, 0.0, ())]

    three = EntityList((Entity("zebedee", "Zebedee"), Entity("quirinus", "Quirinus"), Entity("ida", "Ida")))
    attention = np.array([[0.01, 0.1, 3], [0.5, 2.0, 3], [np.nan] * 3], np.float16)  # of the last it cannot say
    alone = RescoringStage(()), Shortlister()
    transcriber = Transcriber(Spy(), EntitySource(), "", *alone, least_attention=0.1)
    nbest, _ = transcriber.hypotheses(dataclasses.replace(heard, attended=attention), three)
    assert [entity.text for entity in seen[0].entities] == ["quirinus", "ida"]
    assert [span.entity for span in nbest[0].entities] == ["zebedee", "quirinus"]
    Transcriber(Spy(), EntitySource(), "", *alone).hypotheses(heard, three)  # a run without an adapter
    assert seen[-1] is three
    with pytest.raises(ValueError, match="saw 1 plausible entities, here are 3"):
        transcriber.hypotheses(heard, three)


def test_all_at_once_as_one_by_one_and_a_batch_that_fails_is_done_row_by_row(
    base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours = recogniser(config(base), "quirinus", "zebedee")
    emissions = ours.encode(audio("a", "b", "c"))
    alone = ours.adapt(emissions)
    runner = ours.parts.adapter
    assert runner is not None
    runner.together = True
    names = ("utterance_id", "error", "shortlist", "shortlist_version")
    together = ours.adapt(emissions)
    assert together.select(names).equals(alone.select(names))
    for (_, one), (_, other) in zip(read_emissions(together), read_emissions(alone), strict=True):
        assert one is not None
        assert other is not None
        np.testing.assert_allclose(one.biased.values, other.biased.values, atol=1e-2)

    def fails(self: BatchedAdapter, utterances: object) -> object:
        raise RuntimeError("out of memory")

    monkeypatch.setattr(BatchedAdapter, "adapt", fails)
    assert ours.adapt(emissions)["error"].null_count == 0
    runner.together = False
    assert ours.adapt(emissions).equals(alone)


def test_a_block_of_512_utterances_costs_eight_copies_and_waits_a_batch(
    base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = config(base)
    small = dataclasses.replace(settings, acoustic=dataclasses.replace(settings.acoustic, batch_seconds=30.0))
    ours = recogniser(small, "quirinus", "zebedee")
    assert ours.parts.adapter is not None
    ours.parts.model.together = ours.parts.adapter.together = True
    kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    sounds = [encoded(noise(0.1 + number / 40, seed=number)) for number in range(16)]
    rows = pa.array([{"bytes": sounds[number % 16], "path": None} for number in range(512)], kind)
    audio = read_audio(pa.table({"utterance_id": [f"{number}" for number in range(512)], "audio": rows}))
    ours.adapt(ours.encode(audio.slice(0, 4)))  # what is loaded or encoded once
    begun, begin = [], BatchedAdapter._begin

    def counting(self: BatchedAdapter, group: list[object], *more: object) -> object:
        begun.append(len(group))
        return begin(self, group, *more)  # type: ignore[arg-type]

    monkeypatch.setattr(BatchedAdapter, "_begin", counting)
    monkeypatch.setattr("pipeline.acoustic.adapter_batch._CELLS", 1 << 14)
    before = ours.encoder.work.batches
    with counted(monkeypatch) as found:
        emissions = ours.encode(audio)
        encoding = found.total()
        adapted = ours.adapt(emissions)
    batches = ours.encoder.work.batches - before
    copied_in = 2  # samples and lengths; features and spellings
    assert batches >= 4
    assert encoding + copied_in * batches <= 8 * batches
    assert len(begun) >= 4
    assert sum(begun) == 512
    assert found.total() - encoding + copied_in * len(begun) <= 8 * len(begun)
    assert adapted["error"].null_count == 512
    assert adapted["adapted_ids"].null_count < 512  # the shortest have too few frames for any name


def test_a_first_pass_without_states_is_an_error_of_its_row(base: Path) -> None:
    settings = config(base)
    plain = Encoder(load_model(settings.acoustic), 60.0).encode(audio("a"))
    adapter = recogniser(settings, "quirinus").adapter
    assert adapter is not None
    assert "cache it anew" in adapter.adapt(plain)["error"][0].as_py()


def test_which_adapter_a_run_takes(base: Path, tmp_path: Path) -> None:
    beside = resolved(config(base)).adapter
    assert beside is not None
    assert beside.model == f"{base}_adapter"
    alone = tiny_model(tmp_path / "alone")
    with pytest.raises(ConfigError, match="no adapter at"):
        resolved(config(alone))
    optional = dataclasses.replace(config(alone), adapter=AdapterConfig(optional=True))
    assert resolved(optional).adapter is None
    assert with_adapter(dataclasses.replace(config(base), adapter=None)).adapter == beside

    shutil.copytree(f"{base}_adapter", f"{alone}_adapter")
    (alone / "tokenizer.model").write_bytes((alone / "tokenizer.model").read_bytes() + b"\n")  # another base
    with pytest.raises(ConfigError, match="was trained on the base"):
        resolved(config(alone))
    assert resolved(optional).adapter is None


def test_adapters_are_told_apart_by_content(base: Path, tmp_path: Path) -> None:
    moved = shutil.copytree(f"{base}_adapter", tmp_path / "moved")
    there = dataclasses.replace(config(base), adapter=AdapterConfig(model=str(moved)))
    assert config_fingerprint(resolved(config(base))) == config_fingerprint(resolved(there))
    (moved / "adapter.json").write_text((moved / "adapter.json").read_text() + "\n")
    assert config_fingerprint(resolved(config(base))) != config_fingerprint(resolved(there))
    assert "adapter" in PRESETS


def test_a_cache_serves_runs_without_the_adapter_but_not_the_other_way(base: Path) -> None:
    settled = resolved(config(base))
    full = CacheIdentity("audio", "model", acoustic_identity(settled.acoustic, settled.adapter), None)
    bare = CacheIdentity("audio", "model", acoustic_identity(settled.acoustic), None)
    full.check(bare, "cache")
    full.check(full, "cache")
    with pytest.raises(InputError, match="acoustic"):
        bare.check(full, "cache")


def test_the_page_shows_entities_words_and_no_bias(base: Path, tmp_path: Path) -> None:
    pq.write_table(audio("u<1>"), tmp_path / "audio.parquet")
    (tmp_path / "names.txt").write_text(f"Quirinus\n{HOSTILE}\n")
    page, lines = tmp_path / "page.html", tmp_path / "attention.jsonl"
    arguments = ["--audio", str(tmp_path / "audio.parquet"), "--entities", str(tmp_path / "names.txt")]
    more = ["--model", str(base), "--output", str(page), "--attention", str(lines), "--whole-list"]
    more += ["--names", "Nobody There"]
    assert explain([*arguments, "--utterance", "u<1>", *more]) == 0
    html = page.read_text()
    assert "Quirinus" in html
    assert "&lt;no-bias&gt;" in html
    assert "<script" not in html
    assert "u&lt;1&gt;" in html
    assert html.count("<rect") > 10
    assert "<td>Quirinus</td>" in html
    assert "is not on the list" in html
    assert '"entities": [' in lines.read_text()
    assert explain([*arguments, "--utterance", "nobody", *more]) == 2


def test_weights_of_zero_take_an_entity_off(base: Path) -> None:
    settings = config(base)
    source = EntitySource(EntityList((Entity("quirinus", "Quirinus", weight=0.0),)))
    off = Recogniser.load(settings, source)
    assert off.adapt(off.encode(audio("a")))["adapted_ids"].null_count == 1


def test_the_shortlist_travels_with_the_row_and_belongs_to_one_list(base: Path) -> None:
    ours = recogniser(config(base), "quirinus", "zebedee")
    adapted = ours.adapt(ours.encode(audio("a")))
    whole = ours.adapter.lists.of("a", None)  # type: ignore[union-attr]
    ((scalars, _),) = read_emissions(adapted)
    carried = shortlist_of(scalars, whole)
    assert carried is not None
    assert (carried.entities, carried.strategies, carried.list_version) == (whole, ((), ()), whole.version)
    other = ours.with_lists(EntitySource(EntityList((Entity("ida", "Ida"),))))
    assert f"the adapter saw the list {whole.version}" in other.transcribe(adapted)["error"][0].as_py()
