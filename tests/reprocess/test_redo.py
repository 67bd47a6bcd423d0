"""The contract: a new version equals a full run with the new lists."""

import dataclasses

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.entities.lists import EntitySource, UtteranceLists
from pipeline.errors import InputError
from pipeline.reprocess.redo import Redo, Redone
from pipeline.reprocess.touched import Touching, differing
from pipeline.retrieval.shortlist import Shortlister
from pipeline.retrieval.strategy import Strategy
from pipeline.types.emissions import Emissions
from pipeline.types.entity import Entity, EntityList
from tests.support.hearing import hear, shortlister, transcriber

TEXTS = ("we met zelensky today", "the lens key is new", "ann lives in york", None, "new york times")
NAMES = ("zelensky", "lens key", "ann", "york", "new york", "times", "today", "odesa", "kirk")
ENTITIES = st.builds(
    Entity,
    text=st.sampled_from(NAMES),
    display_as=st.sampled_from(("A", "B")),
    aliases=st.sampled_from(((), ("selensky",), ("the lens key",), ("york",))),
    pronunciations=st.sampled_from(((), (), ("Z EH L EH N S K IY",))),
    weight=st.sampled_from((1.0, 1.0, 2.0, 0.0, -1.0)),
    tags=st.sampled_from(((), ("city",))),
)
LISTS = st.lists(ENTITIES, max_size=6, unique_by=lambda entity: entity.text).map(
    lambda entities: EntityList(tuple(sorted(entities, key=lambda entity: entity.text)))
)


def redo(emissions: pa.Table, old: EntitySource, new: EntitySource, own_lists: bool = False) -> Redone:
    written = transcriber(old).transcribe(emissions)
    return Redo(transcriber(new), old, new, own_lists, Touching(shortlister()), "config").redo(written, emissions)


@settings(max_examples=60, deadline=None)
@given(old=LISTS, new=LISTS, seed=st.integers(0, 50))
def test_a_new_version_is_a_full_run(old: EntityList, new: EntityList, seed: int) -> None:
    emissions = hear(TEXTS, seed)
    done = redo(emissions, EntitySource(old), EntitySource(new))
    assert done.rows.equals(transcriber(EntitySource(new)).transcribe(emissions))
    assert done.recomputed <= len(TEXTS) - 1


@settings(max_examples=20, deadline=None)
@given(old=st.lists(LISTS, min_size=5, max_size=5), new=st.lists(LISTS, min_size=5, max_size=5))
def test_with_lists_per_utterance_too(old: list[EntityList], new: list[EntityList]) -> None:
    emissions = hear(TEXTS, 7)
    sources = [
        EntitySource(lists=UtteranceLists({f"u{at}": one for at, one in enumerate(lists)})) for lists in (old, new)
    ]
    done = redo(emissions, *sources)
    assert done.rows.equals(transcriber(sources[1]).transcribe(emissions))


@settings(max_examples=20, deadline=None)
@given(old=LISTS, new=LISTS)
def test_beside_lists_of_the_utterances_own(old: EntityList, new: EntityList) -> None:
    emissions = hear(TEXTS, 3, own=[["York"], None, [], ["Ann"], ["Times", "New York"]])
    done = redo(emissions, EntitySource(old), EntitySource(new), own_lists=True)
    assert done.rows.equals(transcriber(EntitySource(new)).transcribe(emissions))


def listed(*names: str, **more: Entity) -> EntitySource:
    entities = {name: Entity(name, name.title()) for name in names} | {e.text: e for e in more.values()}
    return EntitySource(EntityList(tuple(entities[name] for name in sorted(entities))))


def test_only_what_the_change_can_touch_is_transcribed_again() -> None:
    emissions = hear(TEXTS, 7)
    added = redo(emissions, listed("ann"), listed("ann", "zelensky")).recomputed
    assert 1 <= added <= 2, "it is said in one, and 'the lens key' of another sounds like it"
    assert redo(emissions, listed("ann", "zelensky"), listed("ann")).recomputed == added
    assert redo(emissions, listed("ann"), listed("ann", "gorbachev")).recomputed == 0
    assert redo(emissions, listed("ann"), listed("ann")).recomputed == 0


def test_what_is_written_out_otherwise_is_a_change_and_a_tag_is_none() -> None:
    emissions = hear(TEXTS, 7)
    shown = redo(emissions, listed("york"), listed(york=Entity("york", "YORK")))
    assert shown.recomputed >= 1
    assert all(set(change.because) == {"York", "YORK"} for change in shown.changes)
    tagged = redo(emissions, listed("york"), listed(york=Entity("york", "York", tags=("city",))))
    assert tagged.recomputed == 0
    version = listed(york=Entity("york", "York", tags=("city",))).corpus.version
    assert set(tagged.rows["list_version"].to_pylist()) == {version}


def test_the_first_pass_may_come_in_any_order_and_must_be_of_the_run() -> None:
    emissions = hear(TEXTS, 7)
    old, new = listed("ann"), listed("ann", "york")
    written = transcriber(old).transcribe(emissions)
    again = Redo(transcriber(new), old, new, False, Touching(shortlister()), "config")
    shuffled = emissions.take(np.array([4, 2, 0, 1, 3]))
    assert again.redo(written, shuffled).rows.equals(transcriber(new).transcribe(emissions))
    with pytest.raises(InputError, match="1 utterances, such as 'u0', are not in the cached first pass"):
        again.redo(written, emissions.slice(1))
    other = written.set_column(
        written.schema.get_field_index("model_id"), "model_id", pa.array(["other"] * 5, pa.string())
    )
    with pytest.raises(InputError, match="another model_id"):
        again.redo(other, emissions)


class Everywhere(Strategy):
    """Finds the whole list if it has more than one entity: a member depends on the others."""

    name, pointwise = "everywhere", False

    def __init__(self) -> None:
        pass

    def select(self, heard: Emissions, entities: EntityList) -> np.ndarray:
        return np.arange(len(entities) if len(entities) > 1 else 0, dtype=np.int32)


def test_where_membership_depends_on_the_list_every_row_whose_list_differs_is_done_again() -> None:
    emissions, old, new = hear(TEXTS, 7), listed("ann", "odesa"), listed("ann", "odesa", "kirk")
    crowded = Shortlister([*shortlister().strategies, Everywhere()])
    full = dataclasses.replace(transcriber(new), shortlister=crowded)
    written = dataclasses.replace(transcriber(old), shortlister=crowded).transcribe(emissions)
    done = Redo(full, old, new, False, Touching(crowded), "config").redo(written, emissions)
    assert done.recomputed == sum(text is not None for text in TEXTS)
    assert done.rows.equals(full.transcribe(emissions))
    assert Redo(full, old, old, False, Touching(crowded), "config").redo(written, emissions).recomputed == 0


def test_both_forms_of_an_entity_differ() -> None:
    found = differing(listed("ann", "york").corpus, listed("york", ann=Entity("ann", "ANN")).corpus)
    assert [(entity.text, entity.display_as) for entity in found.entities] == [("ann", "ANN"), ("ann", "Ann")]
