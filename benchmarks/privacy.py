"""Private exports against their bars: audits, speed, names, utility and attacks, mechanism by mechanism.

    python -m benchmarks.privacy --data ../shared/data --output out/privacy.json

`--data` holds names_dev.parquet, librispeech_test_clean_dev.parquet and the training sets beside them. One core, some
eight minutes. Texts are references, so that the figures are of the mechanisms and not of a recogniser.
"""

import argparse
import json
import math
import random
import re
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.config import LanguageModelConfig
from pipeline.decoding.language_model import load_language_model
from pipeline.privacy import attacks, utility
from pipeline.privacy.config import DISTANCE, KARY, WITHIN, PrivacyConfig, Truncate
from pipeline.privacy.embeddings import Embeddings, load, regrouped
from pipeline.privacy.gumbel import TruncatedGumbel
from pipeline.privacy.lists import surrogates
from pipeline.privacy.mechanism import Mechanism
from pipeline.privacy.mechanisms import build
from pipeline.privacy.partition import GROUP
from pipeline.privacy.release import Releaser
from pipeline.schemas import TRANSCRIPTS
from pipeline.text import normalise

KEYS, COMPARED_KEYS, SPLITS = 20, 5, 8
NAMES = re.findall(
    r"\w+",
    """stephen dedalus james jesus christ francis xavier hickey ardle keogh ireland europe stephanos hawkeye
    chingachgook uncas david jasper poyser dinah morris martha mary molly twite ike tommy totty rachel hanna irwine
    donnithorne rosseter turner whitney phronsie polly percy john bergson alexandra marie emil frank carl york hamburg
    liedenbrock hans alice mabel luther paul mohammed yorkshire southey robert keswick haworth anne brontes tabby
    charlotte branwell mainhall alexander hilda irene burgoyne harry bartley westmere winifred chelsea mike rhone paris
    mersey queenstown kate horton sandford woodley carey popham henry england cyril charlestown natty harmon ralph
    thurston rufus kathleen horace nancy servadac burgos montmartre ben dobryna zoof procope algeria france rodolfo
    leocadia luis estafania kenneth beth watson tom lucy fairview markham rogers marshall hopkins reynolds seth forbes
    louise elmhurst jane elizabeth eliza maria delia andella rosalie anders jack colbert aignan villeroy louis valliere
    tonnay charente montalais bragelonne coralie venice adona thel lilly ruth""",
)
"""People and places of test-clean-dev, marked by hand among its words that are not of the commonest ones."""


def label(config: PrivacyConfig) -> str:
    return config.inside if config.mechanism == "grouped" else config.mechanism


def key(number: int) -> bytes:
    return number.to_bytes(32, "big")


def rows_of(texts: Sequence[str], entities: Sequence[Sequence[str]] | None = None) -> pa.Table:
    """Transcripts with these texts; an entity is found wherever it stands."""
    rows = []
    for number, text in enumerate(texts):
        found = []
        for entity in entities[number] if entities else ():
            words, parts = text.split(), entity.split()
            for at in range(len(words) - len(parts) + 1):
                if words[at : at + len(parts)] == parts:
                    found.append({"entity": entity, "start_word": at, "end_word": at + len(parts)})
        rows.append({"utterance_id": f"u{number}", "text": text, "entities": found, "recording_id": f"u{number}"})
    return pa.Table.from_pylist(rows, schema=TRANSCRIPTS)


def private(table: pa.Table, config: PrivacyConfig, mechanism: Mechanism, number: int) -> list[str]:
    """The private texts, in the order of the rows."""
    releaser = Releaser(config, key(number), {}, mechanism)
    order = {charge.utterance: at for at, charge in enumerate(releaser.charges(table))}
    found = [""] * len(order)
    for row in releaser.private(table).to_pylist():
        found[order[row["utterance_id"]]] = row["text"]
    return found


def audits(embeddings: Any) -> list[dict[str, Any]]:
    settings = [PrivacyConfig(epsilon=epsilon, within=w) for epsilon in (1.0, 3.0, 10.0) for w in WITHIN]
    settings += [PrivacyConfig("tem", epsilon) for epsilon in (1.0, 3.0, 10.0)]
    settings += [PrivacyConfig(name, 3.0, prior="kde") for name in ("grouped", "tem", "laplace")]
    settings += [PrivacyConfig(name, 3.0, truncate=Truncate(distance=2.5)) for name in ("grouped", "tem")]
    settings += [PrivacyConfig("laplace", 3.0), PrivacyConfig("redact"), PrivacyConfig("truncated_gumbel", 300.0)]
    found = []
    for config in settings:
        mechanism = build(config, embeddings)
        audit = mechanism.audit()
        line = {"mechanism": config.mechanism, "parameters": config.parameters, "claimed": audit.claimed}
        line |= {
            "audited": audit.measured,
            "exceeds": audit.exceeds,
            "all_pairs": audit.all_pairs,
            "alone": audit.alone,
        }
        if isinstance(mechanism, TruncatedGumbel):
            line["pairs_above_claim"] = mechanism.share_above_claim(utility.sample_of(embeddings, 200))
        print(line, flush=True)
        found.append(line)
    return found


