"""Phrase lists of cloud services and prompts of Whisper, read as they are and converted."""

import json
from pathlib import Path

import pytest

from jobs.convert_list import main
from pipeline.entities.lists import is_per_utterance
from pipeline.entities.loading import load_entity_list
from pipeline.errors import InputError
from pipeline.types.entity import EntityList

GOOGLE = {
    "config": {
        "speechContexts": [{"phrases": ["Gdynia", "Anna Kowalska"], "boost": 5}, {"phrases": ["$ADDRESSNUM"]}],
        "adaptation": {
            "phraseSets": [
                {"boost": 10, "phrases": [{"value": "flight to ${cities}", "boost": 20}, {"value": "boarding"}]},
                {"phrases": [{"value": "${projects/p/locations/global/customClasses/cities}"}]},
            ],
            "customClasses": [{"customClassId": "cities", "items": [{"value": "Oslo"}, {"value": "Kyiv"}]}],
        },
    }
}
AWS = (
    "Phrase\tSoundsLike\tIPA\tDisplayAs\n"
    "Los-Angeles\t\t\tLos Angeles\n"
    "F.B.I.\t\t\tFBI\n"
    "Etienne\tay-tee-en\t\t\n"
    "Leeds\t\tl iː d z\t\n"
)


def weights(entities: EntityList) -> dict[str, float]:
    return {entity.display_as: entity.weight for entity in entities.entities}


def written(path: Path, content: object) -> str:
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return str(path)


def test_google_contexts_phrase_sets_and_classes(tmp_path: Path) -> None:
    found = load_entity_list(written(tmp_path / "g.json", GOOGLE), form="google")
    assert weights(found) == {
        "Gdynia": 0.5, "Anna Kowalska": 0.5, "flight to Oslo": 2.0, "flight to Kyiv": 2.0, "boarding": 1.0,
        "Oslo": 1.0, "Kyiv": 1.0,
    }  # fmt: skip
    assert [(one.entry, "names a class" in one.reason) for one in found.rejected] == [("$ADDRESSNUM", True)]


def test_a_vocabulary_of_amazon_transcribe(tmp_path: Path) -> None:
    path = written(tmp_path / "v.txt", AWS)
    by_name = {entity.display_as: entity for entity in load_entity_list(path, form="aws").entities}
    assert by_name["Los Angeles"].aliases == ()
    assert "f b i" in by_name["FBI"].aliases
    assert by_name["Etienne"].aliases == ("ay tee en",)
    assert by_name["Leeds"].pronunciations == ("L IY D Z",)
    lines = written(tmp_path / "plain.txt", "New-York\nGdynia\n")
    assert weights(load_entity_list(lines, form="aws")) == {"New York": 1.0, "Gdynia": 1.0}


def test_phrase_lists_of_azure(tmp_path: Path) -> None:
    body = {"locales": ["en-GB"], "phraseList": {"phrases": ["Gdynia", "Oslo"], "biasingWeight": 1.5}}
    assert weights(load_entity_list(written(tmp_path / "a.json", body), form="azure")) == {"Gdynia": 1.5, "Oslo": 1.5}
    lines = written(tmp_path / "a.txt", "Gdynia\nWashington, D.C.\n")
    assert weights(load_entity_list(lines, form="azure")) == {"Gdynia": 1.0, "Washington, D.C.": 1.0}


def test_a_prompt_of_whisper(tmp_path: Path) -> None:
    prompt = "Glossary: Anna Kowalska, Gdynia; Zamadol.\nWe spoke to her last week about the new harbour of the city.\n"
    found = load_entity_list(written(tmp_path / "p.txt", prompt), form="whisper")
    assert weights(found) == {"Anna Kowalska": 1.0, "Gdynia": 1.0, "Zamadol": 1.0}
    assert [one.reason for one in found.rejected] == [
        "is a sentence and no name; a list has the names that the prompt is there for"
    ]


@pytest.mark.parametrize(
    ("name", "content", "form", "message"),
    [
        ("g.json", GOOGLE, None, "--entities-format google"),
        ("v.txt", AWS, None, "--entities-format aws"),
        ("g.json", {"a": 1}, "google", "has no 'phrases'"),
        ("g.json", "[", "google", "line 1 is not JSON"),
        ("g.json", {"phrases": [{"boost": 1}]}, "google", "phrase 1 must be"),
        ("g.json", {"phrases": [{"value": "a", "boost": "high"}]}, "google", "needed is a number"),
        ("a.json", {"phraseList": ["a"]}, "azure", "needed is"),
    ],
)
def test_what_cannot_be_meant_is_refused(
    name: str, content: object, form: str | None, message: str, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match=message):
        load_entity_list(written(tmp_path / name, content), form=form)


def test_a_vocabulary_called_tsv_is_no_list_per_utterance(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="--entities-format aws"):
        is_per_utterance(written(tmp_path / "v.tsv", AWS))


@pytest.mark.parametrize("suffix", ["csv", "tsv", "jsonl"])
@pytest.mark.parametrize(
    ("content", "form"),
    [
        (GOOGLE, "google"),
        (AWS, "aws"),
        ("Anna Kowalska :3.0\nGdynia :1.5\n", "sherpa"),
        ("nvidia_nvidia_en vidia\n", "nemo"),
        ('"Heroes"\nWashington, D.C.\n', "text"),
    ],
)
def test_what_is_converted_is_the_same_list(content: object, form: str, suffix: str, tmp_path: Path) -> None:
    source, target = written(tmp_path / "source", content), str(tmp_path / f"list.{suffix}")
    assert main([source, "--from", form, "--output", target]) == 0
    assert load_entity_list(target).entities == load_entity_list(source, form=form).entities


def test_converting_says_what_is_left_out(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = written(tmp_path / "h.txt", "Gdynia :2.0\nOslo #0.35\nx @OSLO\n\u2581O S LO :1.5\n")
    assert main([source, "--from", "sherpa", "--output", str(tmp_path / "l.csv"), "--json"]) == 0
    said = capsys.readouterr()
    assert "line 2: 'Oslo #0.35' has a threshold" in said.err
    facts = json.loads(said.out)
    assert (facts["entries"], [one["row"] for one in facts["refused"]]) == (1, [2, 3, 4])
    assert main([source, "--output", str(tmp_path / "l.xlsx")]) == 2
    assert main([written(tmp_path / "t.tsv", "a\tx|y\n"), "--output", str(tmp_path / "l.csv")]) == 2
