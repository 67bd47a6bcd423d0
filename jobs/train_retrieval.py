"""Train what retrieval from large lists reads: the weights of the cut, and the tree that leads to names.

    python -m jobs.train_retrieval --audio speech.parquet ... --names names.txt ... --leave-out spoken.txt \\
        --noise -2 12 --speeds 0.8 1 1.2 --utterances 600 --cache CACHE --output models/phonetics

``--audio`` is labelled speech that no one is judged on; it may be made harder, as a model makes few errors on what it
was trained on. Its words and ``--names``, without those of ``--leave-out``, are the large list on which the cut learns
what was said, and the background names of the tree. Names of several words should be among what is said: speech of
benchmarks/training_data/speak_names.py has them. Writes cut.json and tree.safetensors, which a configuration
names as cut.weights and tree.weights; ``--only`` makes one of them.
"""

import argparse
import dataclasses
import json
import random
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from jobs.cli.command import Result, job_parser, leave, run_command
from jobs.run.catalogs import build
from pipeline.acoustic.loading import load_tokens
from pipeline.audio.clips import as_wav
from pipeline.audio.decode import decode_audio
from pipeline.config import AcousticConfig, RunConfig, joint, override
from pipeline.entities.lists import load_entities
from pipeline.errors import InputError
from pipeline.lexicon.phones import phone_ids
from pipeline.lexicon.pronunciation import Pronouncer
from pipeline.recognition.recogniser import Recogniser
from pipeline.retrieval.ranked import Ranked
from pipeline.retrieval.windows import letters_of
from pipeline.schemas import AUDIO
from pipeline.storage import matching
from pipeline.training import cut_fit
from pipeline.training.adapter_states import Hardening
from pipeline.training.heard_names import Heard, count_confusions, heard_as, phrases
from pipeline.training.kept_out import KEPT_OUT
from pipeline.training.tree_fit import fit_tree, instances_of, joined, misheard
from pipeline.tuning.evaluation import Labelled, load_labelled_set
from pipeline.types.entity import Entity, EntityList
from pipeline.types.tokens import Tokens

PARTS = ("cut", "tree")
_ROWS = 64  # utterances encoded at a time
_LONGEST = 28.0  # seconds
_MEANS = [3.0, 10.0, 30.0, 100.0]  # candidates an utterance for which recall is shown
_COPIES = 3  # of each background name, the first as it is said
_MOST_PHONES = 40  # of a pronunciation that is learned from
_SAYINGS = 2  # pronunciations of a name


def build_parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = job_parser("train_retrieval", __doc__)
    parser.add_argument("--audio", metavar="A", nargs="+", required=True, help="AUDIO parquet with text; globs allowed")
    parser.add_argument("--names", metavar="LIST", nargs="+", required=True, help="entity lists of background names")
    parser.add_argument(
        "--leave-out", metavar="LIST", nargs="+", default=[], help="names that must not be learned from"
    )
    parser.add_argument("--model", metavar="DIR", default=AcousticConfig().model, help="acoustic model")
    parser.add_argument("--utterances", type=int, default=600, help="of each file, at most (default: %(default)s)")
    parser.add_argument("--speeds", nargs="+", type=float, default=[1.0], help="each utterance is heard at one of them")
    parser.add_argument("--noise", nargs=2, type=float, metavar=("LOW", "HIGH"), help="signal to noise range in dB")
    parser.add_argument(
        "--cache", metavar="C", type=Path, required=True, help="folder for first passes and the catalog"
    )
    parser.add_argument("--most-names", type=int, default=120_000, help="of the tree (default: %(default)s)")
    parser.add_argument("--only", choices=PARTS, help="make this part alone")
    parser.add_argument("--seed", type=int, default=0, help="default: %(default)s")
    parser.add_argument("--output", metavar="O", type=Path, required=True, help="folder to write to")
    return parser


def main(argv: list[str] | None = None) -> int:
    """Run the command; exit code 0, or 2 for bad input."""
    options = build_parser().parse_args(argv)
    return run_command(lambda: _train(options), options.json)


