"""Utterances with entity lists to learn from: what is said, what only sounds like it, and what is nowhere near."""

import dataclasses
import functools
from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt
import torch

from pipeline.acoustic.adapter import OutputLayer, Spelled, pad_spellings
from pipeline.acoustic.adapter_spelling import Speller
from pipeline.entities.matching import find_entities
from pipeline.errors import RowError
from pipeline.lexicon.phone_index import PhoneIndex
from pipeline.lexicon.pronunciation import Pronouncer
from pipeline.training.adapter_alignment import align_tokens
from pipeline.training.adapter_states import StateRow
from pipeline.types.entity import Entity, EntityList
from pipeline.types.tokens import WORD_START, Tokens

_LONGEST_RUN = 3  # words of one entity


@dataclasses.dataclass(frozen=True)
class ListConfig:
    """How lists are drawn. Shares are probabilities per utterance or word."""

    most_distractors: int = 60  # the number is log-uniform from 0 to this
    only_distractors: float = 0.15  # utterances of whose list nothing is said
    adversarial: float = 0.35  # utterances with sound-alikes of any of their words on the list
    most_adversarial: int = 40
    common_said: float = 0.05  # a common word of four letters or more is on the list too
    sound_alikes: int = 4  # at most this many per listed word
    pairs: float = 0.3  # of the random distractors, two rare words in a row like first and last name
    longest: int = 12  # subwords of a distractor; longer ones only cost time
    retrieved: float = 0.6  # utterances with rivals on whose list some stand, in place of dictionary sound-alikes
    most_retrieved: int = 40  # rivals on one list; their number is log-uniform from 1 to this


@dataclasses.dataclass(frozen=True)
class Utterance:
    """One labelled utterance: words, their tokens, and which token is spoken at which frame (SILENT for none).

    word_of_token: index of each token's word; a delimiter of its own between words k and k + 1 has k + 0.5
    rivals: what retrieval finds of a large list and nobody says (pipeline.training.rivals)
    """

    row: StateRow
    words: tuple[str, ...]
    tokens: tuple[int, ...]
    word_of_token: tuple[float, ...]
    spoken: npt.NDArray[np.int32]  # [T]
    rivals: tuple[str, ...] = ()

    @property
    def frames(self) -> int:
        return self.row.frames


def label(rows: Sequence[StateRow], tokens: Tokens, output: OutputLayer) -> list[Utterance]:
    """Align the text of every row; rows whose text cannot be spelled or does not fit are left out."""
    found = []
    for row in rows:
        try:
            flat = tuple(tokens.encoder(row.text))
        except RowError:
            continue
        with torch.inference_mode():
            log_probs = output(torch.from_numpy(row.states[-1].astype(np.float32))).numpy()
        spoken = align_tokens(log_probs, flat, tokens.blank) if flat else None
        if spoken is not None:
            found.append(Utterance(row, tuple(row.text.split()), flat, words_of(flat, tokens), spoken))
    return found


def words_of(ids: Sequence[int], tokens: Tokens) -> tuple[float, ...]:
    """Return Utterance.word_of_token of token ``ids``."""
    owners, word = [], -1
    for id_ in ids:
        word += 1 if word < 0 or tokens.pieces[id_].startswith(WORD_START) else 0
        owners.append(word - 0.5 if tokens.pieces[id_] == WORD_START else float(word))
    return tuple(owners)


class SoundAlikes:
    """Words that sound like a word, among a fixed vocabulary."""

    def __init__(self, vocabulary: Sequence[str], pronouncer: Pronouncer, limit: float = 0.4, count: int = 12) -> None:
        self._pronouncer, self._limit, self._count = pronouncer, limit, count
        said = ((word, found[0]) for word in vocabulary if (found := pronouncer.pronounce(word)))
        self._index = PhoneIndex(said, pronouncer.units)
        self.of = functools.lru_cache(maxsize=None)(self._of)

    def _of(self, word: str) -> tuple[str, ...]:
        said = self._pronouncer.pronounce(word)
        if not said or any(phone not in self._pronouncer.units.ids for phone in said[0]):
            return ()
        near = self._index.nearest(said[0], self._limit, self._count)
        return tuple(match.key for match in near if match.key != word)


