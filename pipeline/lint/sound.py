"""What pronunciations tell: entries that sound like common words or each other, short ones, odd and guessed ones."""

from collections.abc import Iterator, Mapping, Sequence

from pipeline.lexicon.phones import Pronunciation, parse_phones
from pipeline.lexicon.pronunciation import Pronouncer
from pipeline.lint.findings import Finding
from pipeline.lint.nearby import SoundTrie, distance
from pipeline.types.entity import Entity, EntityList

NEAR = 0.12
"""Weighted edits per phone: one small difference (voicing, a vowel, a weak sound) in a word of four to six phones."""
ODD = 0.5
"""A given pronunciation that is farther than this from what the spelling suggests is unusual, or a mistake."""
SHORT = 3
"""Phones. Of shorter words there is one within a small difference of nearly everything that is said."""
_LOWERED = 0.5  # as in spelling.py

Sounds = Mapping[str, tuple[Pronunciation, ...]]


def pronounce(entities: EntityList, pronouncer: Pronouncer) -> dict[str, tuple[Pronunciation, ...]]:
    """Return entity text -> pronunciations, the best first."""
    return {entity.text: pronouncer.entity(entity) for entity in entities.entities}


def check_sound(
    entities: EntityList, sounds: Sounds, common: Mapping[str, int], pronouncer: Pronouncer
) -> Iterator[Finding]:
    """Yield what is doubtful in the pronunciations ``sounds`` of a list; ``common``: words with their rank."""
    for entity in entities.entities:
        yield from _alone(entity, sounds[entity.text], pronouncer)
    risky = [entity for entity in entities.entities if entity.weight > _LOWERED]
    yield from _like_common([entity for entity in risky if entity.text not in common], sounds, common, pronouncer)
    yield from _like_each_other(entities.entities, sounds)


def _alone(entity: Entity, said: tuple[Pronunciation, ...], pronouncer: Pronouncer) -> Iterator[Finding]:
    if not said:
        yield Finding("silent", entity.display_as)
        return
    shortest = min(said, key=len)
    if len(shortest) <= SHORT and entity.weight > _LOWERED:
        yield Finding("short", entity.display_as, f"/{' '.join(shortest)}/", value=-len(shortest))
    if entity.pronunciations:
        yield from _odd(entity, pronouncer)
        return
    unknown = [word for word in entity.text.split() if word.isalpha() and not pronouncer.knows(word)]
    if unknown:
        yield Finding("guessed_pronunciation", entity.display_as, f"/{' '.join(said[0])}/")


def _odd(entity: Entity, pronouncer: Pronouncer) -> Iterator[Finding]:
    expected = pronouncer.pronounce(entity.display_as)
    for given in entity.pronunciations:
        apart = min((distance(parse_phones(given), one) for one in expected), default=0.0)
        if apart > ODD:
            said = " ".join(expected[0])
            yield Finding("odd_pronunciation", entity.display_as, f"/{given}/, its spelling says /{said}/", value=apart)


def _like_common(
    entities: Sequence[Entity], sounds: Sounds, common: Mapping[str, int], pronouncer: Pronouncer
) -> Iterator[Finding]:
    words: dict[Pronunciation, str] = {}
    for word in sorted(common, key=lambda word: common[word]):
        for phones in pronouncer.pronounce(word):
            words.setdefault(phones, word)
    trie = SoundTrie(list(words))
    found = iter(trie.near([phones for entity in entities for phones in sounds[entity.text]], NEAR))
    for entity in entities:
        own = {*entity.text.split(), *entity.aliases}
        near = [pair for _ in sounds[entity.text] for pair in next(found)]
        words_near = [(apart, words[trie.sounds[index]]) for apart, index in near]
        named = sorted((apart, common[word], word) for apart, word in words_near if word not in own)
        if named:
            apart, _, word = named[0]
            kind = "near_common_sound" if apart > 0 else "common_sound"
            shown = f"'{word}'" if apart == 0 else f"'{word}' ({apart:.2f} apart)"
            yield Finding(kind, entity.display_as, shown, value=-apart + 1 / common[word])


def _like_each_other(entities: Sequence[Entity], sounds: Sounds) -> Iterator[Finding]:
    """Each pair once, named by the entity that comes first; best pronunciations only, guesses pile up otherwise."""
    owners: dict[Pronunciation, list[Entity]] = {}
    for entity in entities:
        for phones in sounds[entity.text][:1]:
            owners.setdefault(phones, []).append(entity)
    trie = SoundTrie(list(owners))
    for at, (phones, near) in enumerate(zip(trie.sounds, trie.near(trie.sounds, NEAR), strict=True)):
        first, *same = owners[phones]
        if same:
            yield Finding("same_sound", first.display_as, ", ".join(f"'{one.display_as}'" for one in same))
        for apart, index in near:
            if index > at:
                other = owners[trie.sounds[index]][0]
                yield Finding("near_sound", first.display_as, f"'{other.display_as}' ({apart:.2f} apart)", value=-apart)
