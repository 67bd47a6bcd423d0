"""What the spelling branch is trained on: windows of text that are spoken (spoken_text), and real speech.

A branch that reads text as it comes writes a word that it read ten to thirty times wrong six times of ten, and one that
it read a thousand times once in twenty (base_model.md). So windows are drawn around rare words too, and lists of them,
a word as often as the root of its count.
"""

import collections
import dataclasses
import functools
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from pipeline.errors import InputError, RowError
from pipeline.lexicon.phones import PHONE_IDS
from pipeline.lexicon.pronunciation import Pronouncer
from pipeline.text import ENGLISH, Alphabet, normalise
from pipeline.training.adapter_states import StateRow
from pipeline.training.spoken_text import PAUSE, Said, SpokenSegments

_STOP = "|"  # stands in a text where punctuation does
_PUNCTUATION = re.compile(r"[,;:.!?)-]['\"]*$")
_STOP_PAUSE, _WORD_PAUSE = 0.7, 0.04  # how often readers pause at punctuation, and between any two words
_FIRST_PRONUNCIATION = 0.75  # how often a word is said as the dictionary has it first
_PRONUNCIATIONS = 3
_RUN_ON, _RUN_ON_BY_EAR = (0.3, 0.7, 0.9), 0.95  # how often recordings go on (spoken_text)
_PAUSED = Said.of([PAUSE])
_LENGTH_STEP = 40  # frames
_RARE_LETTERS = 3  # of a rare word, at least
_COMMON = 4000  # times in the text from which on a word is not rare
_UNREAD = 0.25  # how often a word is drawn that only the dictionary has; one that is in the text once: 1
_AROUND_WORDS = range(5, 14)  # of a window around a rare word
_AROUND_RARE_SHARE = 0.2  # of its words that are any rare ones
_LIST_WORDS = range(4, 20)  # of a list of rare words


@dataclasses.dataclass(frozen=True)
class TextConfig:
    """How windows are cut and spoken."""

    least_words: int = 4
    most_words: int = 42
    rare_share: float = 0.05  # of the words of a window that make room for any rare word
    around_share: float = 0.3  # of the windows that lie around a rare word
    list_share: float = 0.2  # of the windows that are lists of rare words
    real_share: float = 0.2  # of the examples that are real speech
    unseen_share: float = 0.1  # of the real ones from which the head's last state is kept
    by_ear_share: float = 0.8  # of the others that get last states
    whole_words: float = 0.85  # of their words that are laid whole where they were recorded


@dataclasses.dataclass(frozen=True)
class SpellingExample:
    """phones [T, P] float32 posteriors; last [T, D] float32 or None where there is text only; tokens: its subwords"""

    phones: npt.NDArray[np.float32]
    last: npt.NDArray[np.float32] | None
    tokens: tuple[int, ...]


@dataclasses.dataclass(frozen=True)
class SpellingBatch:
    """phones [B, T, P], last [B, T, D] (zeros where there is none), lengths [B], tokens [sum], token_lengths [B]"""

    phones: torch.Tensor
    last: torch.Tensor
    lengths: torch.Tensor
    tokens: torch.Tensor
    token_lengths: torch.Tensor


@dataclasses.dataclass(frozen=True)
class _Word:
    said: tuple[Said, ...]
    tokens: tuple[int, ...]


