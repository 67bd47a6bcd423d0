"""The folder of reviews: a file per import, named by its content, and what holds over all of them.

OUTPUT/reviews/*.parquet (REVIEWS), OUTPUT/heard/<run>.parquet (AUDIO with text), OUTPUT/missed.csv. An import never
changes what another one said. Which reviews are superseded and which contradict each other is seen over the whole
folder, so that the order of imports does not matter: it is marked in ``error`` at every import, and anew when read.
"""

import dataclasses
import datetime
import hashlib
import itertools
import json
from collections.abc import Iterable, Iterator, Sequence

import pyarrow as pa

from pipeline import storage
from pipeline.errors import InputError
from pipeline.review.check import Review
from pipeline.schemas import REVIEWS, conform
from pipeline.storage import Location
from pipeline.storage.s3_options import Options
from pipeline.text import Alphabet, normalise

SUPERSEDED, CONFLICT = "superseded: ", "conflict: "
"""How the errors begin that the other reviews are the reason of, not the review itself."""
_SAME = 0.5  # of the shorter span that two reviews must share to be about the same words
_BEGINNING = datetime.datetime.min.replace(tzinfo=datetime.UTC)
Files = dict[str, list[Review]]
"""Reviews by the name of their file."""


@dataclasses.dataclass(frozen=True)
class ReviewsFolder:
    """What lies where."""

    root: Location

    @property
    def reviews(self) -> Location:
        return self.root.join("reviews")

    @property
    def missed(self) -> Location:
        """The names that were missed, as an entity list."""
        return self.root.join("missed.csv")

    def heard(self, run: str) -> Location:
        """AUDIO of the utterances of a run that were heard whole, with their text."""
        return self.root.join("heard", f"{hashlib.sha256(run.encode()).hexdigest()[:16]}.parquet")

    def add(self, reviews: Sequence[Review], alphabet: Alphabet) -> Files:
        """Add an import and return all reviews, marked; the same import again changes nothing. Raises StorageError."""
        before = _read(list(storage.walk_parquet(self.reviews))) if storage.exists(self.reviews) else {}
        name = _name(reviews)
        files = mark(before | {name: list(reviews)} if reviews else before, alphabet)
        for file, rows in files.items():
            if rows != before.get(file):
                table = pa.Table.from_pylist(rows, schema=REVIEWS)
                storage.write_atomic(self.reviews.join(file), storage.parquet_bytes(table))
        return files


def read_reviews(path: str, alphabet: Alphabet, options: Options | None = None) -> Files:
    """Return the reviews of a folder that review-import wrote, or of REVIEWS parquet, marked.

    Raises InputError or StorageError.
    """
    folder = ReviewsFolder(storage.open_filesystem(path, options)).reviews
    if storage.exists(folder):
        return mark(_read(list(storage.walk_parquet(folder))), alphabet)
    return mark(_read(storage.list_parquet(path, options)), alphabet)


def version_of(files: Files) -> str:
    """Return a hash of what reviews say."""
    return hashlib.sha256("\n".join(sorted(files)).encode()).hexdigest()[:16]


def _read(locations: Iterable[Location]) -> Files:
    files: Files = {}
    for location in locations:
        try:
            table = storage.read_table(location)
        except pa.ArrowInvalid as error:
            raise InputError(f"{location.uri}: cannot be read as parquet ({error}).") from error
        needed = ("utterance_id", "audio_sha256", "start_seconds", "end_seconds", "verdict")
        rows = conform(table, REVIEWS, needed, location.uri).to_pylist()
        files[_name(rows) if location.name in files else location.name] = rows
    return files


def _name(reviews: Sequence[Review]) -> str:
    """A file's name: a hash of what it says, without what others made of it."""
    content = json.dumps([_unmarked(one) for one in reviews], default=str, sort_keys=True)
    return f"{hashlib.sha256(content.encode()).hexdigest()[:16]}.parquet"