def chi_squares(embeddings: Any) -> dict[str, Any]:
    """200 words with noise of the keyed hash's quality; statistic and degrees of freedom, summed.

    500 draws each, 20,000 where a thousand words can come out, so that five or more of most are expected.
    """
    words, found = utility.sample_of(embeddings, 200), {}
    for config in (PrivacyConfig(), PrivacyConfig(within=KARY), PrivacyConfig("tem", 6.0)):
        mechanism, draws = build(config, embeddings), 20_000 if config.is_nearest else 500
        random_bits, statistic, freedom = np.random.default_rng(1), 0.0, 0
        for at in range(len(words)):
            word = words[at : at + 1]
            bits = random_bits.integers(0, 2**64, (draws, 4), np.uint64)
            counts = np.bincount(mechanism.draw(np.repeat(word, draws), bits), minlength=len(embeddings)).astype(float)
            line = mechanism.probabilities(word)[0] * draws
            rare = line < 5
            seen, wanted = np.append(counts[~rare], counts[rare].sum()), np.append(line[~rare], line[rare].sum())
            kept = wanted > 1e-6
            statistic += float(((seen - wanted)[kept] ** 2 / wanted[kept]).sum())
            freedom += int(kept.sum()) - 1
        part = 2 / (9 * freedom)
        limit = freedom * (1 - part + 3.0902 * math.sqrt(part)) ** 3
        found[label(config)] = {"draws": draws, "statistic": statistic, "freedom": freedom, "limit_99.9%": limit}
    return found


def speed(
    table: pa.Table, texts: Sequence[str], mechanisms: dict[str, tuple[PrivacyConfig, Mechanism]]
) -> dict[str, Any]:
    words, found = sum(len(text.split()) for text in texts), {}
    for name, (config, mechanism) in mechanisms.items():
        releaser = Releaser(config, key(1), {}, mechanism)
        releaser.private(table.slice(0, 5))
        began = time.process_time()
        releaser.private(table)
        found[name] = round(words / (time.process_time() - began) * 60)
        print(name, f"{found[name]:,} words a minute", flush=True)
    return found


def stayed(texts: Sequence[str], entities: Sequence[Sequence[str]], names: set[str], off: bool) -> dict[str, Any]:
    """How often names stand at their own position, by the default; ``off``: with half of the names on no list."""
    kept = {name for at, name in enumerate(sorted({n for e in entities for n in e})) if not off or at % 2}
    lists = [[name for name in line if name in kept] for line in entities]
    table, same, total, config = rows_of(texts, lists), 0, 0, PrivacyConfig()
    mechanism = build(config, load())
    for number in range(COMPARED_KEYS):
        for text, other in zip(texts, private(table, config, mechanism, number), strict=True):
            for word, written in zip(text.split(), other.split(), strict=True):
                if word.removesuffix("'s") in names and (not off or word not in kept):
                    total, same = total + 1, same + (word.removesuffix("'s") == written.removesuffix("'s"))
    expected = total / min(len(surrogates()[kind]) for kind in ("given", "family", "city", "medicine"))
    return {"positions": total, "same": same, "limit_99%": expected + 2.33 * math.sqrt(expected) + 1}


def domain_task(data: Path) -> tuple[pa.Table, Callable[[Sequence[str]], float]]:
    """names_dev: domain of a sentence, carriers of training and test disjoint, both ways."""
    rows = pq.read_table(data / "names_dev.parquet", columns=["text", "domain", "entities"]).to_pylist()
    carriers = []
    for row in rows:
        carrier = row["text"]
        for entity in sorted(row["entities"], key=len, reverse=True):
            carrier = carrier.replace(entity, "_")
        carriers.append(carrier)
    half = {carrier: at % 2 for at, carrier in enumerate(sorted(set(carriers)))}
    sides = [half[carrier] for carrier in carriers]

    def measure(texts: Sequence[str]) -> float:
        found = []
        for side in (0, 1):
            train = [utility.Labelled(texts[at], row["domain"]) for at, row in enumerate(rows) if sides[at] == side]
            test = [utility.Labelled(row["text"], row["domain"]) for at, row in enumerate(rows) if sides[at] != side]
            found.append(utility.accuracy(train, test, load()))
        return float(np.mean(found))

    return rows_of([row["text"] for row in rows], [row["entities"] for row in rows]), measure


