"""Rows of entity lists that cloud services and Whisper take; each is read only where the user names it.

- ``google``: JSON of Speech-to-Text, ``speechContexts`` or ``adaptation`` with phrase sets and custom classes; the
  weight is boost / 10, as their boosts go from 0 to 20
- ``aws``: a custom vocabulary of Amazon Transcribe, a table with ``Phrase`` and ``DisplayAs``, or a phrase a line
- ``azure``: a phrase a line, or JSON with ``phrases`` and a ``biasingWeight`` or ``weight`` from 0 to 2, which is ours
- ``whisper``: a prompt that is a glossary, ``Glossary: Anna Kowalska, Gdynia.``
"""

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from pipeline.entities.text_rows import REFUSED, Rows
from pipeline.errors import InputError

GOOGLE_BOOST = 10.0
"""Boost of a phrase that is our weight of 1."""
_CLASS = re.compile(r"\$\{(?P<named>[^}]+)\}|\$(?P<token>[A-Za-z_][A-Za-z0-9_-]*)")
_GLOSSARY_WORDS = 8  # of one entry of a prompt; more is a sentence
_LABEL = re.compile(r"\A\s*[^\W\d]+(?:\s[^\W\d]+){0,2}:\s")
_IPA = {
    "ɑ": "AA", "ɑː": "AA", "æ": "AE", "ʌ": "AH", "ə": "AH", "ɔ": "AO", "ɔː": "AO", "aʊ": "AW", "aɪ": "AY", "b": "B",
    "tʃ": "CH", "d": "D", "ð": "DH", "ɛ": "EH", "e": "EH", "ɝ": "ER", "ɜː": "ER", "ɚ": "ER", "eɪ": "EY", "f": "F",
    "ɡ": "G", "g": "G", "h": "HH", "ɪ": "IH", "i": "IY", "iː": "IY", "dʒ": "JH", "k": "K", "l": "L", "m": "M", "n": "N",
    "ŋ": "NG", "oʊ": "OW", "ɔɪ": "OY", "p": "P", "r": "R", "ɹ": "R", "s": "S", "ʃ": "SH", "t": "T", "θ": "TH",
    "ʊ": "UH", "u": "UW", "uː": "UW", "v": "V", "w": "W", "j": "Y", "z": "Z", "ʒ": "ZH",
}  # fmt: skip
"""Phonemes of a vocabulary table and ours; what is not there is named as a pronunciation that cannot be read."""


def cloud_rows(path: str, text: str, form: str) -> Rows:
    """Yield (number of the entry, fields) of a list of the format ``form``, one of CLOUD; raises InputError."""
    return _READERS[form](path, text)


def _google(path: str, text: str) -> Rows:
    value = _json(path, text)
    classes = dict(_classes(value))
    sets = list(_phrase_sets(value))
    if not sets:
        raise InputError(f"{path}: has no 'phrases'; needed is JSON with speechContexts, or with an adaptation or a "
                         "phrase set.")  # fmt: skip
    row = 0
    for phrases, boost in sets:
        for phrase in phrases:
            row += 1
            said = {"value": phrase} if isinstance(phrase, str) else phrase
            if not isinstance(said, dict) or not isinstance(said.get("value"), str):
                raise InputError(f"{path}: phrase {row} must be a text or an object with 'value', got {phrase!r:.100}.")
            fields = _weighed(path, row, said.get("boost") or boost, GOOGLE_BOOST)
            yield from ((row, one | fields) for one in _expanded(said["value"], classes))


def _phrase_sets(value: object) -> Iterator[tuple[list[Any], Any]]:
    """Yield the phrases and the boost of every object that has phrases, however deep."""
    if isinstance(value, dict):
        if isinstance(value.get("phrases"), list):
            yield value["phrases"], value.get("boost")
        for below in value.values():
            yield from _phrase_sets(below)
    elif isinstance(value, list):
        for below in value:
            yield from _phrase_sets(below)


def _classes(value: object) -> Iterator[tuple[str, list[str]]]:
    """Yield the name of every custom class, the last part of it where it is a path, and its items."""
    if isinstance(value, dict):
        name = next((value[key] for key in ("customClassId", "custom_class_id", "name") if value.get(key)), None)
        if name is not None and isinstance(value.get("items"), list):
            items = [item if isinstance(item, str) else str(item.get("value", "")) for item in value["items"]]
            yield str(name).rsplit("/", 1)[-1], items
        for below in value.values():
            yield from _classes(below)
    elif isinstance(value, list):
        for below in value:
            yield from _classes(below)


