"""Utterances of one recording are context for each other: first passes alone, in whatever order the rows come."""

import dataclasses

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.config import CutConfig, RunConfig, SessionConfig
from pipeline.entities.lists import EntitySource, UtteranceLists
from pipeline.recognition.emission_rows import read_emissions
from pipeline.recognition.recogniser import Recogniser
from pipeline.recognition.recordings import Recordings, clear_row
from pipeline.reprocess.redo import Redo, Redone
from pipeline.reprocess.touched import Touching
from pipeline.schemas import CLEAR, EARLIER
from pipeline.types.entity import Entity, EntityList
from tests.support.hearing import CONFIG, hear, recogniser

TEXTS = ("we met zelensky today", "ann lives in york", None, "new york times", "ann met zelensky", "york", "today")
RECORDINGS = ("a", "a", "a", "b", "a", "b", None)
NAMES = ("zelensky", "lens key", "ann", "york", "new york", "times", "today", "odesa", "kirk", "lives")
SESSION = SessionConfig(clear=-6.0, again=4.0, related=2.0, believed=1.0)
IN_SESSION: RunConfig = dataclasses.replace(
    CONFIG, cut=CutConfig(above=2, bound=-4.0, per_doubling=0.0), session=SESSION
)
ENTITIES = st.builds(
    lambda text, tags: Entity(text, text.title(), tags=tags), st.sampled_from(NAMES), st.sampled_from(((), ("city",)))
)
LISTS = st.lists(ENTITIES, min_size=5, max_size=8, unique_by=lambda entity: entity.text).map(
    lambda entities: EntityList(tuple(sorted(entities, key=lambda entity: entity.text)))
)


def row(name: str, names: list[str], recording: str | None = "r", **more: object) -> dict[str, object]:
    return clear_row({"utterance_id": name, "recording_id": recording, **more}, names)


def recordings(*rows: dict[str, object]) -> Recordings:
    return Recordings(pa.Table.from_pylist(list(rows), CLEAR))


def earlier(known: Recordings, name: str, recording: str | None = "r", **more: object) -> tuple[str, ...]:
    return known.earlier({"utterance_id": name, "recording_id": recording, **more})


def test_what_comes_before_counts_and_what_comes_after_does_not() -> None:
    known = recordings(row("u2", ["odesa"], start_seconds=2.0), row("u9", ["kyiv"], start_seconds=1.0))
    assert earlier(known, "u9", start_seconds=1.0) == ()
    assert earlier(known, "u2", start_seconds=2.0) == ("kyiv",)
    assert earlier(known, "u1", start_seconds=3.0) == ("kyiv", "odesa")
    by_id = recordings(row("u1", ["odesa"]), row("u2", []), row("u3", ["kyiv"]))
    assert [earlier(by_id, name) for name in ("u1", "u2", "u4")] == [(), ("odesa",), ("kyiv", "odesa")]


def test_a_recording_a_session_and_a_tenant_are_apart() -> None:
    known = recordings(row("u1", ["odesa"], tenant="acme"), row("u2", ["kyiv"], None, session="r"))
    assert earlier(known, "u5") == ()
    assert earlier(known, "u5", tenant="acme") == ("odesa",)
    assert earlier(known, "u5", None, session="r") == ("kyiv",)
    assert earlier(known, "u5", None) == ()
    assert earlier(recordings(), "u5") == ()


def told(clear: pa.Table, emissions: pa.Table) -> list[list[str]]:
    rows: list[list[str]] = Recordings(clear).told(emissions)[EARLIER.names[0]].to_pylist()
    return rows


def of_recordings(emissions: pa.Table) -> pa.Table:
    place = emissions.schema.get_field_index("recording_id")
    column = pa.array(RECORDINGS, pa.string())
    return emissions.set_column(place, emissions.schema.field(place), column)


def spoken(seed: int) -> pa.Table:
    """The recordings begin without doubts, and go on with them."""
    return of_recordings(hear(TEXTS, seed, sure=(0, 1, 3)))


def listed(*names: str) -> EntitySource:
    return EntitySource(EntityList(tuple(Entity(name, name.title()) for name in sorted(names))))


