"""A model's own letters in place of phones: what is heard of them, how names are said in them, and when."""

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from jobs.transcribe import main
from pipeline.acoustic.adapter_files import resolved
from pipeline.acoustic.calibration_files import configured
from pipeline.acoustic.companion_files import by_letters, settled
from pipeline.acoustic.letter_units import columns_of, letter_pronouncer
from pipeline.acoustic.letters import WithLetters
from pipeline.config import LETTERS, AcousticConfig, G2gConfig, MemoryConfig, ShortlistConfig, joint
from pipeline.entities.lists import load_entities
from pipeline.errors import ConfigError
from pipeline.lexicon.alignment import align_words
from pipeline.lexicon.pronunciation import ListPronouncer, Pronouncer
from pipeline.rescoring.technique import Sounds
from pipeline.rescoring.variants import SpellingVariants
from pipeline.retrieval.phonetic import Phonetic
from pipeline.text import Alphabet
from pipeline.training.made_lists import ListMaker
from pipeline.types.emissions import Emissions
from pipeline.types.entity import Entity, EntityList
from pipeline.types.tokens import WORD_START, Tokens
from tests.support.sparse import sparsify
from tests.support.transcribing import noises, read_json, transcripts, write_corpus
from tests.support.zoo import GERMAN, wav2vec

GERMAN_LETTERS = Alphabet("abcdefghijklmnopqrstuvwxyzäöüß")
PIECES = ("", WORD_START, *GERMAN_LETTERS.letters, "'")


def spell(text: str) -> list[int]:
    return [PIECES.index(letter) for letter in text.replace(" ", WORD_START)]


TOKENS = Tokens(PIECES, 0, spell, lambda text, count: [spell(text)], GERMAN_LETTERS)


def heard(text: str, doubts: dict[int, str] | None = None) -> Emissions:
    """Each letter in one frame, a blank after it; ``doubts``: what is nearly as likely at a place."""
    scores = np.full((2 * len(text), len(PIECES)), 0.0, np.float32)
    scores[1::2, 0] = 9.0
    for at, letter in enumerate(spell(text)):
        scores[2 * at, letter] = 9.0
        if doubts and at in doubts:
            scores[2 * at, PIECES.index(doubts[at])] = 8.0
    return Emissions(sparsify(scores - np.log(np.exp(scores).sum(1, keepdims=True)), 32))


class Said:
    """A loaded model that hears what it is given."""

    tokens, frame_seconds, max_seconds, model_id, phones = TOKENS, 0.02, 30.0, "said", None
    takes_threads, together = False, False

    def __init__(self, said: Sequence[Emissions]) -> None:
        self.said = said

    def begin(self, waveforms: Any, with_states: bool = False, query: Any = None) -> Any:
        return lambda: list(self.said)


def letters_of(one: Emissions) -> np.ndarray:
    model: Any = Said([one])
    found = WithLetters(model).encode([np.zeros(1600, np.float32)])[0].phone_log_probs
    assert found is not None
    return found


def test_what_stands_between_words_is_silence() -> None:
    found = letters_of(heard("zu öl"))
    assert found.shape == (10, 1 + 31)
    columns = columns_of(TOKENS)
    assert [columns.units.names[k - 1] if k else "-" for k in found.argmax(1)[::2]] == ["z", "u", "-", "ö", "l"]
    assert np.allclose(np.exp(found.astype(np.float32)).sum(1), 1.0, atol=0.02)


def test_how_far_letters_are_apart() -> None:
    units = columns_of(TOKENS).units
    apart = {
        pair: units.substitutions[units.ids[pair[0]], units.ids[pair[1]]] for pair in ("aä", "bp", "au", "bk", "ss")
    }
    assert apart["ss"] == 0 < apart["aä"] < apart["bp"] < apart["au"] < apart["bk"] == 1
    assert (units.substitutions == units.substitutions.T).all()


def test_a_name_is_found_as_it_is_spelled_or_as_it_is_said() -> None:
    pronouncer = letter_pronouncer(TOKENS)
    names = EntityList(
        (
            Entity("höfler", "Höfler"),
            Entity("köln", "Köln"),
            Entity("leicester", "Leicester", pronunciations=("lester",)),
        )
    )
    strategy = Phonetic(ShortlistConfig(), pronouncer)
    found = [
        [names.entities[at].text for at in strategy.select(Emissions(one.tokens, letters_of(one)), names)]  # type: ignore[union-attr]
        for one in (heard("frau hefler war da", {6: "ö"}), heard("in lesta"), heard("wir gehen nach hause"))
    ]
    assert found == [["höfler"], ["leicester"], []]


