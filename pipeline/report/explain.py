"""What becomes of a list in one utterance and what the adapter looks at, for its page and for the report's plots."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pipeline import storage
from pipeline.acoustic.adapter_runner import AdapterRunner
from pipeline.audio.decode import decode_audio, to_pcm
from pipeline.config import RunConfig
from pipeline.decoding.greedy import GreedyDecoder
from pipeline.entities.matching import find_entities
from pipeline.errors import InputError
from pipeline.recognition.recogniser import Recogniser
from pipeline.recognition.trace import traced
from pipeline.report import attention_page
from pipeline.report.attention_page import Explained
from pipeline.text import normalise
from pipeline.types.emissions import Emissions, SparseLogProbs
from pipeline.types.entity import EntityList


def find_row(audio: str, utterance: str) -> dict[str, Any]:
    """Return the row of one utterance; raises InputError if no file has it."""
    for file in storage.list_parquet(audio, None):
        with file.arrow().open_input_file(file.path) as source:
            parquet = pq.ParquetFile(source)
            for group in range(parquet.num_row_groups):
                ids = parquet.read_row_group(group, columns=["utterance_id"])["utterance_id"]
                place = pc.index(ids, utterance).as_py()
                if place >= 0:
                    row: dict[str, Any] = parquet.read_row_group(group).slice(place, 1).to_pylist()[0]
                    return row
    raise InputError(f"{audio}: has no utterance '{utterance}'.")


def explained(config: RunConfig, row: dict[str, Any], entities: EntityList, asked: Sequence[str] = ()) -> Explained:
    """Return what is drawn and said of one row of audio; ``asked``: names to speak of in any case.

    Raises InputError without an adapter, RowError for broken audio.
    """
    recogniser = Recogniser.load(config)
    model, adapter = recogniser.parts.model, recogniser.adapter
    if adapter is None:
        raise InputError("there is no adapter to explain; give one with --adapter.")
    waveform = decode_audio(row["audio"]["bytes"], row["utterance_id"])
    heard = model.encode([to_pcm(waveform.samples)], with_states=True)[0]
    if heard.states is None:
        raise InputError("the model gives no states, which an adapter needs.")
    heard = dataclasses.replace(heard, last=heard.states[-1], query=adapter.runner.query(heard.states))
    biased, shortlist = adapter.row(heard, entities)
    plausible, greedy = shortlist.entities, GreedyDecoder(model.tokens)
    shares, adapted = look(adapter.runner, heard, plausible)
    alphabet = model.tokens.alphabet
    names = [normalise(name, alphabet) for name in asked]
    names += [
        found.entity.text for found in find_entities(normalise(row.get("text") or "", alphabet).split(), entities)
    ]
    trace = traced(recogniser.transcriber, biased, entities, shortlist, names)
    return Explained(
        row["utterance_id"], model.frame_seconds, tuple(entity.display_as for entity in plausible.entities), shares,
        greedy.decode(heard.tokens, plausible)[0].words, greedy.decode(adapted, plausible)[0].words, len(entities),
        trace,
    )  # fmt: skip


def look(
    runner: AdapterRunner, heard: Emissions, entities: EntityList
) -> tuple[npt.NDArray[np.float32], SparseLogProbs]:
    """Return the attention [E + 1, T] and the adapted candidates."""
    if heard.states is None:
        raise InputError("the model gives no states, which an adapter needs.")
    last, query = heard.states[-1], runner.query(heard.states)
    shares = runner.attention(last, query, heard.phone_log_probs, entities)
    adapted = runner.adapt(heard.tokens, last, query, heard.phone_log_probs, entities).tokens
    return shares, heard.tokens if adapted is None else adapted


def attention_line(one: Explained) -> dict[str, Any]:
    """Return the record that pipeline.report reads."""
    rows = [row for row in attention_page.shown(one) if row < len(one.entities)]
    return {
        "utterance_id": one.utterance_id,
        "frame_seconds": one.frame_seconds,
        "entities": [one.entities[row] for row in rows],
        "weights": [[round(float(share), 3) for share in one.shares[row]] for row in rows],
    }