def source_task(data: Path) -> tuple[pa.Table, Callable[[Sequence[str]], float]]:
    """Which of three corpora a sentence is of: 300 of each, every second one to train."""
    texts, labels = [], []
    for name in ("librispeech_train_clean_5", "ljspeech_part1", "speechocean762"):
        column = pq.read_table(data / f"{name}.parquet", columns=["text"])["text"].to_pylist()
        chosen = random.Random(4).sample([normalise(text) for text in column], 300)
        texts, labels = texts + chosen, labels + [name] * 300

    def measure(private_texts: Sequence[str]) -> float:
        train = [utility.Labelled(private_texts[at], labels[at]) for at in range(0, len(labels), 2)]
        test = [utility.Labelled(texts[at], labels[at]) for at in range(1, len(labels), 2)]
        return utility.accuracy(train, test, load())

    return rows_of(texts), measure


Split = tuple[dict[str, list[int]], dict[str, list[int]]]


def splits(ids: Sequence[str]) -> list[Split]:
    """Sentences of each speaker that an attacker knows, and 15 others at most, in several ways.

    One speaker is 5 points in each. Sentences of one chapter stand on both sides, so that topics help as much as style.
    """
    found = []
    for number in range(SPLITS):
        known: dict[str, list[int]] = {}
        unknown: dict[str, list[int]] = {}
        for speaker in sorted({name.split("-")[0] for name in ids}):
            own = [at for at, name in enumerate(ids) if name.split("-")[0] == speaker]
            if number > 1:
                random.Random(number).shuffle(own)
            known[speaker], unknown[speaker] = own[number % 2 :: 2], own[1 - number % 2 :: 2][:15]
        found.append((known, unknown))
    return found


def chosen(texts: Sequence[str], sides: dict[str, list[int]]) -> dict[str, list[str]]:
    return {name: [texts[at] for at in places] for name, places in sides.items()}


def linkage(texts: Sequence[str], ids: Sequence[str], private_texts: Sequence[str]) -> float:
    """Speakers of private texts, linked to originals of other sentences by words; chance is one in the speakers."""
    return float(
        np.mean(
            [attacks.linked(chosen(texts, known), chosen(private_texts, unknown)) for known, unknown in splits(ids)]
        )
    )


def linkages(
    texts: Sequence[str],
    ids: Sequence[str],
    released: Sequence[Sequence[str]],
    mechanism: Mechanism | None,
    embeddings: Embeddings,
    tells_groups: bool,
) -> dict[str, float]:
    """By every attacker, the mean over releases (keys) and splits; for None: of texts as they are."""
    found = {"by words": float(np.mean([linkage(texts, ids, one) for one in released]))}
    found["style by words"] = float(np.mean([style(texts, ids, one) for one in released]))
    if tells_groups:
        told = attacks.in_groups(texts, embeddings)
        found |= {"by groups": linkage(told, ids, told), "style by groups": style(told, ids, told)}
    if mechanism is None or len(mechanism.outputs) == len(embeddings):
        hits = []
        for known, unknown in splits(ids):
            attacker = attacks.ByChannel.of(chosen(texts, known), embeddings, mechanism)
            hits += [attacker.linked(chosen(one, unknown)) for one in released]
        found["by channel"] = float(np.mean(hits))
    return found


def style(texts: Sequence[str], ids: Sequence[str], private_texts: Sequence[str]) -> float:
    """The same with chapters apart: the last chapter of a speaker is private, those before it are known."""
    chapters: dict[str, list[str]] = {}
    for name in ids:
        speaker, chapter, _ = name.split("-")
        if chapter not in chapters.setdefault(speaker, []):
            chapters[speaker].append(chapter)
    known: dict[str, list[str]] = {}
    unknown: dict[str, list[str]] = {}
    for at, name in enumerate(ids):
        speaker, chapter, _ = name.split("-")
        if len(chapters[speaker]) > 1:
            is_last = chapter == chapters[speaker][-1]
            (unknown if is_last else known).setdefault(speaker, []).append(private_texts[at] if is_last else texts[at])
    return attacks.linked(known, unknown)


