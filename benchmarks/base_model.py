"""The shipped base model alone, in one plain process: greedy WER, phone error rate, WER in beam search with the LM.

    python -m benchmarks.base_model ../shared/data/librispeech_test_clean_dev.parquet
    python -m benchmarks.base_model ../shared/data/librispeech_test_clean_dev.parquet --conditions all \\
        --kept-out ../shared/data/speechocean762.parquet ../shared/data/synth_flite.parquet

Encodes the audio itself, so that the speed is that of features, encoder and heads, and, where the audio is clean, of
decoding Opus. Speeds are of processor time: with one thread they do not depend on what else the machine does.
``--conditions`` are those of benchmarks.conditions; of the files ``--kept-out`` only the speakers are heard that no
training hears (pipeline.training.kept_out), as they were recorded.
"""

import argparse
import dataclasses
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import jiwer
import pyarrow.parquet as pq
import torch

from benchmarks.altered import decode
from benchmarks.conditions import CONDITIONS, Condition, Voice
from benchmarks.table import show
from pipeline.acoustic.interface import CtcModel
from pipeline.acoustic.loading import load_model
from pipeline.audio.decode import SAMPLE_RATE
from pipeline.config import AcousticConfig, BeamConfig, baseline
from pipeline.decoding.build import DECODERS
from pipeline.errors import InputError
from pipeline.lexicon.phones import PHONES
from pipeline.lexicon.pronunciation import Pronouncer
from pipeline.recognition.recogniser import Recogniser
from pipeline.text import normalise
from pipeline.training.kept_out import KEPT_OUT
from pipeline.types.emissions import Emissions
from pipeline.types.entity import EMPTY

VOICES = 60  # utterances that babble is made of
_COLUMNS = ["utterance_id", "speaker", "text", "audio"]


@dataclasses.dataclass(frozen=True)
class Heard:
    """One utterance's reference, length as it was heard, and emissions."""

    text: str
    seconds: float
    emissions: Emissions


@dataclasses.dataclass(frozen=True)
class Search:
    """A decoder without any entity list, and what its columns are called."""

    name: str
    text: Callable[[Emissions], str]


@dataclasses.dataclass
class Clock:
    """Processor seconds of what is measured, without what it is prepared with."""

    spent: float = 0.0

    def __enter__(self) -> None:
        self._started = time.process_time()

    def __exit__(self, *_: object) -> None:
        self.spent += time.process_time() - self._started


