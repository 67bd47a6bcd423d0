"""Which parts of the joint preset work with a model, and why the others do not."""

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from pipeline.config import LanguageModelConfig, RunConfig
from pipeline.decoding.language_model import read_words
from pipeline.decoding.ngram import read_ngrams
from pipeline.inspection.model import ModelFacts
from pipeline.text import ENGLISH

Answer = Literal["yes", "partly", "no"]
_PHONES = ("shortlist", "cut", "phone_fusion", "rescoring", "lexicon", "g2g", "guard")
"""Parts that listen to phones."""
_TWICE = ("phone_fusion", "rescoring")
"""Those that weigh phones against what the search heard: letters are what it heard."""
_WRITABLE = 0.98
"""Share of the language model's words that the model must be able to write for the two to belong together."""


@dataclasses.dataclass(frozen=True)
class Verdict:
    """Whether a part of the configuration works with the model, and what to know or to do."""

    part: str
    works: Answer
    why: str


@dataclasses.dataclass(frozen=True)
class LanguageModelMatch:
    """How a language model fits to what an acoustic model writes.

    writable: share of its words that can be written in the model's letters
    unknown:  letters of the model that no word of it has
    """

    path: str
    words: int
    writable: float
    unknown: str

    @property
    def fits(self) -> bool:
        return self.writable >= _WRITABLE and not self.unknown


def match_language_model(config: LanguageModelConfig, found: ModelFacts) -> LanguageModelMatch:
    """Return how the language model fits; raises ModelError if it cannot be read."""
    words = read_ngrams(Path(config.path)).words if config.unigrams is None else read_words(Path(config.unigrams))
    letters = set(found.alphabet.letters) - set(found.lacks)
    used = set().union(*words)
    writable = sum(1 for word in words if letters.issuperset(word.replace("'", "")))
    unknown = "".join(letter for letter in found.alphabet.letters if letter not in used)
    return LanguageModelMatch(config.path, len(words), writable / max(1, len(words)), unknown)


def judge(found: ModelFacts, config: RunConfig, language: LanguageModelMatch | None) -> list[Verdict]:
    """Return a verdict on every part that the joint preset has, in the order of the search."""
    return [
        _language_model(language),
        Verdict("boosting", "yes", "needs the letters only"),
        _boost_class(language),
        _adapter(found),
        *_by_phones(found, config),
    ]


def _language_model(language: LanguageModelMatch | None) -> Verdict:
    if language is None:
        return Verdict("language_model", "no", "the configuration has none")
    if language.fits:
        return Verdict("language_model", "yes", f"{language.writable:.1%} of its words can be written")
    if not language.unknown:
        return Verdict("language_model", "partly", f"only {language.writable:.1%} of its words can be written")
    if len(language.unknown) > 1 and not language.writable:
        return Verdict("language_model", "no", f"is of another script; {_REMEDY}")
    return Verdict("language_model", "partly", f"knows no word with {' '.join(language.unknown[:12])}; {_REMEDY}")


_REMEDY = "give one of the model's language as language_model.path, or null"


def _boost_class(language: LanguageModelMatch | None) -> Verdict:
    if language is None:
        return Verdict("boost_class", "no", "is a class of the language model, and there is none")
    if not language.fits:
        return Verdict("boost_class", "partly", "is a class of the language model, see there")
    return Verdict("boost_class", "yes", "is a class of the language model")


def _adapter(found: ModelFacts) -> Verdict:
    if found.adapter is None:
        return Verdict("adapter", "no", str(found.no_adapter))
    return Verdict("adapter", "yes", found.adapter)


def _by_phones(found: ModelFacts, config: RunConfig) -> Iterator[Verdict]:
    parts = [part for part in _PHONES if getattr(config, part) is not None]
    for part in parts:
        if found.heard_letters and part in _TWICE:
            yield Verdict(part, "no", "letters say nothing that the search has not heard")
        elif found.heard_letters and part == "guard" and found.calibration is None:
            yield Verdict(part, "partly", "was fitted on phones of the default model; `rollcall calibrate` fits it")
        elif found.heard_letters:
            yield Verdict(part, "yes", f"listens to {found.heard_letters} letters in place of phones")
        elif not found.phones:
            yield Verdict(part, "no", "listens to phones, and there are none")
        elif found.alphabet != ENGLISH:
            yield Verdict(part, "partly", "pronunciations are English")
        elif part == "guard" and found.calibration is not None:
            yield Verdict(part, "yes", f"fitted to this model by {found.calibration}")
        elif part == "guard" and not found.is_default:
            yield Verdict(
                part,
                "partly",
                "was fitted on the default model, so it takes the stricter of its bounds; `rollcall calibrate` fits it",
            )
        else:
            yield Verdict(part, "yes", f"listens to {found.phones} phones")
