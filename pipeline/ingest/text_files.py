"""Text files of any length, line by line, with errors that name the file and the line."""

import io
from collections.abc import Iterator

from pipeline.errors import InputError
from pipeline.storage import Location, attempt


def read_lines(location: Location) -> Iterator[tuple[int, str]]:
    """Yield (line number from 1, line without its end), skipping empty lines.

    Raises StorageError if the file cannot be read and InputError if it is not UTF-8.
    """
    file = attempt(lambda: location.filesystem.open(location.path, "rb"), location, "read")
    with io.TextIOWrapper(file, encoding="utf-8-sig", newline="\n") as lines:
        number = 0
        try:
            for number, line in enumerate(lines, 1):
                if line.strip():
                    yield number, line.rstrip("\r\n")
        except UnicodeDecodeError as error:
            raise InputError(f"{location.uri} after line {number}: not UTF-8 text ({error}).") from error


def seconds(text: object, where: str, field: str) -> float:
    """Return a time in seconds; raises InputError naming ``where`` and the field."""
    try:
        value = float(str(text))
    except ValueError as error:
        raise InputError(f"{where}: '{field}' must be seconds as a number, got {text!r}.") from error
    if not 0 <= value < float("inf"):
        raise InputError(f"{where}: '{field}' must be zero or more seconds, got {text!r}.")
    return value