@dataclasses.dataclass(frozen=True)
class AdapterBatch:
    """B utterances of at most T frames and the N spellings of all their lists.

    last [B, T, D], states [B, L + 1, T, D], phones [B, T, P] or None, lengths [B]
    targets: tokens of all utterances one after another; target_sizes [B]
    members [B, N]: whose list holds which spelling
    attended [B, T]: j * N + n of the subword that is spoken, NO_BIAS, or UNKNOWN where nothing is taught
    """

    states: torch.Tensor
    phones: torch.Tensor | None
    lengths: torch.Tensor
    targets: torch.Tensor
    target_sizes: torch.Tensor
    spelled: Spelled
    members: torch.Tensor
    attended: torch.Tensor
    texts: tuple[str, ...]
    utterances: tuple[Utterance, ...]


NO_BIAS, UNKNOWN = -1, -2


class ListDrawer:
    """Draws an entity list for an utterance."""

    def __init__(
        self, config: ListConfig, common: frozenset[str], pool: Sequence[str], alike: Callable[[str], tuple[str, ...]]
    ) -> None:
        self.config, self.common, self.pool, self.alike = config, common, tuple(pool), alike

    def draw(self, words: Sequence[str], generator: np.random.Generator, rivals: Sequence[str] = ()) -> list[str]:
        """Return the texts of one list: said ones first, none twice; ``rivals``: of Utterance."""
        config = self.config
        said = [] if generator.random() < config.only_distractors else self._said(words, generator)
        if rivals and generator.random() < config.retrieved:
            return list(dict.fromkeys([*said, *self._some(rivals, generator)]))
        near = [text for entry in said for text in self._near(entry, generator)]
        if generator.random() < config.adversarial:
            near += self.adversarial(words, int(generator.integers(1, config.most_adversarial + 1)), generator)
        count = round(np.exp(generator.uniform(0, np.log(config.most_distractors + 1)))) - 1
        return list(dict.fromkeys([*said, *near, *(self.distractor(generator) for _ in range(count))]))

    def _said(self, words: Sequence[str], generator: np.random.Generator) -> list[str]:
        chosen, run = [], []
        for word in (*words, ""):
            if word and word not in self.common and len(word) > 2:
                run.append(word)
                continue
            whole = 1 < len(run) <= _LONGEST_RUN and generator.random() < 0.6
            chosen += [" ".join(run)] if whole else run
            run = []
            if len(word) > 3 and generator.random() < self.config.common_said:
                chosen.append(word)
        return [text for text in chosen if generator.random() < 0.9]

    def _some(self, rivals: Sequence[str], generator: np.random.Generator) -> list[str]:
        count = min(len(rivals), round(np.exp(generator.uniform(0, np.log(self.config.most_retrieved)))))
        return [rivals[k] for k in generator.choice(len(rivals), count, replace=False)]

    def _near(self, text: str, generator: np.random.Generator) -> list[str]:
        """Sound-alikes of one word of ``text``, the other words as they are."""
        words = text.split()
        place = int(generator.integers(len(words)))
        others = self.alike(words[place])
        count = min(len(others), int(generator.integers(0, self.config.sound_alikes + 1)))
        picked: Sequence[int] = generator.choice(len(others), count, replace=False).tolist() if count else []
        return [" ".join([*words[:place], others[k], *words[place + 1 :]]) for k in picked]

    def adversarial(self, words: Sequence[str], most: int, generator: np.random.Generator) -> list[str]:
        """Return at most ``most`` texts that sound like some of ``words`` and are none of them."""
        near = [other for word in words for other in self.alike(word) if other not in words]
        count = min(len(near), most)
        return [near[k] for k in generator.choice(len(near), count, replace=False)] if count else []

    def distractor(self, generator: np.random.Generator) -> str:
        """Return a random rare word, or two."""
        count = 2 if generator.random() < self.config.pairs else 1
        return " ".join(self.pool[int(generator.integers(len(self.pool)))] for _ in range(count))


