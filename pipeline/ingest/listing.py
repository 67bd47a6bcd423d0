"""What the readers of layouts are told, and what they tell: on the screen and in the record.

The rule: nothing that lies in the source is passed over without a count here.
"""

import dataclasses

_NAMED = 5  # files of a kind that are named


@dataclasses.dataclass
class Passed:
    """Files of one kind that gave no row: how many, and the first few."""

    count: int = 0
    names: list[str] = dataclasses.field(default_factory=list)

    def add(self, name: str) -> None:
        self.count += 1
        if len(self.names) < _NAMED:
            self.names.append(name)

    def __str__(self) -> str:
        return f"{', '.join(self.names)}{' and others' if self.count > len(self.names) else ''}"


@dataclasses.dataclass
class Listing:
    """Given to the readers of the layouts, and filled by them while they list.

    id_column:   column (of parquet and tables) or field (of JSON) that the user named for the ids
    not_audio:   files of a folder that hold no audio
    unnamed:     audio files below the source that no manifest of it names
    unsegmented: recordings of Kaldi's wav.scp of which no segment is listed
    said:        other lines for the user
    """

    id_column: str | None = None
    not_audio: Passed = dataclasses.field(default_factory=Passed)
    unnamed: Passed = dataclasses.field(default_factory=Passed)
    unsegmented: Passed = dataclasses.field(default_factory=Passed)
    said: list[str] = dataclasses.field(default_factory=list)

    def lines(self) -> list[str]:
        """Everything, one sentence a line."""
        lines = list(self.said)
        if self.not_audio.count:
            lines.append(f"{self.not_audio.count} files are not audio and were left out: {self.not_audio}")
        if self.unnamed.count:
            lines.append(
                f"{self.unnamed.count} audio files are named by no manifest and were left out "
                f"(--format folder takes them, without texts): {self.unnamed}"
            )
        if self.unsegmented.count:
            lines.append(f"{self.unsegmented.count} recordings of wav.scp have no segment: {self.unsegmented}")
        return lines
