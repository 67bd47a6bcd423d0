"""Where blocks stand: every pronunciation is found by each of its blocks, with all that is needed to judge it."""

from pathlib import Path

import numpy as np
import pytest

from pipeline.acoustic.loading import load_tokens
from pipeline.config import AcousticConfig
from pipeline.errors import InputError
from pipeline.retrieval.block_entries import (
    LETTERS,
    MOST_LETTERS,
    NO_SUBWORD,
    PHONES,
    SEVERAL,
    SUBWORDS,
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
    "llanfairpwll": ("L AE N F EH R " * 5,),
    "—": (),
}


def indexed(aliases: tuple[str, ...] = ()) -> tuple[SoundIndex, SpellingIndex]:
    index = build_index([encode([tuple(one.split()) for one in said]) for said in SAID.values()])
    return index, build_spellings([Entity(name, name, aliases=aliases) for name in SAID], TOKENS)


def found_by(entries: BlockEntries, block: int) -> list[tuple[int, ...]]:
    """Entity, phones, and the blocks of a pronunciation, of each entry."""
    none = len(entries.starts) - 1
    return [
        (int(entry[0]), int(word) & (1 << PHONES) - 1, *sorted({block, *entry[1:].tolist()} - {none}))
        for word, entry in (
            (entries.words[at], entries.entries[at]) for at in range(entries.starts[block], entries.starts[block + 1])
        )
    ]


def test_every_block_leads_to_the_pronunciations_that_have_it() -> None:
    index, spellings = indexed()
    entries = entries_of(index, spellings)
    wanted = dict[int, list[tuple[int, ...]]]()
    for k in range(len(index.lengths)):
        parts = index.parts[index.part_starts[k] : index.part_starts[k + 1]].tolist()
        for block in parts if len(parts) <= SEVERAL else ():
            for owner in index.owned(np.array([k], np.int32))[1].tolist():
                wanted.setdefault(block, []).append((owner, int(index.lengths[k]), *sorted(set(parts))))
    for block in range(len(index.block_lefts)):
        assert sorted(found_by(entries, block)) == sorted(wanted.get(block, []))
    assert index.lengths[entries.long].tolist() == [30]
    assert entries.long_entities.tolist() == [5]
    assert entries.long_parts.tolist() == index.parts[index.part_starts[entries.long[0]] :][:5].tolist()
    assert entries.long_starts.tolist() == [0, 5]


def test_the_pronunciations_of_each_entity() -> None:
    index, spellings = indexed()
    entries = entries_of(index, spellings)
    which, owners = index.owned(np.arange(len(index.lengths), dtype=np.int32))
    for entity in range(len(SAID)):
        said = entries.said[entries.said_starts[entity] : entries.said_starts[entity + 1]]
        assert said.tolist() == which[owners == entity].tolist()


def test_an_entry_knows_the_rarest_subwords_of_a_single_spelling() -> None:
    index, spellings = indexed()
    entries = entries_of(index, spellings)
    counts = np.bincount(spellings.tokens)
    for word, entry in zip(entries.words.tolist(), entries.entries.tolist(), strict=True):
        spelled = spellings.tokens[spellings.starts[entry[0]] : spellings.starts[entry[0] + 1]].tolist()
        rarest = sorted(counts[token] for token in spelled)[:2]
        two = [word >> PHONES + LETTERS & NO_SUBWORD, word >> PHONES + LETTERS + SUBWORDS]
        assert [counts[token] for token in two if token != NO_SUBWORD] == rarest
        assert all(spelled.count(token) >= two.count(token) for token in two if token != NO_SUBWORD)
        assert word >> PHONES & MOST_LETTERS == len(list(SAID)[entry[0]])


def test_of_several_spellings_nothing_is_known() -> None:
    entries = entries_of(*indexed(("other",)))
    assert {word >> PHONES for word in entries.words.tolist()} == {(1 << 32 - PHONES) - 1}


def test_entries_come_back_from_files(tmp_path: Path) -> None:
    entries = entries_of(*indexed())
    entries.save(tmp_path)
    again = open_entries(tmp_path)
    assert all(np.array_equal(getattr(again, name), getattr(entries, name)) for name in entries.__dataclass_fields__)
    (tmp_path / "words.npy").unlink()
    with pytest.raises(InputError, match="no whole entries"):
        open_entries(tmp_path)


def test_an_empty_list_has_none() -> None:
    entries = entries_of(build_index([]), build_spellings([], TOKENS))
    assert (len(entries.entries), entries.starts.tolist(), entries.said_starts.tolist()) == (0, [0], [0])