def test_the_order_of_rows_and_blocks_does_not_matter() -> None:
    one, emissions = recogniser(listed(*NAMES), IN_SESSION), spoken(7)
    clear = one.clear(emissions)
    assert clear.schema.equals(CLEAR)
    assert "zelensky" in clear["names"][0].as_py()
    turned = pa.concat_tables([one.clear(emissions.slice(at, 1)) for at in reversed(range(len(TEXTS)))])
    assert told(turned, emissions) == told(clear, emissions)
    assert "zelensky" in told(clear, emissions)[4]
    assert told(clear, emissions)[6] == []


def full(source: EntitySource, emissions: pa.Table, config: RunConfig = IN_SESSION) -> tuple[Recogniser, Recordings]:
    one = recogniser(source, config)
    known = Recordings(one.clear(emissions))
    return one.with_recordings(known), known


def test_an_empty_list_and_utterances_by_themselves_are_as_without_a_session() -> None:
    without = dataclasses.replace(IN_SESSION, session=None)
    for source, emissions in ((listed(), spoken(7)), (listed(*NAMES), hear(TEXTS, 7))):
        in_session, _ = full(source, emissions)
        assert in_session.transcribe(emissions).equals(recogniser(source, without).transcribe(emissions))


def redo(emissions: pa.Table, old: EntitySource, new: EntitySource) -> Redone:
    (first, before), (second, after) = full(old, emissions), full(new, emissions)
    touching = Touching(second.parts.shortlister)
    return Redo(second, old, new, False, touching, "config", (before, after)).redo(
        first.transcribe(emissions), emissions
    )


@settings(max_examples=25, deadline=None)
@given(old=LISTS, new=LISTS, seed=st.integers(0, 20))
def test_a_new_version_is_a_full_run(old: EntityList, new: EntityList, seed: int) -> None:
    emissions = spoken(seed)
    done = redo(emissions, EntitySource(old), EntitySource(new))
    assert done.rows.equals(full(EntitySource(new), emissions)[0].transcribe(emissions))


@settings(max_examples=15, deadline=None)
@given(old=st.lists(LISTS, min_size=7, max_size=7), new=LISTS, at=st.integers(0, 6))
def test_the_list_of_one_utterance_reaches_the_others(old: list[EntityList], new: EntityList, at: int) -> None:
    emissions = spoken(7)
    sources = [
        EntitySource(lists=UtteranceLists({f"u{i}": one for i, one in enumerate(lists)}))
        for lists in (old, [*old[:at], new, *old[at + 1 :]])
    ]
    done = redo(emissions, *sources)
    assert done.rows.equals(full(sources[1], emissions)[0].transcribe(emissions))


def test_a_name_that_comes_in_early_brings_later_utterances_with_it() -> None:
    emissions = spoken(7)
    others = ("kirk", "lives", "odesa", "times", "today", "lens key")  # 2^3 in either list
    done = redo(emissions, listed(*others), listed(*others, "zelensky"))
    assert 2 <= done.recomputed < len(TEXTS) - 1


@pytest.mark.parametrize(("again", "found"), [(0.0, False), (50.0, True)])
def test_what_was_clear_needs_less(again: float, found: bool) -> None:
    config = dataclasses.replace(
        IN_SESSION, cut=CutConfig(above=2, bound=20.0), session=dataclasses.replace(SESSION, again=again, related=0.0)
    )
    emissions = spoken(7)
    one, known = full(listed(*NAMES), emissions, config)
    heard = [heard for _, heard in read_emissions(known.told(emissions))][4]
    assert heard is not None
    assert "zelensky" in heard.earlier
    entities = one.parts.shortlister.shortlist(heard, listed(*NAMES).corpus).entities
    assert ("zelensky" in entities.by_text) is found


def test_what_only_sounds_like_it_is_not_clear() -> None:
    one, emissions = recogniser(listed("lens kee", *NAMES), IN_SESSION), hear(("the lens key is new",), 7, sure=(0,))
    (names,) = one.clear(emissions)["names"].to_pylist()
    assert "lens key" in names
    assert "lens kee" not in names
