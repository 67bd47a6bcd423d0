from pipeline.config import G2gConfig
from pipeline.lexicon.pronunciation import ListPronouncer, Pronouncer
from pipeline.rescoring.technique import Sounds
from pipeline.rescoring.variants import SpellingVariants
from pipeline.types.entity import Entity, EntityList
from pipeline.types.hypothesis import EntitySpan
from tests.support.speech import hypothesis

PRONOUNCER = Pronouncer()
COMMON = {"met", "today", "night", "the", "read", "paul"}
NAMES = EntityList(
    (
        Entity("knight", "Knight"),
        Entity("paul zelensky", "Paul Zelenskyy"),
        Entity("zelensky", "Zelenskyy", ("zelenski",)),
    )
)


def variants(**fields: float) -> SpellingVariants:
    return SpellingVariants(G2gConfig(**fields), Sounds(PRONOUNCER, ListPronouncer(PRONOUNCER), COMMON.__contains__))  # type: ignore[arg-type]


def test_names_are_spelled_by_ear() -> None:
    found = variants(variants=6, min_probability=0.02).variants(Entity("zelensky", "Zelenskyy"))
    assert {"zelinski", "zelinsky", "zelenski"} <= set(found)
    assert "zelensky" not in found
    assert len(found) <= 6


def test_the_users_pronunciation_is_what_is_spelled() -> None:
    found = variants().variants(Entity("siobhan", "Siobhán", pronunciations=("SH IH V AA N",)))
    assert any(text.startswith("shiv") for text in found)


def test_known_words_never_become_variants() -> None:
    found = variants(variants=9, min_probability=0.001).variants(Entity("knight", "Knight"))
    assert "night" not in found
    assert "nite" in found
    assert variants().variants(Entity("reid", "Reid"))
    assert "read" not in variants(variants=9, min_probability=0.0).variants(Entity("reid", "Reid"))


def test_only_unknown_words_of_a_phrase_vary() -> None:
    found = variants().variants(Entity("paul zelensky", "Paul Zelenskyy"))
    assert found
    assert all(text.startswith("paul z") for text in found)


def test_expanded_list_keeps_what_the_user_wrote() -> None:
    expanded = variants().expand(NAMES)
    assert [entity.text for entity in expanded.entities] == [entity.text for entity in NAMES.entities]
    assert expanded.by_text["zelenski"].text == "zelensky"
    assert expanded.by_text["zelinski"].text == "zelensky"
    spellings = [text for entity in expanded.entities for text in (entity.text, *entity.aliases)]
    assert len(spellings) == len(set(spellings))
    switched_off = EntityList((Entity("zelensky", "Zelenskyy", weight=0.0),))
    assert variants().expand(switched_off) == switched_off


def test_a_variant_is_written_in_its_canonical_form() -> None:
    given = hypothesis("met paul zelinski today", -10.0)
    span = EntitySpan("paul zelensky", 1, 3, ("boosting",))
    found = variants().canonical(type(given)(given.words, -10.0, 0.0, 0.0, -10.0, (span,)), NAMES)
    assert found.text == "met paul zelensky today"
    assert found.entities[0].techniques == ("boosting", "g2g")
    assert (found.words[1].start_frame, found.words[2].end_frame) == (4, 12)


def test_the_users_own_spellings_stay() -> None:
    given = hypothesis("met zelenski today", -10.0)
    span = EntitySpan("zelensky", 1, 2)
    mine = type(given)(given.words, -10.0, 0.0, 0.0, -10.0, (span,))
    assert variants().canonical(mine, NAMES) is mine
