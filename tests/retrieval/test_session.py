"""What was clear earlier speaks for a name, for those that share a word with it, and for those with its tag."""

import pytest

from pipeline.config import SessionConfig
from pipeline.retrieval.session import Earlier
from pipeline.types.entity import Entity, EntityList

SESSION = SessionConfig(again=3.0, related=1.0)
KNOWN = Entity("anna kowalska", "Anna Kowalska", tags=("staff",))
LISTED = EntityList((KNOWN, Entity("jan nowak", "Jan Nowak", tags=("staff",)), Entity("kowalska", "Kowalska")))


@pytest.mark.parametrize(
    ("entity", "gain"),
    [
        (KNOWN, 3.0),
        (Entity("kowalska", "Kowalska"), 1.0),
        (Entity("ewa kowalska", "Ewa Kowalska"), 1.0),
        (Entity("jan nowak", "Jan Nowak", tags=("staff", "board")), 1.0),
        (Entity("jan nowak", "Jan Nowak"), 0.0),
        (Entity("gdynia", "Gdynia"), 0.0),
    ],
)
def test_gains(entity: Entity, gain: float) -> None:
    assert Earlier.of(("anna kowalska",), LISTED).gains((entity,), SESSION).tolist() == [gain]


def test_short_words_and_names_of_other_lists() -> None:
    earlier = Earlier.of(("st anna", "de witt"), LISTED)
    names = ("de boer", "st jan", "anna", "witt")
    gains = earlier.gains([Entity(name, name) for name in names], SESSION)
    assert gains.tolist() == [0.0, 0.0, 1.0, 1.0]
    assert earlier.tags == frozenset()
