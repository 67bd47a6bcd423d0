"""The shipped base model alone, in one plain process: greedy WER, phone error rate, WER in beam search with the LM.

    python -m benchmarks.base_model ../shared/data/librispeech_test_clean_dev.parquet

Encodes the audio itself, so that the speed is that of decoding Opus, features, encoder and heads. Speeds are of
processor time: with one thread they do not depend on what else the machine does.
"""

import argparse
import dataclasses
import time
from collections.abc import Iterator
from pathlib import Path

import jiwer
import pyarrow.parquet as pq
import torch

from benchmarks.table import show
from pipeline.acoustic.interface import CtcModel
from pipeline.acoustic.loading import load_model
from pipeline.audio.decode import decode_audio
from pipeline.config import AcousticConfig, BeamConfig, baseline
from pipeline.decoding.build import DECODERS
from pipeline.lexicon.phones import PHONES
from pipeline.lexicon.pronunciation import Pronouncer
from pipeline.recognition.recogniser import Recogniser
from pipeline.text import normalise
from pipeline.types.emissions import Emissions
from pipeline.types.entity import EMPTY


@dataclasses.dataclass(frozen=True)
class Heard:
    """One utterance's reference, length and emissions."""

    text: str
    seconds: float
    emissions: Emissions


def hear(model: CtcModel, parquet: Path) -> Iterator[Heard]:
    """Encode every row."""
    for batch in pq.ParquetFile(parquet).iter_batches(batch_size=64, columns=["utterance_id", "text", "audio"]):
        for row in batch.to_pylist():
            waveform = decode_audio(row["audio"]["bytes"], row["utterance_id"])
            (emissions,) = model.encode([waveform.samples])
            yield Heard(normalise(row["text"]), waveform.duration_seconds, emissions)


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


def decoded(name: str, fused: bool, model: CtcModel, heard: list[Heard]) -> dict[str, str | float]:
    """Return the row of one decoder without any entity list, alone or with the phone head's say in its n-best."""
    config = baseline()
    config = dataclasses.replace(config, beam=dataclasses.replace(config.beam, decoder=name))
    config = config if fused else dataclasses.replace(config, phone_fusion=None)
    parts = Recogniser.load(config, encodes=False).parts

    def text(one: Heard) -> str:
        nbest = parts.decoder.decode(one.emissions.tokens, EMPTY)
        return parts.stage.finish(nbest, one.emissions, EMPTY)[0].text

    text(heard[0])  # compiled before the clock starts
    started = time.process_time()
    texts = [text(one) for one in heard]
    spent = time.process_time() - started
    what = f"WER, {name}" + (" + phone fusion" if fused else "")
    rate = jiwer.wer([one.text for one in heard], texts)
    return {"what": what, "rate": rate, "x_real_time": sum(one.seconds for one in heard) / spent}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("audio", type=Path)
    parser.add_argument("--model", default=AcousticConfig().model)
    parser.add_argument("--decoders", nargs="+", default=["greedy", BeamConfig().decoder], choices=DECODERS)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    model = load_model(AcousticConfig(model=options.model))
    started = time.process_time()
    heard = list(hear(model, options.audio))
    spent, seconds = time.process_time() - started, sum(one.seconds for one in heard)
    rows: list[dict[str, str | float]] = [{"what": "encode", "rate": "", "x_real_time": seconds / spent}]
    if model.phones:
        references, hypotheses = phone_pairs(heard)
        rows.append({"what": "phone error rate", "rate": jiwer.wer(references, hypotheses), "x_real_time": ""})
    for name in options.decoders:
        rows.append(decoded(name, False, model, heard))
        if model.phones and name != "greedy":  # greedy search has one hypothesis, nothing to choose from
            rows.append(decoded(name, True, model, heard))
    show(f"base model {model.model_id} on {options.audio.name}", rows, options.json)


if __name__ == "__main__":
    main()
