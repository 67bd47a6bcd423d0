"""May a new version be published? Only if nothing about it looks like an accident."""

import dataclasses

from pipeline.errors import ConfigError
from pipeline.reprocess.changes import Totals


@dataclasses.dataclass(frozen=True)
class Gates:
    """The most that a new version may have, each a share from 0 to 1.

    error_rate:  rows with an error, of all rows
    error_rise:  the same beyond what the published version has
    changed:     rows whose text or entities differ from the published version, of all rows
    other_words: words that changed outside of entities, of the published version's words
    """

    error_rate: float = 0.05
    error_rise: float = 0.001
    changed: float = 0.2
    other_words: float = 0.002

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if not 0.0 <= value <= 1.0:
                raise ConfigError(f"the gate {field.name} must be a share from 0 to 1, got {value}.")


@dataclasses.dataclass(frozen=True)
class Published:
    """The version that ``latest`` points to, as far as the gates look at it."""

    rows: int
    errors: int


def objections(new: Totals, expected_rows: int, published: Published | None, gates: Gates) -> list[str]:
    """Return what speaks against publishing ``new``, which was compared with ``published``; empty if nothing does.

    expected_rows: utterances that went in. Without a published version only rows and errors are looked at.
    """
    error_rate = new.errors / max(new.rows, 1)
    found = []
    if new.rows != expected_rows:
        found.append(f"it has {new.rows:,} rows, {expected_rows:,} utterances went in")
    if error_rate > gates.error_rate:
        found.append(f"{_share(new.errors, new.rows)} rows have an error, at most {gates.error_rate:.2%} may")
    if published is None:
        return found
    if new.rows != published.rows:
        found.append(f"it has {new.rows:,} rows, the published version {published.rows:,}")
    rise = error_rate - published.errors / max(published.rows, 1)
    if rise > gates.error_rise:
        found.append(
            f"{_share(new.errors, new.rows)} rows have an error and {_share(published.errors, published.rows)} of the "
            f"published version; the rise may be at most {gates.error_rise:.2%}"
        )
    if new.changed > gates.changed * new.rows:
        found.append(f"{_share(new.changed, new.rows)} rows changed, at most {gates.changed:.2%} may")
    if new.other_words > gates.other_words * new.words:
        found.append(
            f"{_share(new.other_words, new.words)} words outside of entities changed, "
            f"at most {gates.other_words:.2%} may"
        )
    return found


def _share(part: int, whole: int) -> str:
    return f"{part:,} of {whole:,} ({part / max(whole, 1):.2%})"