def _unmarked(review: Review) -> Review:
    error = review["error"]
    return review | {"error": None if error and error.startswith((SUPERSEDED, CONFLICT)) else error}


def mark(files: Files, alphabet: Alphabet) -> Files:
    """Return all reviews with ``error`` set where another one takes their place or contradicts them.

    Of two reviews of one reviewer about one name, the later counts. Of reviews that contradict each other, whoever they
    are of, none counts until one of them is taken back by a later one of the same reviewer.
    """
    found = {name: [_unmarked(one) for one in files[name]] for name in sorted(files)}
    places: dict[str, list[Review]] = {}
    for one in itertools.chain.from_iterable(found.values()):
        if one["error"] is None:
            places.setdefault(one["audio_sha256"] or f"{one['run']} {one['utterance_id']}", []).append(one)
    for reviews in places.values():
        reviews.sort(key=lambda one: one["reviewed_at"] or _BEGINNING)  # stable: of equal times the last one read
        _mark(reviews, alphabet)
    return found


def _mark(reviews: list[Review], alphabet: Alphabet) -> None:
    for first, second in itertools.combinations(reviews, 2):
        if first["error"] is None and _takes_its_place(first, second):
            first["error"] = f"{SUPERSEDED}by what {_who(second)} said{_when(second)}"
    left = [one for one in reviews if one["error"] is None and one["verdict"] is not None]
    against: dict[int, Review] = {}
    for one, other in itertools.combinations(left, 2):
        if _contradict(one, other, alphabet):
            against.setdefault(id(one), other)
            against.setdefault(id(other), one)
    for one in left:
        if id(one) in against:
            other = against[id(one)]
            said = other["correction"] or other["entity"]
            one["error"] = f"{CONFLICT}{_who(other)} {other['verdict']} '{said}' there{_when(other)}"


def _who(review: Review) -> str:
    return f"'{review['reviewer']}'" if review["reviewer"] else "somebody"


def _when(review: Review) -> str:
    return f" at {review['reviewed_at']:%Y-%m-%d %H:%M:%S}" if review["reviewed_at"] else ""


def _takes_its_place(first: Review, second: Review) -> bool:
    if first["reviewer"] != second["reviewer"]:
        return False
    if first["verdict"] is None or second["verdict"] is None:
        return first["verdict"] is None and second["verdict"] is None
    return first["entity"] == second["entity"] and _overlap(first, second)


def _overlap(first: Review, second: Review) -> bool:
    one, other = ((review["start_seconds"], review["end_seconds"]) for review in (first, second))
    return overlap(one, other)


def overlap(one: tuple[float, float], other: tuple[float, float]) -> bool:
    """Whether two spans, from when to when, are about the same words."""
    shared = min(one[1], other[1]) - max(one[0], other[0])
    shorter = min(one[1] - one[0], other[1] - other[0])
    return bool(shared > 0.0 and shared >= _SAME * shorter)


def says(review: Review, alphabet: Alphabet) -> str | None:
    """Return what a review says was spoken in its span, normalised; None if it does not say."""
    text = review["entity"] if review["verdict"] == "accepted" else review["correction"]
    return normalise(text, alphabet) if text else None


def denies(review: Review, alphabet: Alphabet) -> str | None:
    """Return the name that a review says was not spoken in its span, normalised."""
    denied = review["verdict"] in ("rejected", "corrected") and review["entity"]
    return normalise(review["entity"], alphabet) if denied else None


def _contradict(first: Review, second: Review, alphabet: Alphabet) -> bool:
    if not _overlap(first, second):
        return False
    said, other = says(first, alphabet), says(second, alphabet)
    if said is not None and other is not None and said != other:
        return True
    return (said is not None and said == denies(second, alphabet)) or (
        other is not None and other == denies(first, alphabet)
    )


def counting(files: Files) -> Iterator[Review]:
    """Yield the reviews that count."""
    yield from (one for name in sorted(files) for one in files[name] if one["error"] is None)