def rows_of(parquet: Path, most: int | None, speakers: frozenset[str] | None) -> list[dict[str, Any]]:
    """Return the rows of ``speakers`` (None: of all), encoded as they are, or ``most`` of them spread over the file.

    Raises InputError if there are none.
    """
    found = [
        row
        for batch in pq.ParquetFile(parquet).iter_batches(batch_size=64, columns=_COLUMNS)
        for row in batch.to_pylist()
        if speakers is None or row["speaker"] in speakers
    ]
    if not found:
        raise InputError(f"{parquet}: none of its speakers is kept out of training (pipeline/training/kept_out.py).")
    count = min(most or len(found), len(found))
    return [found[at * len(found) // count] for at in range(count)]


def hear(
    model: CtcModel, rows: Sequence[dict[str, Any]], condition: Condition, voices: Sequence[Voice], clock: Clock
) -> Iterator[Heard]:
    """Encode every row as ``condition`` has it; ``clock`` runs while audio is decoded and encoded."""
    for row in rows:
        with clock:
            spoken = decode(row)
        samples = condition(spoken, voices)
        with clock:
            (emissions,) = model.encode([samples])
        yield Heard(normalise(row["text"]), len(samples) / SAMPLE_RATE, emissions)


def phone_pairs(heard: list[Heard]) -> tuple[list[str], list[str]]:
    """Return references and hypotheses as phone numbers, so that jiwer counts phones.

    The reference of a word is its first pronunciation, as in training: what a speaker really said may be another.
    """
    pronouncer = Pronouncer()
    references, hypotheses = [], []
    for one in heard:
        phones = [phone for word in one.text.split() for phone in pronouncer.pronounce(word)[0]]
        references.append(" ".join(phones))
        hypotheses.append(" ".join(_phones(one.emissions)))
    return references, hypotheses


def _phones(emissions: Emissions) -> list[str]:
    if emissions.phone_log_probs is None:
        return []
    best = torch.unique_consecutive(torch.from_numpy(emissions.phone_log_probs.argmax(-1)))
    return [PHONES[number - 1] for number in best.tolist() if number]


def search(model: str, name: str, fused: bool) -> Search:
    """Return one decoder, alone or with the phone head's say in its n-best."""
    config = baseline()
    config = dataclasses.replace(
        config,
        acoustic=dataclasses.replace(config.acoustic, model=model),
        beam=dataclasses.replace(config.beam, decoder=name),
        phone_fusion=config.phone_fusion if fused else None,
    )
    parts = Recogniser.load(config, encodes=False).parts

    def text(emissions: Emissions) -> str:
        nbest = parts.decoder.decode(emissions.tokens, EMPTY)
        return parts.stage.finish(nbest, emissions, EMPTY)[0].text

    return Search(name + (" + phone fusion" if fused else ""), text)


def measure(heard: list[Heard], encoding: Clock, searches: Sequence[Search], phones: bool) -> dict[str, Any]:
    """Return error rates and speeds in x real time, by column."""
    seconds = sum(one.seconds for one in heard)
    row: dict[str, Any] = {"utterances": len(heard), "hours": seconds / 3600, "encode x": seconds / encoding.spent}
    if phones:
        row["phone error rate"] = jiwer.wer(*phone_pairs(heard))
    for one in searches:
        one.text(heard[0].emissions)  # compiled before the clock starts
        clock = Clock()
        with clock:
            texts = [one.text(utterance.emissions) for utterance in heard]
        row[f"WER, {one.name}"] = jiwer.wer([utterance.text for utterance in heard], texts)
        row[f"{one.name} x"] = seconds / max(1e-9, clock.spent)
    return row


def build_parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("audio", type=Path)
    parser.add_argument("--kept-out", nargs="*", default=[], type=Path, metavar="FILE")
    names = ", ".join(CONDITIONS)
    parser.add_argument(
        "--conditions", nargs="+", default=["clean"], choices=["all", *CONDITIONS], metavar="NAME", help=f"all, {names}"
    )
    parser.add_argument("--utterances", type=int, help="so many of each file, spread over it (default: all)")
    parser.add_argument("--model", default=AcousticConfig().model)
    parser.add_argument("--decoders", nargs="+", default=["greedy", BeamConfig().decoder], choices=DECODERS)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--json", type=Path)
    return parser


def main() -> None:
    options = build_parser().parse_args()
    torch.set_num_threads(options.threads)
    model = load_model(AcousticConfig(model=options.model))
    fusable = model.phones is not None
    kinds = [(name, fused) for name in options.decoders for fused in (False, True)]
    # Greedy search has one hypothesis, nothing to choose from.
    searches = [
        search(options.model, name, fused) for name, fused in kinds if not fused or (fusable and name != "greedy")
    ]
    chosen = list(CONDITIONS) if "all" in options.conditions else options.conditions
    sets = [(options.audio, None, name) for name in chosen] + [(file, KEPT_OUT, "clean") for file in options.kept_out]
    voices = [Voice(one.speaker, one.samples) for one in map(decode, rows_of(options.audio, VOICES, None))]
    rows = []
    for audio, speakers, name in sets:
        clock = Clock()
        utterances = rows_of(audio, options.utterances, speakers)
        heard = list(hear(model, utterances, CONDITIONS[name], voices, clock))
        about = audio.stem + (" (kept out)" if speakers else "")
        rows.append({"set": about, "condition": name, **measure(heard, clock, searches, fusable)})
        print(rows[-1], flush=True)
    show(f"base model {model.model_id}", rows, options.json)


if __name__ == "__main__":
    main()