def _expanded(phrase: str, classes: Mapping[str, Sequence[str]]) -> Iterator[dict[str, Any]]:
    """Yield a row for every item of the class that a phrase names; it may name one class."""
    found = list(_CLASS.finditer(phrase))
    names = [(one["named"] or one["token"]).rsplit("/", 1)[-1] for one in found]
    if not names:
        yield {"entity": phrase}
    elif len(names) == 1 and (name := names[0]) in classes:
        before, after = phrase[: found[0].start()], phrase[found[0].end() :]
        yield from ({"entity": f"{before}{item}{after}"} for item in classes[name])
    else:
        reason = "names a class whose words are not in the file; write the phrases out"
        yield {"entity": phrase, REFUSED: reason}


def _aws(path: str, text: str) -> Rows:
    lines = [(number, line) for number, line in enumerate(text.splitlines(), start=1) if line.strip()]
    header = [cell.strip().lower() for cell in lines[0][1].split("\t")] if lines else []
    if "phrase" not in header:
        yield from ((number, _spoken(line.strip(), "")) for number, line in lines)
        return
    for number, line in lines[1:]:
        cells = dict(zip(header, (cell.strip() for cell in line.split("\t")), strict=False))
        if line.count("\t") >= len(header):
            fields = line.count("\t") + 1
            raise InputError(f"{path}: line {number} has {fields} fields, the header has {len(header)}.")
        row = _spoken(cells["phrase"], cells.get("displayas", ""))
        if cells.get("soundslike"):
            row["aliases"] = [*row.get("aliases", []), cells["soundslike"].replace("-", " ")]
        if cells.get("ipa"):
            row["pronunciations"] = [" ".join(_IPA.get(sign, sign) for sign in cells["ipa"].split())]
        yield number, row


def _spoken(phrase: str, display: str) -> dict[str, Any]:
    """Hyphens stand for spaces there, and full stops follow letters that are said one by one."""
    words = phrase.replace("-", " ")
    said = " ".join(re.sub(r"\.", " ", words).split())
    entity = display or words
    return {"entity": entity} if said.casefold() == entity.casefold() else {"entity": entity, "aliases": [said]}


def _azure(path: str, text: str) -> Rows:
    if text.lstrip()[:1] != "{":
        yield from ((row, {"entity": line}) for row, line in enumerate(text.splitlines(), start=1) if line.strip())
        return
    value = _json(path, text)
    held = value.get("phraseList", value)
    phrases = held.get("phrases") if isinstance(held, dict) else None
    if not isinstance(phrases, list) or not all(isinstance(phrase, str) for phrase in phrases):
        raise InputError(f'{path}: needed is {{"phraseList": {{"phrases": [texts]}}}}, or lines with a phrase each.')
    for row, phrase in enumerate(phrases, start=1):
        weight = held.get("biasingWeight", held.get("weight"))
        yield row, {"entity": phrase} | _weighed(path, row, weight, 1.0)


def _whisper(_path: str, text: str) -> Rows:
    row = 0
    for line in text.splitlines():
        for part in re.split(r"[,;]", _LABEL.sub("", line)):
            entry = part.strip().rstrip(".").strip()
            if entry:
                row += 1
                is_sentence = len(entry.split()) > _GLOSSARY_WORDS
                reason = "is a sentence and no name; a list has the names that the prompt is there for"
                yield row, {"entity": entry, REFUSED: reason} if is_sentence else {"entity": entry}


def _weighed(path: str, row: int, given: object, one: float) -> dict[str, Any]:
    if given is None:
        return {}
    if isinstance(given, bool) or not isinstance(given, int | float):
        raise InputError(f"{path}: phrase {row} has the boost {given!r:.50}; needed is a number.")
    return {"weight": given / one}


def _json(path: str, text: str) -> Any:
    try:
        value = json.loads(text)
    except json.JSONDecodeError as error:
        raise InputError(f"{path}: line {error.lineno} is not JSON ({error.msg}).") from error
    if not isinstance(value, dict):
        raise InputError(f"{path}: needed is a JSON object, got {text.strip()[:60]}.")
    return value


_READERS: dict[str, Callable[[str, str], Rows]] = {
    "google": _google,
    "aws": _aws,
    "azure": _azure,
    "whisper": _whisper,
}
CLOUD = tuple(_READERS)
"""Formats of phrase lists, each as its name says."""
