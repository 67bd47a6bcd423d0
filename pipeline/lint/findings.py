"""What a linter says of an entity list: the kinds of findings, what each means and what to do about it."""

import dataclasses
from collections.abc import Mapping
from typing import Any, Literal

Severity = Literal["error", "warning", "info"]
SEVERITIES: tuple[Severity, ...] = ("error", "warning", "info")


@dataclasses.dataclass(frozen=True)
class Kind:
    """One kind of finding. ``advice`` holds wherever the finding has no better one of its own."""

    severity: Severity
    about: str
    advice: str


KINDS: dict[str, Kind] = {
    "unusable": Kind("error", "cannot be recognised as it is written", "rewrite it in Latin letters, or remove it"),
    "bad_pronunciation": Kind("error", "a given pronunciation is not ARPAbet", "correct it, or leave it out"),
    "sign_not_said": Kind("warning", "has a sign that is left out", "write it as it is said, such as 'C sharp'"),
    "silent": Kind("error", "has no pronunciation", "give one in the column 'pronunciations'"),
    "many_false_accepts": Kind("error", "would often be written where it is not said", "drop it, or lower its weight"),
    "duplicate": Kind("warning", "stands in the list more than once", "remove one"),
    "variant": Kind("warning", "differs from another entry in casing, accents or punctuation only", "keep one of them"),
    "shared_spelling": Kind("warning", "is an alias of one entry and a spelling of another", "remove the alias"),
    "common_word": Kind("warning", "is a common word", "give the full name, or a weight of 0.5, or drop it"),
    "common_sound": Kind("warning", "sounds exactly like a common word", "give the full name, or a weight of 0.5"),
    "near_common_sound": Kind("warning", "sounds nearly like a common word", "give a weight of 0.7 if it is rare"),
    "same_sound": Kind("warning", "sounds exactly like another entry", "make it an alias if they are one"),
    "short": Kind("warning", "is too short to be told apart by its sound", "give the full name, or a weight of 0.5"),
    "odd_pronunciation": Kind("warning", "is said unlike it is written", "check the pronunciation"),
    "false_accepts": Kind("warning", "would be written where it is not said", "lower its weight"),
    "near_sound": Kind("info", "sounds nearly like another entry", "make it an alias if they are one"),
    "near_duplicate": Kind("info", "differs from another entry in one letter", "check for a slip of the pen"),
    "contained": Kind("info", "stands inside a longer entry", "nothing, if both are names: the longer one wins"),
    "guessed_pronunciation": Kind("info", "is in no dictionary, its sound is guessed", "give a pronunciation"),
    "comment": Kind("info", "is taken for a comment", "nothing; with --entities-format text it is an entity"),
    "off": Kind("info", "is switched off by its weight of 0", "remove it if that is not meant"),
}
"""In the order in which they are shown."""


@dataclasses.dataclass(frozen=True, slots=True)
class Finding:
    """One doubt about one entry.

    entry:  as the user wrote it
    detail: what exactly is doubtful, e.g. the word that it sounds like
    row:    line of the source, where it is known
    value:  what findings of this kind are sorted by, the largest first
    """

    kind: str
    entry: str
    detail: str = ""
    row: int | None = None
    advice: str | None = None
    value: float = 0.0

    @property
    def severity(self) -> Severity:
        return KINDS[self.kind].severity

    @property
    def suggestion(self) -> str:
        return self.advice or KINDS[self.kind].advice

    def facts(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        facts = {"kind": self.kind, "severity": self.severity, "entry": self.entry, "detail": self.detail}
        return facts | {"suggestion": self.suggestion} | ({} if self.row is None else {"row": self.row})


@dataclasses.dataclass(frozen=True)
class Lint:
    """All findings of a list. ``checks``: what was looked at, ``skipped``: what was not, with the reason."""

    entities: int
    findings: tuple[Finding, ...]
    checks: tuple[str, ...]
    skipped: Mapping[str, str] = dataclasses.field(default_factory=dict)

    @property
    def by_kind(self) -> dict[str, list[Finding]]:
        """Findings of each kind that occurs, in the order of KINDS, the gravest of a kind first."""
        found: dict[str, list[Finding]] = {kind: [] for kind in KINDS}
        for one in self.findings:
            found[one.kind].append(one)
        return {
            kind: sorted(those, key=lambda one: (-one.value, one.entry, one.detail))
            for kind, those in found.items()
            if those
        }

    def count(self, severity: Severity) -> int:
        return sum(one.severity == severity for one in self.findings)

    def facts(self, most: int | None = None) -> dict[str, Any]:
        """Return plain values for JSON, with at most ``most`` findings of each kind written out; all are counted."""
        kinds = {
            kind: {
                "severity": KINDS[kind].severity,
                "about": KINDS[kind].about,
                "findings": len(those),
                "entries": len({one.entry for one in those}),
                "examples": [one.facts() for one in those[:most]],
            }
            for kind, those in self.by_kind.items()
        }
        return {
            "entities": self.entities,
            "errors": self.count("error"),
            "warnings": self.count("warning"),
            "infos": self.count("info"),
            "checks": list(self.checks),
            "skipped": dict(self.skipped),
            "kinds": kinds,
        }
