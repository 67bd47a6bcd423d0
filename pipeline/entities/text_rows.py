"""Rows of entity lists that are plain text: one entity per line, and the formats of other tools that look like it.

The rule: a line is taken as it stands only if it can mean nothing else. A format of another tool is read where every
line has its form, or where the user names it; a line that only looks like one is refused alone, with its number and
the way out. So nothing becomes an entity that the user did not mean as one, and nothing is left out without a word.

- ``text``: one entity per line, whatever stands in it. icefall's context files are such
- ``commas``: several entities per line, separated by commas, which otherwise belong to the entity (Washington, D.C.)
- ``sherpa``: ``phrase :score``, the hotwords of sherpa-onnx and sherpa-ncnn; the weight is score / 1.5, their default
- ``nemo``: ``phrase_spelling_spelling``, the context-biasing files of NeMo; the spellings become aliases
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from pipeline.errors import InputError

REFUSED = "refused"
"""Field of a row that must not be used, with the reason."""
COMMENT = "is taken for a comment; --entities-format text makes it an entity"
SHERPA_SCORE = 1.5
"""Score of a phrase without one (``hotwords_score``), which is our weight of 1."""
_COMMENTS = ("# ", "#\t", "##", "//", ";;")
_SCORE = re.compile(r"(?P<phrase>.*\S)\s+:(?P<score>[-+]?[0-9]*\.?[0-9]+)\s*\Z")
_THRESHOLD = re.compile(r"\s#[0-9]*\.?[0-9]+(\s|\Z)")
_KEYWORD = re.compile(r"\s@\S+\s*\Z")
_TOKEN_MARK = "\u2581"  # what sentencepiece writes for the space before a word
_AS_TEXT = "or --entities-format text to take the line as it is"
Rows = Iterator[tuple[int, dict[str, Any]]]


def text_rows(path: str, lines: Sequence[str]) -> Rows:
    """Yield (line, fields) of a list whose format the user did not name; raises InputError for CSV under this name."""
    _check_head(path, lines)
    written = [line for line in lines if line.strip() and not _is_comment(line)]
    if written and all(_SCORE.match(line) for line in written):
        reader: Callable[[str], Mapping[str, Any]] = _sherpa
    elif written and all(_says_its_name(line) for line in written):
        reader = _nemo
    else:
        reader = _plain
    for row, line in enumerate(lines, start=1):
        yield row, {"entity": line, REFUSED: COMMENT} if _is_comment(line) else dict(reader(line))


def named_rows(lines: Sequence[str], form: str) -> Rows:
    """Yield (line, fields) of a list of the format ``form``, one of NAMED."""
    if form == "commas":
        for row, line in enumerate(lines, start=1):
            yield from ((row, {"entity": part}) for part in line.split(",") if part.strip())
        return
    for row, line in enumerate(lines, start=1):
        is_comment = form != "text" and _is_comment(line)
        yield row, {"entity": line, REFUSED: COMMENT} if is_comment else dict(_READERS[form](line))


def _is_comment(line: str) -> bool:
    return line.lstrip().startswith(_COMMENTS) or line.strip() == "#"


def _check_head(path: str, lines: Sequence[str]) -> None:
    head = lines[0] if lines else ""
    refuse_vocabulary(path, head)
    for mark, name in ((",", "csv"), ("\t", "tsv"), (";", "csv")):
        if mark in head and "entity" in (cell.strip(' "').lower() for cell in head.split(mark)):
            remedy = "separate by commas and " if mark == ";" else ""
            raise InputError(f"{path}: line 1 is the header of a table; {remedy}name the file .{name}, or give "
                             f"--entities-format {name}.")  # fmt: skip


def refuse_vocabulary(path: str, head: str) -> None:
    """Raise InputError for the header of a vocabulary of Amazon Transcribe, which no other format has."""
    cells = [cell.strip().lower() for cell in head.split("\t")]
    if "phrase" in cells and "displayas" in cells:
        raise InputError(f"{path}: line 1 is the header of a vocabulary table; give --entities-format aws.")


def _plain(line: str) -> dict[str, Any]:
    doubt = _doubt(line.strip())
    return {"entity": line} if doubt is None else {"entity": line, REFUSED: doubt}


def _doubt(line: str) -> str | None:
    """Say why a line may be of another format, although not every line is; None if it is an entity."""
    if _SCORE.match(line) or _THRESHOLD.search(line):
        return (
            "ends in a score, and not every line does; give --entities-format sherpa if scores are meant, "
            f"a .csv with a column 'weight', {_AS_TEXT}"
        )
    if line.startswith("#"):
        return f"begins with '#': a comment has a space after it; give {_AS_TEXT.removeprefix('or ')}"
    if "\t" in line:
        return f"has a tab; name the file .tsv and give it a header with 'entity', {_AS_TEXT}"
    if "|" in line:
        return f"has a '|', which separates aliases in a table; give a .csv with a header, {_AS_TEXT}"
    if "_" in line:
        return f"has a '_'; give --entities-format nemo if spellings follow it, write a space for it, {_AS_TEXT}"
    if line[:1] in ("[", "{"):
        return f"looks like JSON; name the file .json or .jsonl, {_AS_TEXT}"
    return None


def _sherpa(line: str) -> dict[str, Any]:
    if _THRESHOLD.search(line) or _KEYWORD.search(line):
        reason = "has a threshold ('#...') or a name ('@...') as in keyword files; there is no such thing here"
        return {"entity": line, REFUSED: reason}
    if _TOKEN_MARK in line:
        return {"entity": line, REFUSED: f"is written in tokens ('{_TOKEN_MARK}'); give the words themselves"}
    found = _SCORE.match(line)
    if found is None:
        return {"entity": line}
    return {"entity": found["phrase"].strip(), "weight": float(found["score"]) / SHERPA_SCORE}


def _nemo(line: str) -> dict[str, Any]:
    name, *spellings = (part.strip() for part in line.strip().split("_"))
    return {"entity": name, "aliases": [one for one in spellings if one]}


def _says_its_name(line: str) -> bool:
    """Whether a line is NeMo's beyond doubt: its first spelling is the phrase itself."""
    name, mark, rest = line.strip().partition("_")
    return bool(mark) and name.casefold().split() == rest.split("_")[0].casefold().split()


def _whole(line: str) -> dict[str, Any]:
    return {"entity": line}


_READERS: dict[str, Callable[[str], dict[str, Any]]] = {"text": _whole, "sherpa": _sherpa, "nemo": _nemo}
NAMED = ("text", "commas", "sherpa", "nemo")
"""Formats of text, each as its name says."""