def _train(options: argparse.Namespace) -> Result:
    config = override(joint(), {"acoustic": {"model": options.model}})
    tokens = load_tokens(config.acoustic)
    files = [Path(file) for pattern in options.audio for file in matching(pattern)]
    if not files:
        raise InputError(f"--audio {' '.join(options.audio)}: no such file.")
    options.cache.mkdir(parents=True, exist_ok=True)
    options.output.mkdir(parents=True, exist_ok=True)
    speech = [one for file in files for one in _heard(file, options, config, tokens)]
    names = _names(options, tokens)
    made: dict[str, object] = {"utterances": len(speech), "names": len(names)}
    if options.only != "tree":
        made["recall"] = _cut(speech, names, options, config, tokens)
    if options.only != "cut":
        made["nodes"] = _tree(speech, names, options, tokens)
    return Result({**made, "output": str(options.output)})


def _names(options: argparse.Namespace, tokens: Tokens) -> list[str]:
    """Return the background names, normalised and sorted."""
    left_out = {name for path in options.leave_out for name in _listed(path, tokens)}
    names = {name for path in options.names for name in _listed(path, tokens)}
    if not names - left_out:
        raise InputError(f"--names {' '.join(options.names)}: nothing is left of them without --leave-out.")
    return sorted(names - left_out)


def _listed(path: str, tokens: Tokens) -> Iterator[str]:
    yield from (entity.text for entity in load_entities(path, alphabet=tokens.alphabet).corpus.entities)


def _heard(file: Path, options: argparse.Namespace, config: RunConfig, tokens: Tokens) -> list[Labelled]:
    """Return the first passes of a file's speech, made where they are not kept; kept-out speakers are not in it."""
    harder = Hardening(tuple(options.speeds), tuple(options.noise) if options.noise else None, noisy=0.8)
    target = options.cache / f"{file.stem}.{harder.name}.{options.utterances}.parquet"
    if not target.is_file():
        encoder = Recogniser.load(dataclasses.replace(config, adapter=None), transcribes=False).encoder
        rows = _rows(file, options.utterances)
        tables = []
        for at in range(0, len(rows), _ROWS):
            part = rows.slice(at, _ROWS)
            sounds = [_altered(row, harder) for row in part.to_pylist()]
            field, place = AUDIO.field("audio"), part.schema.get_field_index("audio")
            tables.append(encoder.encode(part.set_column(place, field, pa.array(sounds, field.type))))
        new = target.with_name(target.name + ".new")
        pq.write_table(pa.concat_tables(tables), new)
        new.replace(target)
    return list(load_labelled_set(str(target), str(file), alphabet=tokens.alphabet).utterances)


