"""Where blocks stand: every pronunciation is found by each of its blocks, with all that is needed to judge it."""

from pathlib import Path

import numpy as np
import pytest

from pipeline.acoustic.loading import load_tokens
from pipeline.config import AcousticConfig
from pipeline.errors import InputError
from pipeline.retrieval import block_entries
from pipeline.retrieval.block_entries import (
    ENTITY,
    LETTERS,
    MOST_LETTERS,
    NARROW,
    NEXT,
    NO_SUBWORD,
    PHONES,
    RAREST,
    SEVERAL,
    SUBWORDS,
    WORD,
    BlockEntries,
    entries_of,
    open_entries,
)
from pipeline.retrieval.sound_index import SoundIndex, build_index, encode
from pipeline.retrieval.spelling_index import SpellingIndex, build_spellings
from pipeline.types.entity import Entity

TOKENS = load_tokens(AcousticConfig())
SAID = {
    "met": ("M EH T",),
    "nilsson": ("N IH L S AH N", "N IY L S AH N"),
    "nelson": ("N EH L S AH N", "N IH L S AH N"),
    "vancomycin": ("V AE NG K OW M AY S IH N",),
    "llanfair": ("L AE N F EH R " * 3,),
    "llanfairpwll": ("L AE N F EH R S IH T P UH L " * 3,),
    "—": (),
}


def indexed(aliases: tuple[str, ...] = ()) -> tuple[SoundIndex, SpellingIndex]:
    index = build_index([encode([tuple(one.split()) for one in said]) for said in SAID.values()])
    return index, build_spellings([Entity(name, name, aliases=aliases) for name in SAID], TOKENS)


def word_of(entry: np.ndarray) -> int:
    return int(entry[WORD]) | int(entry[WORD + 1]) << 32


def halves_of(entry: np.ndarray) -> list[tuple[int, int]]:
    """The left and right halves of the two blocks that come next."""
    parts = list(map(int, entry[NEXT:]))
    if len(parts) == 4:
        return [(parts[0], parts[1]), (parts[2], parts[3])]
    return [(part & (1 << NARROW) - 1, part >> NARROW) for part in parts]


def found_by(entries: BlockEntries, block: int) -> list[tuple[object, ...]]:
    """Entity, pronunciation, phones, and the halves of the next two blocks, of each entry."""
    few = entries.entries[entries.starts[block] : entries.starts[block + 1]]
    return [
        (int(one[ENTITY]), int(one[block_entries.SAID]), word_of(one) & (1 << PHONES) - 1, *halves_of(one))
        for one in few
    ]


@pytest.mark.parametrize("narrow", [NARROW, 0])
def test_every_block_leads_to_the_pronunciations_that_have_it(narrow: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where there are so many halves that they need more bits."""
    monkeypatch.setattr(block_entries, "NARROW", narrow)
    index, spellings = indexed()
    entries = entries_of(index, spellings)
    assert entries.entries.shape[1] == (6 if narrow else 8)
    none = (len(index.left_lengths), len(index.right_lengths))
    wanted = dict[int, list[tuple[object, ...]]]()
    for k in range(len(index.lengths)):
        parts = index.parts[index.part_starts[k] : index.part_starts[k + 1]].tolist()
        for place, block in enumerate(parts if len(parts) <= SEVERAL else ()):
            later = [parts[(place + 1 + more) % len(parts)] if len(parts) > 1 + more else None for more in range(2)]
            halves = [none if p is None else (index.block_lefts[p], index.block_rights[p]) for p in later]
            for owner in index.owned(np.array([k], np.int32))[1].tolist():
                wanted.setdefault(block, []).append((owner, k, int(index.lengths[k]), *halves))
    for block in range(len(index.block_lefts)):
        assert sorted(found_by(entries, block)) == sorted(wanted.get(block, []))
    assert index.lengths[entries.long].tolist() == [36]
    assert entries.long_entities.tolist() == [5]
    assert entries.long_parts.tolist() == index.parts[index.part_starts[entries.long[0]] :][:6].tolist()
    assert entries.long_starts.tolist() == [0, 6]


def test_the_pronunciations_of_each_entity() -> None:
    index, spellings = indexed()
    entries = entries_of(index, spellings)
    which, owners = index.owned(np.arange(len(index.lengths), dtype=np.int32))
    for entity in range(len(SAID)):
        said = entries.said[entries.said_starts[entity] : entries.said_starts[entity + 1]]
        assert said.tolist() == which[owners == entity].tolist()


def test_an_entry_knows_the_rarest_subwords_of_a_single_spelling() -> None:
    index, spellings = indexed()
    counts = np.bincount(spellings.tokens)
    for entry in entries_of(index, spellings).entries:
        entity, word = int(entry[ENTITY]), word_of(entry) >> PHONES
        spelled = spellings.tokens[spellings.starts[entity] : spellings.starts[entity + 1]].tolist()
        rarest = sorted(counts[token] for token in spelled)[:RAREST]
        some = [word >> LETTERS + SUBWORDS * place & NO_SUBWORD for place in range(RAREST)]
        known = [token for token in some if token != NO_SUBWORD]
        assert [counts[token] for token in known] == rarest
        assert all(spelled.count(token) >= known.count(token) for token in known)
        assert word & MOST_LETTERS == len(list(SAID)[entity])


def test_of_several_spellings_nothing_is_known() -> None:
    entries = entries_of(*indexed(("other",)))
    assert {word_of(entry) >> PHONES for entry in entries.entries} == {(1 << LETTERS + RAREST * SUBWORDS) - 1}


def test_entries_come_back_from_files(tmp_path: Path) -> None:
    entries = entries_of(*indexed())
    entries.save(tmp_path)
    again = open_entries(tmp_path)
    assert all(np.array_equal(getattr(again, name), getattr(entries, name)) for name in entries.__dataclass_fields__)
    (tmp_path / "entries.npy").unlink()
    with pytest.raises(InputError, match="no whole entries"):
        open_entries(tmp_path)


def test_an_empty_list_has_none() -> None:
    entries = entries_of(build_index([]), build_spellings([], TOKENS))
    assert (len(entries.entries), entries.starts.tolist(), entries.said_starts.tolist()) == (0, [0], [0])
