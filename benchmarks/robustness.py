"""What lists gain and cost where speech is not clean: the joint preset under the conditions of benchmarks.conditions.

    python -m benchmarks.robustness --data ../shared/data --json out/robustness.jsonl
    python -m benchmarks.robustness --conditions clean babble-10 --utterances 20

Test-clean-dev with the benchmark's lists of 100 under every condition, names_dev with its lists, and as they were
recorded the speakers of speechocean762 and the voice of Flite that no training hears (pipeline.training.kept_out),
with lists made for them (pipeline.training.made_lists). Each row has the rates without a list, ``plain_``, beside those
with it.
"""

import argparse
import functools
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from benchmarks.altered import decode, encode
from benchmarks.base_model import VOICES, rows_of
from benchmarks.conditions import CONDITIONS, Spoken, Voice
from benchmarks.joint_ablation import row
from benchmarks.table import Lines
from pipeline.config import baseline, joint
from pipeline.lexicon.pronunciation import Pronouncer
from pipeline.recognition.recogniser import Recogniser
from pipeline.training.kept_out import KEPT_OUT
from pipeline.training.made_lists import ListMaker
from pipeline.tuning.evaluation import LabelledSet, adapted, evaluate, load_labelled_set, with_lists
from pipeline.types.entity import EntityList

_CLEAN, _NAMES = "librispeech_test_clean_dev", "names_dev"
_STRANGERS = ("speechocean762", "synth_flite")
_RATES = ("wer", "u_wer", "b_wer", "f1", "precision", "recall", "false_accepts_per_hour")


class Bench:
    """Everything loaded once; ``most`` utterances of each set, or None for all."""

    def __init__(self, data: Path, most: int | None) -> None:
        self._data, self._most = data, most
        self._joint = Recogniser.load(joint())
        self._plain = Recogniser.load(baseline(), encodes=False).transcriber
        self._voices = [
            Voice(one.speaker, one.samples) for one in map(decode, rows_of(self._audio(_CLEAN), VOICES, None))
        ]

    def measure(self, name: str, condition: str) -> dict[str, Any]:
        """Return the rates of one set under one condition, without lists and with them."""
        audio = self._audio(name)
        rows = rows_of(audio, self._most, KEPT_OUT if name in _STRANGERS else None)
        with tempfile.TemporaryDirectory() as folder:
            heard = functools.partial(self._heard, condition)
            emissions = encode(rows, heard, self._joint.encoder, Path(folder) / "emissions.parquet")
            corpus = load_labelled_set(str(emissions), str(audio), self._lists(name))
        if name in _STRANGERS:
            made = made_lists(corpus)
            corpus = with_lists(corpus, made.__getitem__)
        plain = row("plain", name, evaluate(self._plain, corpus))
        adapter = self._joint.adapter
        biased = row("joint", name, evaluate(self._joint.transcriber, adapted(corpus, adapter) if adapter else corpus))
        about = name + (" (kept out)" if name in _STRANGERS else "")
        return {**biased, "set": about, "condition": condition, **{f"plain_{rate}": plain[rate][0] for rate in _RATES}}

    def _heard(self, condition: str, one: Spoken) -> Any:
        return CONDITIONS[condition](one, self._voices)

    def _audio(self, name: str) -> Path:
        return self._data / f"{name}.parquet"

    def _lists(self, name: str) -> str | None:
        return str(self._data / "is21_deep_bias" / "test-clean-dev.biasing_100.tsv") if name == _CLEAN else None


def made_lists(corpus: LabelledSet) -> Mapping[str, EntityList]:
    """Return a list for every utterance, by its id."""
    texts = {one.reference.utterance_id: one.reference.text.split() for one in corpus.utterances}
    maker = ListMaker(list(texts.values()), Pronouncer())
    return {name: maker.mixed(name, words) for name, words in texts.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--conditions", nargs="+", default=list(CONDITIONS), choices=list(CONDITIONS), metavar="NAME")
    parser.add_argument("--sets", nargs="+", default=[_CLEAN, _NAMES, *_STRANGERS], metavar="NAME")
    parser.add_argument("--utterances", type=int, help="so many of each file, spread over it (default: all)")
    parser.add_argument("--json", type=Path, help="JSON lines, a row as it is measured")
    parser.add_argument("--resume", action="store_true", help="what --json has is not measured again")
    options = parser.parse_args()
    torch.set_num_threads(1)
    lines, bench = Lines(options.json, options.resume), Bench(options.data, options.utterances)
    asked = [(name, one) for name in options.sets for one in options.conditions if name == _CLEAN or one == "clean"]
    for name, condition in asked:
        about = name + (" (kept out)" if name in _STRANGERS else "")
        if not lines.has(set=about, condition=condition):
            lines.add(bench.measure(name, condition))


if __name__ == "__main__":
    main()