class TextWindows:
    """Random windows of books, as phones and subwords."""

    def __init__(
        self, files: Sequence[tuple[Path, float]], encode: Callable[[str], list[int]], pronouncer: Pronouncer,
        dictionary: Sequence[str], config: TextConfig, alphabet: Alphabet = ENGLISH,
    ) -> None:  # fmt: skip
        """``files``: plain text with weights, a sentence per line in reading order, an empty line between books.

        Raises InputError where there is no text.
        """
        self._encode, self._pronouncer, self._config = encode, pronouncer, config
        books = [(book, weight) for path, weight in files for book in _books(path, alphabet)]
        if not books:
            raise InputError(f"--text {' '.join(str(path) for path, _ in files)}: no words in it.")
        self._books = [book for book, _ in books]
        self._rare = _RareWords(self._books, dictionary)
        sizes = np.array([len(book) * weight for book, weight in books])
        self._shares = sizes / sizes.sum()
        self._word = functools.cache(self._look_up)

    def draw(
        self, generator: np.random.Generator, recorded: Callable[[str], Said | None] | None = None
    ) -> tuple[Said, tuple[int, ...]]:
        """Return a window as it is said and as it is written; ``recorded`` says words as they were once."""
        parts, tokens, pausing = [_PAUSED], list[int](), True
        for text in self._window(generator):
            if text == _STOP:
                pause = generator.random() < _STOP_PAUSE
            else:
                word = self._word(text)
                if word is None:
                    continue
                tokens += word.tokens
                parts.append((recorded and recorded(text)) or _pronounced(word, generator))
                pausing, pause = False, generator.random() < _WORD_PAUSE
            if pause and not pausing:
                parts.append(_PAUSED)
                pausing = True
        return Said.joined(parts if pausing else [*parts, _PAUSED]), tuple(tokens)

    def _window(self, generator: np.random.Generator) -> list[str]:
        kind, rare_share = generator.random(), self._config.rare_share
        if kind < self._config.list_share:
            return [self._rare.draw(generator) for _ in range(_drawn(_LIST_WORDS, generator))]
        if kind < self._config.list_share + self._config.around_share:
            place, position = self._rare.place(generator)
            book, count, rare_share = self._books[place], _drawn(_AROUND_WORDS, generator), _AROUND_RARE_SHARE
            start = max(0, position - int(generator.integers(count)))
        else:
            book = self._books[generator.choice(len(self._books), p=self._shares)]
            count = int(generator.integers(self._config.least_words, self._config.most_words + 1))
            start = int(generator.integers(max(1, len(book) - count)))
        window = book[start : start + count]
        return [
            self._rare.draw(generator) if text != _STOP and generator.random() < rare_share else text for text in window
        ]

    def _look_up(self, text: str) -> _Word | None:
        """Return a word, None if it cannot be said or written."""
        said = [found for found in self._pronouncer.pronounce(text)[:_PRONUNCIATIONS] if found]
        try:
            tokens = tuple(self._encode(text))
        except RowError:
            return None
        numbers = tuple(Said.of([PHONE_IDS[phone] for phone in found]) for found in said)
        return _Word(numbers, tokens) if numbers and tokens else None


class _RareWords:
    """Words of the text and of a dictionary, drawn as often as the root of their count in the text."""

    def __init__(self, books: Sequence[Sequence[str]], dictionary: Sequence[str]) -> None:
        ids: dict[str, int] = {}
        text = np.array([ids.setdefault(word, len(ids)) for book in books for word in book], np.int32)
        counts = np.bincount(text)
        unread = [word for word in dictionary if _plain(word) and word not in ids]
        self._words = [*ids, *unread]
        self._order = np.argsort(text, kind="stable")  # the places of word k are self._order[first[k] : first[k + 1]]
        self._first = np.concatenate([[0], np.cumsum(counts)])
        self._books = np.concatenate([[0], np.cumsum([len(book) for book in books])])
        rare = np.array([_plain(word) and count < _COMMON for word, count in zip(ids, counts, strict=True)])
        if not rare.any():  # a text of common or short words only has those drawn
            rare = np.array([word != _STOP for word in ids])
        weights = np.where(rare, np.sqrt(counts), 0.0)
        self._read = np.cumsum(weights) / weights.sum()
        weights = np.concatenate([weights, np.full(len(unread), _UNREAD)])
        self._all = np.cumsum(weights) / weights.sum()

    def draw(self, generator: np.random.Generator) -> str:
        """Return a word."""
        return self._words[_chosen(self._all, generator)]

    def place(self, generator: np.random.Generator) -> tuple[int, int]:
        """Return the book and the position where the text has a word."""
        word = _chosen(self._read, generator)
        place = self._order[generator.integers(self._first[word], self._first[word + 1])]
        book = int(np.searchsorted(self._books, place, side="right")) - 1
        return book, int(place - self._books[book])


def _plain(word: str) -> bool:
    return word.isalpha() and len(word) >= _RARE_LETTERS


def _chosen(cumulated: npt.NDArray[np.float64], generator: np.random.Generator) -> int:
    return min(int(np.searchsorted(cumulated, generator.random(), side="right")), len(cumulated) - 1)


def _drawn(numbers: range, generator: np.random.Generator) -> int:
    return int(generator.integers(numbers.start, numbers.stop))


def _pronounced(word: _Word, generator: np.random.Generator) -> Said:
    others = len(word.said) - 1
    first = not others or generator.random() < _FIRST_PRONUNCIATION
    return word.said[0 if first else 1 + int(generator.integers(others))]


def _books(path: Path, alphabet: Alphabet) -> Iterator[list[str]]:
    """Yield the words of each book with _STOP where there is punctuation."""
    book: list[str] = []
    with open(path, encoding="utf-8") as lines:
        for line in lines:
            for piece in line.split():
                book += normalise(piece, alphabet).split()
                if _PUNCTUATION.search(piece) and book and book[-1] != _STOP:
                    book.append(_STOP)
            if not line.strip() and book:
                yield book
                book = []
    if book:
        yield book


