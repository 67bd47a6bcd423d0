"""Against the shipped dictionary and model; every expectation is how an English speaker says it."""

import gzip
from pathlib import Path

import pytest

from pipeline.errors import InputError, ModelError
from pipeline.lexicon.phones import PHONES, parse_phones, substitution_costs
from pipeline.lexicon.pronunciation import ListPronouncer, Pronouncer, read_dictionary
from pipeline.types.entity import Entity, EntityList


@pytest.fixture(scope="module")
def pronouncer() -> Pronouncer:
    return Pronouncer()


def said(pronouncer: Pronouncer, text: str) -> list[str]:
    return [" ".join(phones) for phones in pronouncer.pronounce(text)]


@pytest.mark.parametrize(
    ("text", "phones"),
    [
        ("cat", "K AE T"),
        ("O'Neill", "OW N IY L"),
        ("o’neill", "OW N IY L"),
        ("BBC", "B IY B IY S IY"),
        ("B.B.C.", "B IY B IY S IY"),
        ("zdf", "Z IY D IY EH F"),
        ("J. Smith", "JH EY S M IH TH"),
        ("NASA", "N AE S AH"),
        ("5-FU", "F AY V EH F Y UW"),
        ("COVID-19", "K OW V IH D N AY N T IY N"),
        ("Henry VIII", "HH EH N R IY DH AH EY T TH"),
        ("dog's", "D AO G Z"),
        ("cat's", "K AE T S"),
        ("21st", "T W EH N T IY F ER S T"),
        ("AT&T", "EY T IY AH N D T IY"),
        ("café", "K AH F EY"),
        ("jean-paul", "JH IY N P AO L"),
    ],
)
def test_is_among_the_pronunciations(pronouncer: Pronouncer, text: str, phones: str) -> None:
    assert phones in said(pronouncer, text)


@pytest.mark.parametrize("text", ["Zelenskyy", "Kraków", "Øresund", "Schwarzenegger-Đoković", "Vigdís Finnbogadóttir"])
def test_accented_names_have_one_to_five_plausible_pronunciations(pronouncer: Pronouncer, text: str) -> None:
    found = pronouncer.pronounce(text)
    assert 1 <= len(found) <= 5
    assert len(set(found)) == len(found)
    assert all(set(phones) <= set(PHONES) for phones in found)
    assert all(0.4 < len(phones) / len(text) < 1.2 for phones in found)


def test_dictionary_comes_first_and_variants_follow(pronouncer: Pronouncer) -> None:
    assert said(pronouncer, "either")[:2] == ["IY DH ER", "AY DH ER"]
    assert said(pronouncer, "911")[0] == "N AY N HH AH N D R AH D IH L EH V AH N"
    assert "N AY N W AH N W AH N" in said(pronouncer, "911")


def test_nothing_said(pronouncer: Pronouncer) -> None:
    assert pronouncer.pronounce("") == pronouncer.pronounce("—") == pronouncer.pronounce("'") == ()


def test_user_pronunciations_override(pronouncer: Pronouncer) -> None:
    entity = Entity("siobhan", "Siobhán", pronunciations=("sh ih0 v ao1 n",))
    assert pronouncer.entity(entity) == (("SH", "IH", "V", "AO", "N"),)
    with pytest.raises(InputError, match=r"'SH XX'.*\['XX'\]"):
        pronouncer.entity(Entity("siobhan", "Siobhán", pronunciations=("SH XX",)))


def test_entity_heeds_its_display_form_and_aliases(pronouncer: Pronouncer) -> None:
    found = pronouncer.entity(Entity("who", "WHO", aliases=("world health organization",)))
    assert parse_phones("D AH B AH L Y UW EY CH OW") in found
    assert any(len(phones) > 15 for phones in found)


def test_lists_are_kept_by_version(pronouncer: Pronouncer) -> None:
    entities = EntityList((Entity("krakow", "Kraków"), Entity("who", "WHO")))
    lists = ListPronouncer(pronouncer)
    first = lists.pronounce(entities)
    assert set(first) == {"krakow", "who"}
    assert lists.pronounce(EntityList(entities.entities)) is first


def test_broken_dictionary(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="not a pronunciation dictionary"):
        read_dictionary(tmp_path / "missing.gz")
    with gzip.open(tmp_path / "short.gz", "wt") as file:
        file.write("cat\tK AE T\n")
    with pytest.raises(ModelError, match="names of the letters"):
        read_dictionary(tmp_path / "short.gz")


def test_articulatory_distance() -> None:
    costs = substitution_costs()
    index = PHONES.index
    assert (costs == costs.T).all()
    assert (costs.diagonal() == 0).all()
    assert costs[index("S"), index("Z")] < costs[index("S"), index("T")] < costs[index("S"), index("M")]
    assert costs[index("IH"), index("IY")] < costs[index("IH"), index("AO")]
    assert costs[index("P"), index("AA")] == 1