def _rows(file: Path, most: int) -> pa.Table:
    """Return AUDIO rows spread over a file."""
    columns = ["utterance_id", "speaker", "duration_seconds", "text", "audio"]
    with pq.ParquetFile(file) as parquet:
        if missing := [name for name in columns if name not in parquet.schema_arrow.names]:
            raise InputError(f"{file}: columns {missing} are missing; needed is AUDIO parquet with text.")
        known = parquet.read(columns=columns[:-1]).to_pylist()
    fitting = [
        at
        for at, row in enumerate(known)
        if row["text"] and row["speaker"] not in KEPT_OUT and (row["duration_seconds"] or 0.0) <= _LONGEST
    ]
    chosen = [fitting[at * len(fitting) // most] for at in range(most)] if most < len(fitting) else fitting
    return pq.read_table(file, columns=columns).take(chosen)


def _altered(row: dict[str, object], harder: Hardening) -> dict[str, object]:
    name, audio = str(row["utterance_id"]), row["audio"]
    assert isinstance(audio, dict)
    samples = harder.apply(decode_audio(audio["bytes"], name).samples, name)
    return {"bytes": as_wav(samples), "path": None}


def _cut(
    speech: Sequence[Labelled], names: Sequence[str], options: argparse.Namespace, config: RunConfig, tokens: Tokens
) -> dict[str, list[float]]:
    """Fit the cut on all speech, write it, and return recall at _MEANS by a fit on the other half of the utterances."""
    spoken = {word for one in speech for word in one.reference.text.split()}
    common = set(_common(speech))
    texts = sorted({*names, *(word for word in spoken - common if tokens.encoder(word))})
    listed = EntityList(tuple(Entity(text, text) for text in texts))
    catalog = build(listed, options.cache / "catalog" / listed.version, options.cache / "catalog", tokens)
    shortlister = Recogniser.load(config, encodes=False, transcribes=False).parts.shortlister
    ranked = next(one for one in shortlister.strategies if isinstance(one, Ranked))
    known, parts, said = set(texts), [], []
    for number, one in enumerate(speech):
        standing = phrases(one.reference.text.split()) & known
        named = standing - common
        parts.append(cut_fit.rows_of(ranked, one.heard, catalog, named, number, standing - named))
        said.append(len(named))
    weights = cut_fit.fit_cut(cut_fit.joined(parts))
    before = {name: weight for name, weight in zip(weights, ranked.weights, strict=True)}
    figures = {"before": _judged(parts, said, [before, before]), "after": _judged(parts, said)}
    content = {"date": datetime.now(UTC).date().isoformat(), "weights": weights}
    (options.output / "cut.json").write_text(json.dumps(content, indent=1))
    print(f"recall of {sum(said):,} names among {len(catalog):,} at {_MEANS} candidates an utterance: {figures}")
    return figures


def _judged(
    parts: list[cut_fit.CutRows], said: list[int], weights: list[dict[str, float]] | None = None
) -> list[float]:
    """Return the recall at _MEANS of two halves together, each by ``weights`` or by a fit on the other."""
    sides = [slice(0, None, 2), slice(1, None, 2)]
    rows = [cut_fit.joined(parts[side]) for side in sides]
    fitted = weights or [cut_fit.fit_cut(rows[1]), cut_fit.fit_cut(rows[0])]
    found = [
        cut_fit.recall_at(rows[at], fitted[at], sum(said[sides[at]]), len(said[sides[at]]), _MEANS) for at in (0, 1)
    ]
    return [round(float(np.mean(pair)), 3) for pair in zip(*found, strict=True)]


def _common(speech: Sequence[Labelled]) -> Iterator[str]:
    """Yield the words that are said in more than one utterance, and in one of a hundred: no names."""
    counts: dict[str, int] = {}
    for one in speech:
        for word in set(one.reference.text.split()):
            counts[word] = counts.get(word, 0) + 1
    yield from (word for word, count in counts.items() if count > max(1, len(speech) / 100))


def _tree(speech: Sequence[Labelled], names: Sequence[str], options: argparse.Namespace, tokens: Tokens) -> int:
    """Fit the tree, write it, and return how many nodes it has."""
    pronouncer = Pronouncer()
    heard = [pair for one in speech for pair in heard_as(one.heard, one.reference.text, tokens)]
    words = sorted({word for word, _, _ in heard})
    said: list[tuple[tuple[int, ...], tuple[int, ...]]] = []
    first: dict[str, int] = {}
    drawn = random.Random(options.seed).sample(names, min(len(names), options.most_names))
    for name in dict.fromkeys([*sorted(drawn), *words]):
        for phones in pronouncer.entity(Entity(name, name))[:_SAYINGS]:
            if 1 < len(phones) <= _MOST_PHONES:
                first.setdefault(name, len(said))
                said.append((tuple(phone_ids(phones).tolist()), tuple(letters_of(name).tolist())))
    confusions = count_confusions([(said[first[word]][0], phones) for word, phones, _ in heard if word in first])
    parts = [misheard(said, confusions, _COPIES, options.seed), instances_of(list(_instances(heard, first)))]
    model = fit_tree([phones for phones, _ in said], joined(parts), options.seed)
    model.save(options.output / "tree.safetensors")
    print(f"tree of {len(model.first):,} nodes from {len(said):,} pronunciations, {len(heard):,} words as heard")
    return len(model.first)


def _instances(heard: Sequence[Heard], first: dict[str, int]) -> Iterator[tuple[tuple[int, ...], tuple[int, ...], int]]:
    for word, phones, written in heard:
        if word in first:
            yield phones, tuple(letters_of(written).tolist()), first[word]


if __name__ == "__main__":
    leave(main())