def test_words_are_aligned_to_letters_as_to_phones() -> None:
    pronouncer, found = letter_pronouncer(TOKENS), letters_of(heard("zu öl"))
    aligned = align_words(
        found.astype(np.float32), [pronouncer.pronounce("zu"), pronouncer.pronounce("öl")], pronouncer.units
    )
    assert ["".join(one.phone for one in word.phones) for word in aligned.words] == ["zu", "öl"]
    assert [word.start_frame for word in aligned.words] == [0, 6]


def test_pronunciations_as_they_sound_are_for_letters_and_arpabet_for_phones(tmp_path: Path) -> None:
    (tmp_path / "names.csv").write_text("entity,pronunciations\nLeicester,lester\nGrün,G R UW N\n")
    read = load_entities(str(tmp_path / "names.csv"), alphabet=GERMAN_LETTERS).corpus
    assert [one.pronunciations for one in read.entities] == [("G R UW N",), ("lester",)]
    green, leicester = read.entities
    letters, phones = letter_pronouncer(TOKENS), Pronouncer()
    assert (letters.entity(green), letters.entity(leicester)) == ((tuple("grün"),), (tuple("lester"),))
    assert phones.entity(green) == (("G", "R", "UW", "N"),)
    assert phones.entity(leicester) == phones.pronounce("Leicester")
    plain = load_entities(str(tmp_path / "names.csv")).corpus  # beside the letters of English only ARPAbet is one
    assert [reason.reason for reason in plain.rejected if "lester" in reason.reason]


def test_what_sounds_otherwise_is_searched_for_as_it_sounds() -> None:
    letters = letter_pronouncer(TOKENS)
    variants = SpellingVariants(G2gConfig(confusions=None), Sounds(letters, ListPronouncer(letters), letters.knows))
    leicester = Entity("leicester", "Leicester", pronunciations=("lester",))
    assert variants.variants(leicester) == ["lester"]
    assert variants.variants(Entity("köln", "Köln")) == []


def test_few_words_make_a_short_list() -> None:
    maker = ListMaker([["grüße"], ["aus", "köln"]], letter_pronouncer(TOKENS))
    assert 1 < len(maker.filled("u", ["aus", "köln"], 100)) < 20


def test_letters_are_heard_where_they_are_asked_for(tmp_path: Path) -> None:
    wav2vec(GERMAN)(tmp_path / "german")
    acoustic = {"model": str(tmp_path / "german"), "language": "de"}
    assert settled(AcousticConfig(**acoustic)).phones is None
    config = resolved(configured(joint(), None, acoustic | {"phones": LETTERS}))
    assert config.acoustic.phones == LETTERS
    assert (config.phone_fusion, config.rescoring) == (None, None)
    assert config.g2g is not None
    assert config.g2g.confusions is None
    assert config.guard is not None
    assert config.guard.cautious


def test_a_memory_of_phones_is_none_of_letters() -> None:
    acoustic = dataclasses.replace(joint().acoustic, phones=LETTERS)
    with pytest.raises(ConfigError, match="memory: holds names as phones heard them"):
        by_letters(dataclasses.replace(joint(), acoustic=acoustic, memory=MemoryConfig("memory.json")))


def test_subwords_are_no_letters() -> None:
    with pytest.raises(ConfigError, match="writes subwords such as '▁the'"):
        columns_of(dataclasses.replace(TOKENS, pieces=(*PIECES, "▁the")))
    model: Any = Said([])
    model.phones = ("AA",)
    with pytest.raises(ConfigError, match="for models without a phone head"):
        WithLetters(model)


def test_a_run_hears_letters_and_says_so(tmp_path: Path) -> None:
    wav2vec(GERMAN)(tmp_path / "model")
    (tmp_path / "names.txt").write_text("Höfler\nBrüggen\n")
    (tmp_path / "run.yaml").write_text(
        "acoustic: {phones: letters}\nlanguage_model: null\nboost_class: null\nbeam: {width: 8}\n"
    )
    audio = str(write_corpus(tmp_path / "audio.parquet", noises(2)))
    command = ["--model", str(tmp_path / "model"), "--language", "de", "--executor", "local", "--config"]
    command += [str(tmp_path / "run.yaml"), "--entities", str(tmp_path / "names.txt"), "--summary"]
    command += [str(tmp_path / "run.json"), "--output"]
    assert main([*command, str(tmp_path / "out"), "--audio", audio, "--cache-emissions"]) == 0
    first = read_json(tmp_path / "run.json")
    assert first["phones"] == {"of": "the model's own letters"}
    assert first["config"]["acoustic"]["phones"] == LETTERS
    assert first["model_id"].endswith("+letters")
    cache = next((tmp_path / "out" / "emissions").iterdir())
    assert json.loads((cache / "cache.json").read_text())["identity"]["acoustic"]["phones"] == LETTERS
    assert main([*command, str(tmp_path / "again"), "--emissions", str(cache)]) == 0
    again = read_json(tmp_path / "run.json")
    assert transcripts(again["transcripts"]) == transcripts(first["transcripts"])
