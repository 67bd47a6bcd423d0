"""Show where the contextual adapter looks in one utterance.

    python -m jobs.explain --audio corpus.parquet --utterance ID --entities names.txt --output page.html

Writes one HTML file: the entities of the utterance's shortlist against time, with the decoded words and ``<no-bias>``.
``--attention FILE`` adds a line for the report's plots (`python -m jobs.score --attention FILE`).
"""

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow.compute as pc
import pyarrow.parquet as pq

from jobs.cli.command import Result, job_parser, run_command
from jobs.run.preflight import OWN_LISTS
from pipeline import config as configuration
from pipeline import storage
from pipeline.acoustic.adapter_files import settle
from pipeline.acoustic.adapter_runner import AdapterRunner
from pipeline.audio.decode import decode_audio
from pipeline.config import RunConfig
from pipeline.decoding.greedy import GreedyDecoder
from pipeline.entities.lists import load_entities
from pipeline.errors import InputError
from pipeline.recognition.recogniser import Recogniser
from pipeline.report import attention_page
from pipeline.report.attention_page import Explained
from pipeline.text import ENGLISH
from pipeline.types.emissions import Emissions, SparseLogProbs
from pipeline.types.entity import EntityList


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    parser = job_parser("explain", __doc__)
    parser.add_argument("--audio", required=True, help="AUDIO parquet: a file, folder or glob")
    parser.add_argument("--utterance", required=True, metavar="ID")
    parser.add_argument("--entities", help="entity list or per-utterance lists; default: the audio's own list")
    parser.add_argument("--entities-column", metavar="NAME", help="column of the audio with the utterance's own list")
    parser.add_argument("--output", required=True, type=Path, metavar="HTML")
    parser.add_argument("--attention", type=Path, metavar="JSONL", help="append what was attended to to this file")
    parser.add_argument("--model", help="base model directory (default: the shipped one)")
    parser.add_argument("--adapter", help="adapter directory (default: the one beside the base)")
    parser.add_argument("--whole-list", action="store_true", help="all entities, not only the shortlist")
    return parser


def read_config(options: argparse.Namespace) -> RunConfig:
    """Return the adapter preset with the options put over it."""
    config = configuration.PRESETS["adapter"]()
    values: dict[str, Any] = {"adapter": {"model": options.adapter}} if options.adapter else {}
    if options.model:
        values["acoustic"] = {"model": options.model}
    if options.whole_list:
        values["shortlist"] = None
    return settle(configuration.override(config, values))


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


def explain(options: argparse.Namespace) -> Result:
    """Encode the utterance, let the adapter look, write the page."""
    config = read_config(options)
    row = find_row(options.audio, options.utterance)
    column = options.entities_column or (OWN_LISTS if options.entities is None else None)
    if options.entities_column and options.entities_column not in row:
        raise InputError(f"{options.audio}: has no column '{options.entities_column}'; it has {sorted(row)}.")
    source = load_entities(options.entities or None, alphabet=ENGLISH)
    entities = source.of(options.utterance, row.get(column) if column else None)
    one = explained(config, row, entities)
    options.output.write_text(attention_page.render(one), encoding="utf-8")
    if options.attention:
        with options.attention.open("a", encoding="utf-8") as lines:
            lines.write(json.dumps(attention_line(one), ensure_ascii=False) + "\n")
    print(f"{options.output}: {len(one.entities)} of {one.listed} entities, {one.shares.shape[1]} frames")
    return Result({"output": str(options.output), "entities": len(one.entities), "listed": one.listed})


def explained(config: RunConfig, row: dict[str, Any], entities: EntityList) -> Explained:
    """Return what is drawn of one row of audio."""
    recogniser = Recogniser.load(config, transcribes=False)
    model, adapter = recogniser.parts.model, recogniser.adapter
    if adapter is None:
        raise InputError("there is no adapter to explain; give one with --adapter.")
    waveform = decode_audio(row["audio"]["bytes"], row["utterance_id"])
    heard = model.encode([waveform.samples], with_states=True)[0]
    plausible = adapter.shortlister.shortlist(heard, entities).entities
    greedy = GreedyDecoder(model.tokens)
    shares, adapted = look(adapter.runner, heard, plausible)
    return Explained(
        row["utterance_id"], model.frame_seconds, tuple(entity.display_as for entity in plausible.entities), shares,
        greedy.decode(heard.tokens, plausible)[0].words, greedy.decode(adapted, plausible)[0].words, len(entities),
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


def main(argv: list[str] | None = None) -> int:
    options = build_parser().parse_args(argv)
    return run_command(lambda: explain(options), options.json)


if __name__ == "__main__":
    raise SystemExit(main())
