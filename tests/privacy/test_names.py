"""Which words are replaced, and by what."""

import pyarrow as pa
import pytest

from pipeline.privacy.config import PrivacyConfig
from pipeline.privacy.embeddings import load
from pipeline.privacy.lists import known_names, surrogates
from pipeline.privacy.names import Names, Span, Surrogates
from pipeline.privacy.release import Releaser
from pipeline.schemas import TRANSCRIPTS

NAMES = Names(load().ids, known_names())
KEY = b"k" * 32


def spans(text: str, *entities: Span) -> list[tuple[str, str]]:
    """The class of every span and its words."""
    raw = text.split()
    found = NAMES.find([NAMES.word(word) for word in raw], entities)
    return [(span.kind, " ".join(raw[span.start : span.end])) for span in found]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("the house is very old", []),
        ("mary went to paris", [("family", "mary"), ("family", "paris")]),
        ("it's mary's book isn't it", [("family", "mary's")]),
        ("the father's house", []),
        ("zqorblax and zqorblax's dog", [("family", "zqorblax"), ("family", "zqorblax's")]),
        ("Москва is far", [("family", "Москва")]),
        ("john told peter", [("family", "john"), ("family", "peter")]),
        ("one of them has two dogs", [("number", "two")]),
        ("he is forty one years old", [("number", "forty one")]),
        ("on may third all of us may go", [("date", "may"), ("number", "third")]),
        ("it may rain on sunday", [("date", "sunday")]),
        ("call five five five one two one two now", [("phone", "five five five one two one two")]),
        ("call +49-30-1234567 now", [("phone", "+49-30-1234567")]),
        ("spelled n i l s then a dog and i", [("letter", "n i l s")]),
        ("write to ann.lee@mail.com today", [("email", "ann.lee@mail.com")]),
        ("write to nilsson at example dot com today", [("email", "nilsson at example dot com")]),
        ("room b12", [("number", "b12")]),
    ],
)  # fmt: skip
def test_what_is_no_ordinary_word(text: str, found: list[tuple[str, str]]) -> None:
    assert spans(text) == found


def test_an_entity_is_replaced_word_by_word_whatever_its_words_are() -> None:
    assert spans("with grace may today", Span("person", 1, 3)) == [("given", "grace"), ("family", "may")]
    assert spans("with grace may today", Span("city", 1, 3)) == [("city", "grace"), ("city", "may")]


def test_a_name_is_the_same_throughout_a_recording_and_another_elsewhere() -> None:
    choice = Surrogates(KEY)
    words = [NAMES.word(word) for word in ("nilsson", "nilsson's")]
    first, second = (choice.write("talk", Span("family", at, at + 1), words)[0] for at in range(2))
    assert second == f"{first}'s"
    others = {choice.write(f"talk {at}", Span("family", 0, 1), words)[0] for at in range(20)}
    assert len(others) > 15
    assert others <= set(surrogates()["family"])


def test_surrogates_are_even_and_independent_of_the_word() -> None:
    choice, counts = Surrogates(KEY), {}
    for word in ("four", "nine"):
        seen = [choice.write(f"r{at}", Span("phone", 0, 1), [NAMES.word(word)])[0] for at in range(5000)]
        counts[word] = [seen.count(digit) for digit in surrogates()["phone"]]
    for line in counts.values():
        assert sum((count - 500) ** 2 / 500 for count in line) < 27.9, "chi-square, 9 degrees of freedom, 99.9%"


def row(utterance_id: str, text: str | None, **more: object) -> dict[str, object]:
    return {"utterance_id": utterance_id, "text": text, "speaker": "ann", "recording_id": "talk"} | more


def private(*rows: dict[str, object], config: PrivacyConfig | None = None) -> list[dict[str, object]]:
    table = pa.Table.from_pylist(list(rows), schema=TRANSCRIPTS)
    releaser = Releaser(config or PrivacyConfig(), KEY, {"łódź": "city", "lodz": "city"})
    found: list[dict[str, object]] = releaser.private(table).to_pylist()
    return found


def test_a_row_is_released_with_nothing_but_pseudonyms_text_and_tags() -> None:
    found = {"entity": "lodz", "start_word": 2, "end_word": 3}
    (only,) = private(row("u1", "back to lodz zqorblax", entities=[found], audio_sha256="ab", duration_seconds=2.0))
    assert set(only) == {"utterance_id", "recording_id", "speaker", "text", "tags"}
    written = str(only["text"]).split()
    assert len(written) == 4
    assert written[2] in surrogates()["city"]
    assert written[3] in surrogates()["family"]
    assert only["tags"] == [
        {"tag": "city", "start_word": 2, "end_word": 3},
        {"tag": "family", "start_word": 3, "end_word": 4},
    ]
    assert not {"u1", "ann", "talk"} & {str(value) for value in only.values()}


def test_a_row_depends_on_nothing_but_itself() -> None:
    rows = [row(f"u{at}", f"this is the text of number {at} in zqorblax") for at in range(20)]
    together = {one["utterance_id"]: one for one in private(*rows)}
    alone = [private(one)[0] for one in reversed(rows)]
    assert [together[one["utterance_id"]] for one in alone] == alone


def test_an_error_and_its_text_stay_inside() -> None:
    (only,) = private(row("u1", None, error="u1: audio of ann is truncated."))
    assert only["text"] is None
    assert "ann" not in str(only)


@pytest.mark.parametrize("mechanism", ["grouped", "tem", "laplace", "redact"])
def test_no_unknown_word_passes(mechanism: str) -> None:
    invented = [f"zq{a}{b}x" for a in "aeiou" for b in "bdfgk"]
    rows = [row(f"u{at}", f"the {word} and {word}'s house near {word}ville") for at, word in enumerate(invented)]
    epsilon = 1000.0 if mechanism == "grouped" else 20.0
    texts = " ".join(str(one["text"]) for one in private(*rows, config=PrivacyConfig(mechanism, epsilon)))
    assert not [word for word in invented if word in texts]
