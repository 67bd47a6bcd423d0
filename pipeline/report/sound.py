"""Sound in a page: every clip embedded once, a player in each figure that shows its utterance, a button per entity."""

import dataclasses
from collections.abc import Iterator, Mapping, Sequence

from pipeline.audio.clips import data_uri
from pipeline.entities.matching import Found
from pipeline.markup.html import Html, join, tag
from pipeline.report.examples import Times
from pipeline.scoring.alignment import Step, align
from pipeline.scoring.entities import inserted, missed
from pipeline.scoring.score import UtteranceScore

_AROUND = 0.25  # seconds played before and after an entity: CTC puts words a frame or two off, and context helps
_LISTED = 12  # buttons per utterance


class Sounds:
    """The clips of a page. ``clips``: Ogg files by utterance; only those that a figure asks for are embedded."""

    def __init__(self, clips: Mapping[str, bytes]) -> None:
        self._clips = clips
        self._names: dict[str, str] = {}

    def player(self, utterance_id: str) -> Html | None:
        """Return a player of the utterance's clip, which the script connects; None if there is no clip."""
        if utterance_id not in self._clips:
            return None
        name = self._names.setdefault(utterance_id, f"clip-{len(self._names)}")
        return tag("audio", controls=True, preload="none", data_clip=name, aria_label=f"Audio of {utterance_id}")

    def embedded(self) -> Html | None:
        """Return the data of every clip that a player was made for; it belongs into the page once."""
        clips = [
            tag("data", id=name, value=data_uri(self._clips[utterance])) for utterance, name in self._names.items()
        ]
        return tag("div", clips, hidden=True) if clips else None


@dataclasses.dataclass(frozen=True)
class Spoken:
    """Where an entity is heard, or was missed, in seconds of its utterance."""

    name: str
    mark: str  # "found", "missed" or "inserted"
    start: float
    end: float


def spoken_entities(utterance: UtteranceScore, times: Times) -> list[Spoken]:
    """Return the entities of an utterance with their times, in order; empty if word times are not known.

    A missed entity is heard where the words lie that the reference aligns with it; one that nothing stands for, and
    that has no neighbour, has no time and is left out.
    """
    reference, words = utterance.reference.split(), utterance.hypothesis.split()
    if not words or len(words) != len(times):
        return []
    steps = align(reference, words)
    false = [one.found for one in inserted(utterance.said, utterance.written, steps, reference)]
    lost = [one.found for one in missed(utterance.said, utterance.written, steps, words)]
    spoken = [
        Spoken(
            one.entity.display_as, "inserted" if one in false else "found", times[one.start][0], times[one.end - 1][1]
        )
        for one in utterance.written
    ]
    return sorted([*spoken, *_missed(lost, steps, times)], key=lambda one: (one.start, one.end))


def _missed(lost: Sequence[Found], steps: Sequence[Step], times: Times) -> Iterator[Spoken]:
    heard = {step.reference: step.hypothesis for step in steps if step.hypothesis is not None}
    for one in lost:
        around = [heard[at] for at in range(one.start, one.end) if at in heard]
        if not around:  # deleted: it lies between its neighbours
            around = [heard[at] for at in (one.start - 1, one.end) if at in heard]
        if around:
            yield Spoken(one.entity.display_as, "missed", times[around[0]][0], times[around[-1]][1])


def listen(utterance: UtteranceScore, times: Times) -> Html | None:
    """Return a button per entity that plays it; None if there is none, or times are not known."""
    spoken = spoken_entities(utterance, times)[:_LISTED]
    if not spoken:
        return None
    return tag("p", join([_button(one) for one in spoken]), class_="listen")


def _button(one: Spoken) -> Html:
    start, end = max(0.0, one.start - _AROUND), one.end + _AROUND
    text = f"{one.name} ({one.mark}, {one.start:.2f} s)"
    return tag("button", text, type="button", class_="play", data_t=round(start, 2), data_end=round(end, 2))
