"""Whether a release and its ledger agree."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from pipeline.privacy import ledger
from pipeline.storage import Location

RECORD = "privacy.json"
"""What a release is, as JSON; its presence tells a release from a run."""


def problems(root: Location, record: Mapping[str, Any], rows: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    """Yield what is wrong with the rows of a release, given the ledger below ``root``.

    Every row must be charged, with as many words as it has; no row may be there twice, and no charge.
    """
    entries = ledger.read(root).to_pylist()
    keys = Counter((entry["noise"], entry["utterance"], entry["text"]) for entry in entries)
    twice = sum(count > 1 for count in keys.values())
    if twice:
        yield f"{ledger.FOLDER}: {twice:,} charges are there more than once"
    charged: dict[str, set[int]] = {}
    for entry in entries:
        if entry["noise"] == record["noise"]:
            charged.setdefault(entry["utterance"], set()).add(entry["words"])
        if entry["words"] == 0 and entry["epsilon"] != 0:
            yield f"{ledger.FOLDER}: {entry['utterance']} has no words and a charge of {entry['epsilon']}"
    seen: Counter[str] = Counter()
    uncharged = 0
    for row in rows:
        seen[row["utterance_id"]] += 1
        if row["text"] is not None and len(row["text"].split()) not in charged.get(row["utterance_id"], ()):
            uncharged += 1
    if uncharged:
        yield f"{uncharged:,} rows were released without a charge in {ledger.FOLDER}"
    repeated = sum(count > 1 for count in seen.values())
    if repeated:
        yield f"{repeated:,} utterances stand in the release more than once"
    if sum(seen.values()) != record["rows"]:
        yield f"{RECORD}: counts {record['rows']:,} rows, the files hold {sum(seen.values()):,}"
