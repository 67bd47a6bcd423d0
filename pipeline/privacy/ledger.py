"""What has been released below one folder, charged before anything of it is written, against a budget.

``_ledger/NUMBER.parquet`` holds a row for every utterance that was charged: which noise it was released with,
pseudonyms of it, its speaker and recording, a keyed hash of its text, and what that cost. The same text with the same
noise is the same release, and costs nothing the second time; that is how a release that was killed finds its charges
made.
"""

import dataclasses
import math
from collections import defaultdict
from collections.abc import Iterable

import pyarrow as pa

from pipeline import storage
from pipeline.errors import ConfigError
from pipeline.privacy.config import Budget
from pipeline.privacy.release import Charge
from pipeline.storage import Location

FOLDER = "_ledger"
LEDGER = pa.schema(
    [
        pa.field("noise", pa.string(), metadata={"about": "mechanism, parameters, embeddings and key"}),
        pa.field("utterance", pa.string(), metadata={"about": "keyed pseudonym, as in the release"}),
        pa.field("text", pa.string(), metadata={"about": "keyed hash of the original text"}),
        pa.field("speaker", pa.string(), metadata={"about": "keyed pseudonym, null where it is not known"}),
        pa.field("recording", pa.string(), metadata={"about": "keyed pseudonym"}),
        pa.field("words", pa.int64(), metadata={"about": "of the text"}),
        pa.field(
            "epsilon", pa.float64(), metadata={"about": "words times what one costs; infinite where it has no bound"}
        ),
    ]
)


@dataclasses.dataclass
class Spent:
    """What is charged so far."""

    keys: set[tuple[str, str, str]] = dataclasses.field(default_factory=set)
    speakers: dict[str, float] = dataclasses.field(default_factory=lambda: defaultdict(float))
    recordings: dict[str, float] = dataclasses.field(default_factory=lambda: defaultdict(float))

    def add(self, charge: Charge, epsilon: float) -> bool:
        """Charge an utterance; False where it was charged already."""
        key = (charge.noise, charge.utterance, charge.text)
        if key in self.keys:
            return False
        self.keys.add(key)
        if charge.speaker is not None:
            self.speakers[charge.speaker] += epsilon
        self.recordings[charge.recording] += epsilon
        return True


def read(root: Location) -> pa.Table:
    """Return every row of the ledger below ``root``; raises StorageError."""
    return _rows(_files(root))


def _rows(files: list[Location]) -> pa.Table:
    return pa.concat_tables([LEDGER.empty_table(), *(storage.read_table(file) for file in files)])


def _files(root: Location) -> list[Location]:
    folder = root.join(FOLDER)
    if not storage.exists(folder):
        return []
    paths = [path for _, files in storage.walk_files(folder) for path, _ in files if path.endswith(".parquet")]
    return [Location(root.filesystem, path) for path in sorted(paths)]


def _after(files: list[Location]) -> int:
    """Return the number that the next file takes."""
    numbers = [stem for file in files if (stem := file.name.partition(".")[0]).isdigit()]
    return 1 + max(map(int, numbers), default=0)


def spent(rows: pa.Table) -> Spent:
    """Return what the rows of a ledger add up to."""
    found = Spent()
    for row in rows.to_pylist():
        epsilon = row.pop("epsilon")
        found.add(Charge(**row), epsilon)
    return found


def charge(root: Location, charges: Iterable[Charge], per_word: float, budget: Budget) -> int:
    """Write the charges that are not made yet, all of them or none, and return how many.

    Exports may charge at the same time, from any machines: each takes the next number, and who finds it taken reads
    the ledger again, with what the other has charged. Raises ConfigError where a speaker or a recording would go over
    the budget; nothing is charged then.
    """
    wanted = list(charges)
    while True:
        files = _files(root)
        total = spent(_rows(files))
        new = []
        for one in wanted:
            epsilon = one.words * per_word if one.words else 0.0
            if total.add(one, epsilon):
                new.append(dataclasses.asdict(one) | {"epsilon": epsilon})
        _refuse("speaker", total.speakers, budget.speaker, {row["speaker"] for row in new})
        _refuse("recording", total.recordings, budget.recording, {row["recording"] for row in new})
        if not new:
            return 0
        written = storage.parquet_bytes(pa.Table.from_pylist(new, schema=LEDGER))
        if storage.create_only(root.join(FOLDER, f"{_after(files):08d}.parquet"), written):
            return len(new)


def _refuse(kind: str, sums: dict[str, float], limit: float | None, touched: set[str | None]) -> None:
    """Raise ConfigError if anybody who is charged now would have spent more than ``limit``."""
    over = {name: value for name, value in sums.items() if limit is not None and value > limit and name in touched}
    if over:
        worst = max(over, key=lambda name: over[name])
        value = "no finite epsilon" if math.isinf(over[worst]) else f"epsilon {over[worst]:,.1f}"
        raise ConfigError(
            f"budget.{kind} is {limit:g}: {len(over):,} of {len(sums):,} {kind}s would have spent more, the most "
            f"(pseudonym {worst}) {value}. Nothing was written. Release fewer rows, lower epsilon, or raise the "
            "budget knowingly."
        )