def collate(
    utterances: Sequence[Utterance], lists: Sequence[Sequence[str]], speller: Speller, longest: int
) -> AdapterBatch | None:
    """Pad utterances and join their lists; None if no spelling is left."""
    said = [find_entities(one.words, _as_list(texts)) for one, texts in zip(utterances, lists, strict=True)]
    spoken_texts = {found.entity.text for founds in said for found in founds}
    spellings: dict[str, tuple[tuple[int, ...], tuple[int, ...]]] = {}
    for text in dict.fromkeys(text for texts in lists for text in texts):
        spelled = speller.spell(text)
        if spelled is not None and (len(spelled[0]) <= longest or text in spoken_texts):
            spellings[text] = spelled
    if not spellings:
        return None
    number = {text: n for n, text in enumerate(spellings)}
    members = torch.zeros(len(utterances), len(spellings), dtype=torch.bool)
    for row, texts in enumerate(lists):
        members[row, [number[text] for text in texts if text in number]] = True
    lengths = torch.tensor([one.frames for one in utterances])
    attended = torch.full((len(utterances), int(lengths.max())), UNKNOWN)
    for row, (one, founds) in enumerate(zip(utterances, said, strict=True)):
        spans = [(found.start, found.end, number[found.entity.text]) for found in founds if found.entity.text in number]
        attended[row, : one.frames] = torch.from_numpy(attention_targets(one, spans, len(spellings)))
    return AdapterBatch(
        states=_pad([one.row.states for one in utterances], 1),
        phones=None if utterances[0].row.phones is None else _pad([_phones(one) for one in utterances], 0),
        lengths=lengths,
        targets=torch.tensor([token for one in utterances for token in one.tokens]),
        target_sizes=torch.tensor([len(one.tokens) for one in utterances]),
        spelled=pad_spellings(list(spellings.values()), 0),
        members=members,
        attended=attended,
        texts=tuple(spellings),
        utterances=tuple(utterances),
    )


def attention_targets(one: Utterance, spans: Sequence[tuple[int, int, int]], count: int) -> npt.NDArray[np.int64]:
    """Return [T] int64 of AdapterBatch.attended for entities ``spans`` (first word, one past its last, spelling).

    Inside an entity, blanks teach nothing: CTC puts them where it likes.
    """
    taught = np.full(one.frames, NO_BIAS, np.int64)
    owners = np.array(one.word_of_token)
    for start, end, spelling in spans:
        tokens = np.nonzero((owners >= start) & (owners <= end - 1))[0]
        frames = np.nonzero((one.spoken >= tokens[0]) & (one.spoken <= tokens[-1]))[0]
        if len(frames):
            taught[max(0, frames[0] - 1) : frames[-1] + 2] = UNKNOWN
            taught[frames] = (one.spoken[frames] - tokens[0]) * count + spelling
    return taught


def _as_list(texts: Sequence[str]) -> EntityList:
    return EntityList(tuple(Entity(text, text) for text in sorted(set(texts))))


def _phones(one: Utterance) -> npt.NDArray[np.float16]:
    if one.row.phones is None:
        raise ValueError(f"{one.row.utterance_id}: has no phones, others of its batch have")
    return one.row.phones


def _pad(arrays: Sequence[npt.NDArray[np.float16]], axis: int) -> torch.Tensor:
    """Stack float16 arrays of different lengths along ``axis`` as float32, padded with zeros."""
    longest = max(array.shape[axis] for array in arrays)
    shape = list(arrays[0].shape)
    shape[axis] = longest
    stacked = torch.zeros(len(arrays), *shape)
    for row, array in enumerate(arrays):
        stacked[row].narrow(axis, 0, array.shape[axis]).copy_(torch.from_numpy(array.astype(np.float32)))
    return stacked