def moved(texts: Sequence[str], private_texts: Sequence[str], embeddings: Embeddings) -> float:
    """The mean distance from the words of texts to what came out, where the vocabulary has both."""
    pairs = np.array(
        [
            (embeddings.ids[a], embeddings.ids[b])
            for one, other in zip(texts, private_texts, strict=True)
            for a, b in zip(one.split(), other.split(), strict=True)
            if a in embeddings.ids and b in embeddings.ids
        ]
    )
    apart = (embeddings.vectors[pairs[:, 0]].astype(float) - embeddings.vectors[pairs[:, 1]]) * embeddings.scale
    return float(np.linalg.norm(apart, axis=1).mean())


def named_config(name: str, epsilon: float) -> PrivacyConfig:
    return PrivacyConfig(epsilon=epsilon, within=name) if name in WITHIN else PrivacyConfig(name, epsilon)


def solve(success: Callable[[float], float], target: float, low: float, high: float) -> float:
    """Return the epsilon at which an attacker is right so often."""
    for _ in range(9):
        middle = math.sqrt(low * high)
        low, high = (middle, high) if success(middle) < target else (low, middle)
    return math.sqrt(low * high)


def reconstruction(
    texts: Sequence[str], config: PrivacyConfig, mechanism: Mechanism, names: set[str]
) -> dict[str, Any]:
    """Words and names of every third sentence, by Viterbi over channel times language model and by the latter alone."""
    embeddings, model = load(), load_language_model(LanguageModelConfig()).model
    shares = utility.frequencies(texts, embeddings)
    common = [name for name, _ in Counter(w for text in texts for w in text.split() if w in names).most_common(50)]
    texts = texts[::3]
    table = rows_of(texts)
    releaser = Releaser(config, key(1), {}, mechanism)
    tagged = {row["utterance_id"]: row for row in releaser.private(table).to_pylist()}
    order = [charge.utterance for charge in releaser.charges(table)]
    hits: Counter[str] = Counter()
    for text, name in zip(texts, order, strict=False):
        row = tagged[name]
        masked = {at for tag in row["tags"] for at in range(tag["start_word"], tag["end_word"])}
        even = attacks.Candidates(common, [0.0] * len(common))
        places, blind = [], []
        for at, written in enumerate(row["text"].split()):
            known = at not in masked and written.removesuffix("'s") in embeddings.ids
            word = embeddings.ids[written.removesuffix("'s")] if known else -1
            one = attacks.candidates(mechanism, word, shares) if known else even
            places.append(one)
            near = attacks.Candidates(one.words, [0.0] * len(one.words))
            blind.append(near if known else even)
        for kind, found in (("attack", places), ("alone", blind)):
            for word, guess in zip(text.split(), attacks.reconstruct(found, model), strict=True):
                group = "name" if word in names else "word"
                hits[f"{kind} {group}"] += word == guess
        hits["name"] += sum(word in names for word in text.split())
        hits["word"] += sum(word not in names for word in text.split())
    return dict(hits)


