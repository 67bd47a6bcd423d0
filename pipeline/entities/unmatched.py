"""Lists per utterance whose ids name no utterance: how many, which, and what was probably meant.

The rule: a list that reaches nothing is said, with the id that is meant where an ending or a folder makes the whole
difference ("a.wav" and "a"). A list of more than the audio at hand is usual, so nothing is wrong while every
utterance has a list; otherwise it is an error if more than a share of the lists reaches nothing.
"""

import dataclasses
from collections.abc import Callable, Sequence
from pathlib import PurePosixPath

from pipeline.errors import InputError

MAX_UNMATCHED = 0.1
"""Share of lists that may reach nothing while utterances lack one: the default of ``--max-unmatched-lists``."""
_ENDINGS = (".wav", ".flac", ".mp3", ".ogg", ".opus", ".m4a")
_SHOWN = 3
Known = Callable[[Sequence[str]], Sequence[bool]]


@dataclasses.dataclass(frozen=True)
class Unmatched:
    """What lists reach nothing. ``lists``: of how many; ``meant``: ids of ``ids`` and the utterances they may mean."""

    lists: int
    ids: tuple[str, ...] = ()
    meant: tuple[tuple[str, str], ...] = ()

    @property
    def share(self) -> float:
        return len(self.ids) / max(self.lists, 1)

    def facts(self) -> dict[str, object]:
        """Plain values, for run.json."""
        return {"count": len(self.ids), "examples": list(self.ids[:100]), "meant": dict(self.meant[:100])}

    def __str__(self) -> str:
        named = ", ".join(f"'{one}'" for one in self.ids[:_SHOWN]) + (", ..." if len(self.ids) > _SHOWN else "")
        text = f"{len(self.ids):,} of {self.lists:,} lists name no utterance of the audio: {named}"
        if self.meant:
            pairs = ", ".join(f"'{utterance}' for '{one}'" for one, utterance in self.meant[:_SHOWN])
            text += f"; the audio has {pairs}"
        return text


ALL_MATCHED = Unmatched(0)
"""No list reaches nothing, as where there is none per utterance."""


def find_unmatched(listed: Sequence[str], known: Known) -> Unmatched:
    """Return which of the ids ``listed`` are no utterance; ``known`` tells for many ids whether they are."""
    missing = tuple(one for one, is_there in zip(listed, known(listed), strict=True) if not is_there)
    asked = [(one, other) for one in missing for other in _others(one)]
    found = known([other for _, other in asked]) if asked else ()
    meant: dict[str, str] = {}
    for (one, other), is_there in zip(asked, found, strict=True):
        if is_there:
            meant.setdefault(one, other)
    return Unmatched(len(listed), missing, tuple(meant.items()))


def check_unmatched(found: Unmatched, unlisted: int, path: str, limit: float) -> None:
    """Raise InputError if too many lists of ``path`` reach nothing; ``unlisted``: utterances without a list."""
    if found.lists and len(found.ids) == found.lists:
        raise InputError(f"{path}: none of its {found.lists} utterance ids is in the audio. {found}. {_way_out(found)}")
    if unlisted and found.share > limit:
        raise InputError(
            f"{path}: {found}. {unlisted:,} utterances have no list. {_way_out(found)}, or allow it with "
            f"--max-unmatched-lists (a share, now {limit:g})"
        )


def _way_out(found: Unmatched) -> str:
    return "Write the ids as the audio has them" if found.meant else "Give the lists of this audio"


def _others(one: str) -> list[str]:
    """Return ids that differ from ``one`` by an ending, a folder, spaces around it or case only."""
    plain = one.strip()
    name = PurePosixPath(plain)
    bare = plain[: -len(name.suffix)] if name.suffix.lower() in _ENDINGS else plain
    forms = [plain, bare, name.name, PurePosixPath(bare).name, *(bare + ending for ending in _ENDINGS)]
    return [form for form in dict.fromkeys([*forms, *(form.lower() for form in forms)]) if form and form != one]
