"""The content version of a list: a hash of the same JSON, however fast it is written."""

import hashlib
import json

import pytest

from pipeline.types.entity import Entity, EntityList

ODD = (
    Entity("a", 'with "quotes" \\ and / slash'),
    Entity("b", "tab\tnewline\nnull\x00bell\x07delete\x7f"),
    Entity("c", "Łódź Київ 東京 \u2028 \U0001f600"),
    Entity("d", "D", aliases=("dee", "di")),
    Entity("e", "E", pronunciations=("IY",)),
    Entity("f", "F", weight=0.1),
    Entity("g", "G", weight=1),
    Entity("h", "H", tags=("city",)),
    Entity("i", "I", weight=-0.0),
)


@pytest.mark.parametrize("entities", [ODD, (), *((one,) for one in ODD)])
def test_the_version_is_the_hash_of_the_json_of_each_entity(entities: tuple[Entity, ...]) -> None:
    texts = [
        json.dumps((e.text, e.display_as, e.aliases, e.pronunciations, e.weight, e.tags), ensure_ascii=False)
        for e in entities
    ]
    assert EntityList(entities).version == hashlib.sha256("".join(texts).encode()).hexdigest()[:16]