def main() -> None:
    """Measure, print, and write all figures as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--parts", nargs="*", default=["names", "speed", "chi", "utility", "groups", "equal", "audits"])
    parser.add_argument("--mechanisms", nargs="*", help="of the parts utility and equal; default: every one")
    arguments = parser.parse_args()
    embeddings = load()
    clean = pq.read_table(arguments.data / "librispeech_test_clean_dev.parquet", columns=["utterance_id", "text"])
    texts, ids = [normalise(text) for text in clean["text"].to_pylist()], clean["utterance_id"].to_pylist()
    table, found, began = rows_of(texts), {}, time.time()
    domain_rows, domain = domain_task(arguments.data)
    source_rows, source = source_task(arguments.data)
    prior = attacks.Prior.of(Counter(word for text in texts for word in text.split()), embeddings)

    def note(name: str, value: Any) -> None:
        found[name] = value
        print(f"{time.time() - began:.0f} s {name}: {json.dumps(value)}", flush=True)
        arguments.output.parent.mkdir(parents=True, exist_ok=True)
        arguments.output.write_text(json.dumps(found, indent=1))

    def is_wanted(name: str) -> bool:
        return arguments.mechanisms is None or name in arguments.mechanisms

    def everything(config: PrivacyConfig, near: Embeddings) -> dict[str, float]:
        """Utility by 20 keys, attacks by 5 keys and 8 splits."""
        mechanism = build(config, near)
        runs = [private(domain_rows, config, mechanism, number) for number in range(KEYS)]
        line = {"changed": utility.changed(domain_rows["text"].to_pylist(), runs[0])}
        tasks = {"domain": [domain(run) for run in runs]}
        tasks["source"] = [source(private(source_rows, config, mechanism, number)) for number in range(KEYS)]
        for task, values in tasks.items():
            line |= {task: float(np.mean(values)), f"{task}, error": float(np.std(values) / math.sqrt(KEYS))}
        released = [private(table, config, mechanism, number) for number in range(COMPARED_KEYS)]
        tells_groups = config.mechanism == "grouped" and not config.is_nearest
        line |= linkages(texts, ids, released, mechanism, near, tells_groups)
        if len(mechanism.outputs) == len(near):
            line["moved"] = moved(texts, released[0], near)
        return line

    if "names" in arguments.parts:
        named = [[word for word in set(text.split()) if word in NAMES] for text in texts]
        rows = pq.read_table(arguments.data / "names_dev.parquet", columns=["text", "entities"]).to_pylist()
        spoken = {word for row in rows for entity in row["entities"] for word in entity.split()}
        dev = ([row["text"] for row in rows], [row["entities"] for row in rows], spoken)
        for name, case in (("test-clean-dev", (texts, named, set(NAMES))), ("names_dev", dev)):
            note(f"names, {name}, on the list", stayed(*case, off=False))
            note(f"names, {name}, those off the list", stayed(*case, off=True))
        for config in (PrivacyConfig(), PrivacyConfig(within=KARY)):
            said = reconstruction(texts, config, build(config, embeddings), set(NAMES))
            note(f"reconstruction, {label(config)}", said)
    if "speed" in arguments.parts:
        large = pa.concat_tables(
            [
                table.set_column(0, table.schema.field(0), pa.array([f"{at}-{n}" for n in range(len(table))]))
                for at in range(4)
            ]
        )
        settings = {
            "nearest": PrivacyConfig(),
            "kary": PrivacyConfig(within=KARY),
            "tem": PrivacyConfig("tem", 6.0),
            "laplace": PrivacyConfig("laplace", 6.0),
        }
        built = {name: (config, build(config, embeddings)) for name, config in settings.items()}
        note("words a minute", speed(large, texts * 4, built))
    if "chi" in arguments.parts:
        note("chi-square of 200 words", chi_squares(embeddings))
    if "utility" in arguments.parts:
        original = {
            "domain": domain(domain_rows["text"].to_pylist()),
            "source": source(source_rows["text"].to_pylist()),
        }
        note("original", original | linkages(texts, ids, [texts], None, embeddings, True))
        steps = {"nearest": (0.5, 1.0, 2.0, 3.0, 5.0, 10.0), "kary": (0.5, 1.0, 2.0, 3.0, 5.0, 10.0)}
        steps |= {"distance": (3.0,), "tem": (1.0, 3.0, 6.0, 10.0), "laplace": (5.0, 10.0, 20.0, 40.0)}
        steps |= {"truncated_gumbel": (300.0, 1000.0), "redact": (1.0,)}
        for name, epsilons in steps.items():
            for epsilon in epsilons if is_wanted(name) else ():
                note(f"{name} at {epsilon:g}", everything(named_config(name, epsilon), embeddings))
    if "groups" in arguments.parts:
        note("nearest at 3", everything(PrivacyConfig(), embeddings))
        for size in (GROUP, 1000):
            near = embeddings if size == GROUP else regrouped(embeddings, size)
            for within in (KARY, DISTANCE):
                note(f"groups of {size} at 3, {within}", everything(PrivacyConfig(within=within), near))
    if "equal" in arguments.parts:
        bits = np.random.default_rng(2).integers(0, 2**64, (attacks.DRAWS, 4), np.uint64)
        ranges = {"nearest": (1.0, 14.0), "kary": (0.3, 8.0), "tem": (1.0, 30.0), "laplace": (5.0, 200.0)}
        for target in (0.3, 0.5):
            for name, (low, high) in ranges.items():
                if not is_wanted(name):
                    continue

                def success(epsilon: float, name: str = name) -> float:
                    return attacks.bayes_success(build(named_config(name, epsilon), embeddings), prior, bits)

                config = named_config(name, solve(success, target, low, high))
                audit = build(config, embeddings).audit()
                line = {"epsilon": config.epsilon, "right": success(config.epsilon)} | everything(config, embeddings)
                note(
                    f"{name} where {target:.0%} are guessed",
                    line | {"loss_all_pairs": audit.all_pairs, "charge": audit.charge},
                )
    if "audits" in arguments.parts:
        note("audits", audits(embeddings))


if __name__ == "__main__":
    main()
