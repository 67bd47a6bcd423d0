"""One alphabet from the list to the score: what is loaded in it matches what is read in it, with its own letters."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline import storage
from pipeline.entities import snapshot
from pipeline.entities.lists import EntitySource, load_entities
from pipeline.entities.loading import build_list, load_entity_list
from pipeline.report import ExampleSource
from pipeline.scoring.breakdowns import count_words
from pipeline.scoring.inputs import load_scoring_set, run_folder_of, scoring_set_of_run
from pipeline.scoring.variants import read_variants
from pipeline.text import ENGLISH, Alphabet

GERMAN = Alphabet(ENGLISH.letters + "äöüß")
RUSSIAN = Alphabet("абвгдеёжзийклмнопрстуфхцчшщъыьэюя")


@dataclasses.dataclass(frozen=True)
class Language:
    """Names as users write them and as a recogniser does; a text that says the first two, and one that errs."""

    alphabet: Alphabet
    names: tuple[str, str, str]
    written: tuple[str, str, str]
    said: str
    heard: str


GERMAN_NAMES = Language(
    GERMAN, ("Jörg Müller", "Strauß", "Muller"), ("jörg müller", "strauß", "muller"),
    "Herr Jörg Mu\u0308ller hört STRAUẞ.", "herr jörg müller hört strauss",
)  # fmt: skip
RUSSIAN_NAMES = Language(
    RUSSIAN, ("Королёв", "Чайковский", "Королев"), ("королёв", "чайковский", "королев"),
    "Королёв слушает Чайко\u0301вского: «Чайковский!»", "королёв слушает чайковского чайковскии",
)  # fmt: skip
LANGUAGES = pytest.mark.parametrize("language", [GERMAN_NAMES, RUSSIAN_NAMES], ids=["german", "russian"])


def text(path: Path, content: str) -> str:
    path.write_text(content, encoding="utf-8")
    return str(path)


def list_files(folder: Path, names: Sequence[str]) -> list[str]:
    """The same list in every format: one list for all, and one of the utterance "u"."""
    quoted = ", ".join(f'"{name}"' for name in names)
    pq.write_table(pa.table({"entity": names}), folder / "one.parquet")
    pq.write_table(pa.table({"utterance_id": ["u"], "entities": [names]}), folder / "each.parquet")
    return [
        text(folder / "one.txt", "\n".join(names)),
        text(folder / "one.csv", "entity,tags\n" + "".join(f"{name},x\n" for name in names)),
        text(folder / "one.jsonl", "".join(f'{{"entity": "{name}"}}\n' for name in names)),
        str(folder / "one.parquet"),
        text(folder / "each.tsv", f"u\t[{quoted}]\n"),
        text(folder / "each.jsonl", f'{{"utterance_id": "u", "entities": [{quoted}]}}\n'),
        str(folder / "each.parquet"),
    ]


@LANGUAGES
def test_a_list_keeps_the_letters_in_every_format(tmp_path: Path, language: Language) -> None:
    for path in list_files(tmp_path, language.names):
        found = load_entities(path, alphabet=language.alphabet).of("u")
        assert {one.text: one.display_as for one in found.entities} == dict(
            zip(language.written, language.names, strict=True)
        ), path
        assert not found.rejected


@LANGUAGES
def test_what_is_loaded_matches_what_is_read(tmp_path: Path, language: Language) -> None:
    """The first name is found, the second is missed as a letter of it is written wrong, the third is not said."""
    reference = text(tmp_path / "reference.tsv", f"u\t{language.said}\n")
    written = text(tmp_path / "written.tsv", f"u\t{language.heard}\n")
    for path in list_files(tmp_path, language.names):
        corpus = load_scoring_set(reference, path, alphabet=language.alphabet)
        result = corpus.score(written)
        assert result.entity_counts() == {"true_positives": 1, "false_positives": 0, "false_negatives": 1}, path
        assert result.word_counts("wer").errors == 1
        assert result.word_counts("b_wer").errors == 1
        perfect = corpus.score(reference)
        assert perfect.entity_counts() == {"true_positives": 2, "false_positives": 0, "false_negatives": 0}
        assert perfect.word_counts("wer").errors == 0


@LANGUAGES
def test_lists_in_rows_and_of_runs_are_read_so_too(tmp_path: Path, language: Language) -> None:
    names = list(language.names)
    folder = storage.open_filesystem(str(tmp_path / "run" / "lists"))
    snapshot.save(EntitySource(load_entity_list(list_files(tmp_path, names)[0], alphabet=language.alphabet)), folder)
    loaded = snapshot.load(folder, language.alphabet)
    assert loaded.of("u").by_text.keys() == set(language.written)
    for source in (snapshot.load(folder, language.alphabet), load_entities(None, alphabet=language.alphabet)):
        assert source.of("u", names).by_text.keys() == set(language.written)

    audio = pa.table({"utterance_id": ["u"], "text": [language.said], "entities": [names]})
    pq.write_table(audio, tmp_path / "audio.parquet")
    for lists in (None, str(tmp_path / "audio.parquet")):
        corpus = load_scoring_set(str(tmp_path / "audio.parquet"), lists, alphabet=language.alphabet)
        assert corpus.lists.of("u").by_text.keys() == set(language.written)

    (tmp_path / "run" / "transcripts").mkdir()
    pq.write_table(audio.select(["utterance_id", "text"]), tmp_path / "run" / "transcripts" / "a.parquet")
    corpus = scoring_set_of_run(str(tmp_path / "run"), alphabet=language.alphabet)
    assert corpus.score(str(tmp_path / "run")).entity_counts()["true_positives"] == 2
    run = load_scoring_set(
        text(tmp_path / "r.tsv", f"u\t{language.said}\n"),
        run=run_folder_of(str(tmp_path / "run")),
        alphabet=language.alphabet,
    )
    assert run.score(str(tmp_path / "run")).entity_counts()["true_positives"] == 2


@LANGUAGES
def test_the_benchmark_variants_and_counted_words(tmp_path: Path, language: Language) -> None:
    first, second, _ = language.names
    path = text(tmp_path / "is21.tsv", f'u\t{language.said}\t["{second}"]\t["{first}", "{second}"]\n')
    corpus = load_scoring_set(path, alphabet=language.alphabet)
    assert corpus.lists.spoken == {"u": frozenset([language.written[1]])}
    written = text(tmp_path / "written.tsv", f"u\t{language.said}\n")
    listed = list_files(tmp_path, language.names)[0]
    content = f'[{{"kind": "ablation", "name": "x", "transcripts": "{written}", "lists": "{listed}"}}]'
    variant = read_variants(text(tmp_path / "variants.json", content), corpus)[0]
    assert variant.result.entity_counts() == {"true_positives": 2, "false_positives": 0, "false_negatives": 0}
    counts = count_words(text(tmp_path / "words.txt", f"{second}\n{second}, {second}\n"), language.alphabet)
    assert counts == {language.written[1]: 3}


def test_word_times_of_examples_are_found_in_its_words(tmp_path: Path) -> None:
    words = [{"word": "Чайковский", "start_seconds": 0.5, "end_seconds": 1.0}]
    pq.write_table(pa.table({"utterance_id": ["u"], "words": [words]}), tmp_path / "t.parquet")
    source = ExampleSource(str(tmp_path / "t.parquet"), alphabet=RUSSIAN)
    assert source.load(["u"], clip_bytes=0).times == {"u": [(0.5, 1.0)]}


def test_numbers_are_spoken_in_english_where_that_can_be_written() -> None:
    german = build_list([(1, {"entity": "Straße 7"})], GERMAN)
    assert (german.entities[0].text, german.entities[0].aliases) == ("straße seven", ("straße 7",))
    russian = build_list([(1, {"entity": "Восток-1 & 5%"})], RUSSIAN)
    assert (russian.entities[0].text, russian.entities[0].aliases) == ("восток 1 5", ())


def test_letters_of_another_alphabet_are_rejected_with_the_own_ones() -> None:
    russian = build_list([(1, {"entity": "Zelensky"}), (2, {"entity": "Зеленский"})], RUSSIAN)
    assert [one.text for one in russian.entities] == ["зеленский"]
    assert [(one.row, one.reason) for one in russian.rejected] == [
        (1, f"has letters that the model cannot write ('Zelnsky'); give a spelling in its own, {RUSSIAN.letters}")
    ]
    english = build_list([(1, {"entity": "Зеленский"})])
    assert english.rejected[0].reason == (
        "has letters that an English recogniser cannot write ('Зелнский'); give a Latin spelling"
    )


def test_of_two_spellings_the_one_with_letters_of_its_own_is_shown() -> None:
    merged = build_list([(1, {"entity": "MÜLLER"}), (2, {"entity": "müller"}), (3, {"entity": "Müller"})], GERMAN)
    assert [(one.text, one.display_as) for one in merged.entities] == [("müller", "MÜLLER")]