class SpellingData:
    """Draws examples, text and speech, and packs them into batches; deterministic by its generator."""

    def __init__(
        self, windows: TextWindows, segments: SpokenSegments, real: Sequence[StateRow],
        encode: Callable[[str], list[int]], config: TextConfig,
    ) -> None:  # fmt: skip
        self._windows, self._segments, self._real, self._config = windows, segments, real, config
        self._tokens = [tuple(encode(row.text)) for row in real]
        self.width = real[0].states.shape[2]

    def batches(self, frame_budget: int, generator: np.random.Generator) -> Iterator[SpellingBatch]:
        """Yield, without end, batches of at most ``frame_budget`` padded frames.

        Lengths are rounded up to few, with one batch size each: on CPUs every new shape costs oneDNN a compilation,
        a third of the time where all differ.
        """
        waiting: dict[int, list[SpellingExample]] = collections.defaultdict(list)
        while True:
            example = self._draw(generator)
            padded = -(-len(example.phones) // _LENGTH_STEP) * _LENGTH_STEP
            if 0 < len(example.tokens) < len(example.phones) and padded <= frame_budget:
                waiting[padded].append(example)
                if len(waiting[padded]) == frame_budget // padded:
                    yield collate(waiting.pop(padded), self.width, padded)

    def _draw(self, generator: np.random.Generator) -> SpellingExample:
        if generator.random() < self._config.real_share:
            number = int(generator.integers(len(self._real)))
            row = self._real[number]
            unseen = generator.random() < self._config.unseen_share
            last = None if unseen else _with_gaps(row.states[-1].astype(np.float32), generator)
            return SpellingExample(harder(posterior_of(row), generator), last, self._tokens[number])
        if generator.random() < self._config.by_ear_share:
            said, tokens = self._windows.draw(generator, functools.partial(self._recorded, generator))
            phones, states = self._segments.say(said, generator, _RUN_ON_BY_EAR)
            return SpellingExample(harder(phones.astype(np.float32), generator), states.astype(np.float32), tokens)
        said, tokens = self._windows.draw(generator)
        phones, _ = self._segments.say(said, generator, float(generator.choice(_RUN_ON)))
        return SpellingExample(harder(phones.astype(np.float32), generator), None, tokens)

    def _recorded(self, generator: np.random.Generator, word: str) -> Said | None:
        whole = generator.random() < self._config.whole_words
        return self._segments.recorded(word, generator) if whole else None


def posterior_of(row: StateRow) -> npt.NDArray[np.float32]:
    """Return [T, P] the phone posterior of real speech."""
    if row.phones is None:
        raise ValueError("a base without a phone head; the spelling branch reads phones")
    return np.exp(row.phones.astype(np.float32))


def harder(phones: npt.NDArray[np.float32], generator: np.random.Generator) -> npt.NDArray[np.float32]:
    """Return the posterior at another temperature, half of the time, and with some short stretches unheard."""
    if generator.random() < 0.5:
        phones = np.power(np.maximum(phones, 1e-5), generator.uniform(0.7, 1.1))
        phones = phones / phones.sum(1, keepdims=True)
    phones = phones.astype(np.float32, copy=True)
    for _ in range(generator.poisson(0.1 * len(phones) / 25)):
        start = int(generator.integers(len(phones)))
        gap = slice(start, start + int(generator.integers(1, 8)))
        phones[gap] = 0.0
        phones[gap, 0] = 1.0
    return phones


def _with_gaps(last: npt.NDArray[np.float32], generator: np.random.Generator) -> npt.NDArray[np.float32]:
    """Take the last state from some stretches of 0.2 to 1.6 s, in three of ten utterances."""
    if generator.random() < 0.3:
        for _ in range(generator.poisson(0.4 * len(last) / 25)):
            start = int(generator.integers(len(last)))
            last[start : start + int(generator.integers(5, 40))] = 0.0
    return last


def collate(examples: Sequence[SpellingExample], width: int, frames: int = 0) -> SpellingBatch:
    """Pad one batch to ``frames`` at least; beyond the end of an utterance is a blank. ``width``: D of the state."""
    lengths = [len(example.phones) for example in examples]
    frames = max(frames, *lengths)
    phones = np.zeros((len(examples), frames, examples[0].phones.shape[1]), np.float32)
    phones[:, :, 0] = 1.0
    last = np.zeros((len(examples), frames, width), np.float32)
    for row, example in enumerate(examples):
        phones[row, : lengths[row]] = example.phones
        if example.last is not None:
            last[row, : lengths[row]] = example.last
    return SpellingBatch(
        phones=torch.from_numpy(phones),
        last=torch.from_numpy(last),
        lengths=torch.tensor(lengths),
        tokens=torch.tensor([token for example in examples for token in example.tokens]),
        token_lengths=torch.tensor([len(example.tokens) for example in examples]),
    )
