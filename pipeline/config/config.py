"""Run configuration: frozen dataclasses. A technique is ``XConfig | None``; None is off, and there is one code path.

Each part says what it is (``role``) and what a run with it reads: files (``_file``), models (``_model``), and whether
it pronounces words (``pronounces``). Switches, paths and fingerprints follow from that.

``baseline()`` and ``joint()`` are the presets (presets.py); an ablation is ``without(joint(), "boosting")``. A YAML
file given with ``--config`` overrides single fields (overrides.py); unknown keys are errors.
"""

import dataclasses
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar, Literal

MODELS = Path(__file__).resolve().parents[2] / "models"
PRONUNCIATIONS = MODELS / "phonetics"
"""Folder with the dictionary and the G2P model, which every part reads that ``pronounces``."""

Reads = Literal["file", "model"]
"""What the value of a path field names: a file whose content counts, or a directory with a model."""


def _file(default: str | None) -> Any:
    return dataclasses.field(default=default, metadata={"reads": "file"})


def _model(default: str | None) -> Any:
    return dataclasses.field(default=default, metadata={"reads": "model"})


class Part:
    """What every part of the configuration says of itself.

    role:       ``technique`` biases towards the entity list, ``check`` keeps techniques in check, ``base`` is the rest
    pronounces: whether it reads the pronunciations in PRONUNCIATIONS
    """

    role: ClassVar[Literal["base", "technique", "check"]] = "base"
    pronounces: ClassVar[bool] = False


AUTO = "auto"
"""Value that is settled when a run begins, by what the model is."""
LETTERS = "letters"
"""Value of ``acoustic.phones``: the model's own letters take the place of phones (pipeline.lexicon.letters)."""
WORDS = (AUTO, LETTERS)
"""Values of path fields that are no paths."""


@dataclasses.dataclass(frozen=True)
class AcousticConfig(Part):
    """Which CTC model, and how much of its output is kept."""

    model: str = _model(str(MODELS / "base_en_ctc"))  # directory of ours or of transformers, or a hub id
    tapped_layers: tuple[int, ...] | None = None  # None: what the model says, or one and two thirds of the depth
    language: str | None = None  # of the model, if it does not say; of a model of many, the one that it is set to
    phones: str | None = _model(AUTO)  # model of ours that hears phones beside one without; letters; auto: of English
    calibration: str | None = _model(AUTO)  # directory that jobs.calibrate wrote; auto: the one beside the model
    top_k: int = 32  # candidates kept per frame
    batch_seconds: float = 960.0  # padded audio seconds per forward pass of a GPU; bounds its memory
    dtype: str = "auto"  # bfloat16 where it is fast (autocast), else float32
    device: str = "auto"


@dataclasses.dataclass(frozen=True)
class LanguageModelConfig(Part):
    """Word n-gram in KenLM format, fused at word ends."""

    path: str = _file(str(MODELS / "language_model" / "3gram.binary"))
    unigrams: str | None = _file(str(MODELS / "language_model" / "words.txt.gz"))  # word list; needed for binaries
    alpha: float = 0.9  # weight of the LM's natural-log score
    beta: float = 0.5  # bonus per word
    unknown_penalty: float = -14.0  # added to a word that the LM does not know


@dataclasses.dataclass(frozen=True)
class BeamConfig(Part):
    """Prefix beam search."""

    width: int = 128
    prune_log_prob: float = -16.0  # a hypothesis whose score is this far below the best one is dropped
    token_min_log_prob: float = -8.0  # candidates below this are skipped at a frame
    n_best: int = 8
    decoder: str = "rollcall"  # ours; "pyctcdecode" and "greedy" for comparison


@dataclasses.dataclass(frozen=True)
class ShortlistConfig(Part):
    """Which entities are plausible in an utterance; pipeline.retrieval.phonetic has the formula. Values in nats."""

    role = "check"
    pronounces = True

    per_phone: float = 1.9  # how much the limit grows with each phone of a pronunciation
    spare: float = 1.5  # phones that add nothing to that limit, so that short names must fit better
    most: float = 30.0  # no pronunciation may cost more
    clip: float = 6.0  # most that one misheard phone counts
    confusion: float = 6.0  # times the articulatory distance: what a similar phone in its place costs
    drop: float = 4.0  # a phone that is not heard
    insert: float = 3.0  # most for a phone that is heard on top


@dataclasses.dataclass(frozen=True)
class CutConfig(Part):
    """Which entities of a large list were probably said; pipeline.retrieval.ranked has the formula."""

    role = "check"
    pronounces = True

    above: int = 5000  # entities of a list; of smaller ones all that are plausible go on
    bound: float = -4.0  # log odds that an entity of a list of 2^18 must have
    per_doubling: float = 0.9  # what a list twice as large adds to it
    heard: float = 0.55  # of the limit of five or six phones: what these may cost that of a long name are heard best
    heard_per_doubling: float = 0.065  # what a list twice as large as 2^18 takes from it
    weights: str = _file(str(PRONUNCIATIONS / "cut.json"))


@dataclasses.dataclass(frozen=True)
class TreeConfig(Part):
    """Where the cut looks for the names of a large list, in place of everywhere; pipeline.retrieval.tree has it."""

    role = "check"
    pronounces = True

    beam: int = 8  # nodes of a level that a window goes on from
    slack: float = 6.0  # nats by which one of these may be less likely than the best
    fit: float = 0.3  # cosine of a name's phones with the window's that it must have
    weights: str = _file(str(PRONUNCIATIONS / "tree.safetensors"))


@dataclasses.dataclass(frozen=True)
class SessionConfig(Part):
    """What was clearly heard earlier in a recording; pipeline.retrieval.recordings has the formula. Values in nats.

    Acts on lists that the cut ranks, and on utterances that say which recording or session they are of.
    """

    role = "check"

    clear: float = -4.0  # log odds, on a list of 2^18, of a name in the unbiased transcript, to be clear
    again: float = 2.5  # added to the log odds of the same entity later in the recording
    related: float = 1.0  # added to those of entities that share a word or a tag with one
    believed: float = 2.0  # added to the guard's log odds of the same entity


@dataclasses.dataclass(frozen=True)
class LexicalConfig(Part):
    """Entities that also go on because they are nearly written; pipeline.retrieval.lexical has the formula."""

    role = "check"
    pronounces = True  # weights are those of the dictionary

    bound: float = 0.5  # share of the weight of a spelling's groups of letters
    slack: int = 3  # groups by which what is written may be longer


@dataclasses.dataclass(frozen=True)
class MemoryConfig(Part):
    """What reviewers confirmed before: entities by how they were heard; pipeline.retrieval.memory has the formula."""

    role = "check"
    pronounces = True

    path: str | None = _file(None)  # snapshot that `rollcall learn` wrote; needed
    least: float = 0.25  # lower bound of the probability from which on a heard form speaks for its entity
    per_phone: float = 1.2  # as in the shortlist: what a heard form may cost; it is heard again, or something else is
    spare: float = 1.5
    max_distance: float = 0.25  # weighted edit distance per phone at which something is heard as it was before
    weight: float = 6.0  # nats of the guard's log odds times that bound, where it is heard exactly so


@dataclasses.dataclass(frozen=True)
class PolicyConfig(Part):
    """How wide each strategy of the shortlist looks in an utterance; pipeline.retrieval.policy has the formula."""

    role = "check"
    pronounces = True

    path: str | None = _file(None)  # policy that `rollcall learn` wrote; needed
    explore: float = 0.0  # chance with which a strategy looks wider than the policy would, to learn from


@dataclasses.dataclass(frozen=True)
class PhoneFusionConfig(Part):
    """The phone head's say in the order of the n-best, with and without a list; pipeline.rescoring.fusion has it."""

    pronounces = True

    weight: float = 0.8  # nats of total score per nat of phone cost
    n_best: int = 24  # hypotheses that are compared, at least
    margin: int = 25  # frames around a word of the search in which its phones are looked for
    floor: float = -8.0  # phone log-probs below this are raised to it: one misheard phone must not decide alone
    vocabulary: bool | None = None  # also words that the search has not; by default where another model hears phones


@dataclasses.dataclass(frozen=True)
class AdapterConfig(Part):
    """The contextual adapter in front of the CTC head; pipeline.acoustic.adapter has the network."""

    role = "technique"
    pronounces = True

    model: str | None = _model(None)  # directory that jobs.train_adapter wrote; None: the one beside the base
    no_bias: float = 0.0  # nats added to the score of attending to nothing; higher is more careful
    least_attention: float = 0.2  # the search is not given entities that no frame attends to with at least this share
    caution: float = 2.0  # subtracted from boosting.complete, as the adapter raises names already; not with a guard
    optional: bool = False  # with None: where the base has no adapter of its own, go on without one


@dataclasses.dataclass(frozen=True)
class HotwordsConfig(Part):
    """pyctcdecode's constant bonus per list word: the baseline technique that the others are measured against."""

    role = "technique"

    weight: float = 6.0


@dataclasses.dataclass(frozen=True)
class BoostingConfig(Part):
    """Adaptive subword boosting; pipeline.decoding.search has the formula. Values in nats."""

    role = "technique"

    scale: float = 0.7  # share of the gap to the frame's best token that a continuing token gets back
    cap: float = 4.0  # most that one token gets
    max_gap: float = 9.0  # where the model is surer than this of something else, nothing is boosted
    entry: float = 0.5  # first token of an entity: this,
    entry_scale: float = 0.6  # plus this share of its gap,
    entry_cap: float = 1.0  # at most this
    base: float = 8.0  # of all boosts of an entity, at most this ...
    per_character: float = 1.0  # ... and this per character are kept when it is complete
    complete: float = -1.0  # and this is given (or taken) for completing it: most list entries are not said
    suppress: float = 8.0  # taken per unit of negative weight from a complete entity
    fixed: float = 0.0  # above 0: this constant per token in place of the gap's share
    prune_log_prob: float = -6.0  # stricter than the beam's, for hypotheses with a token that only a boost let in
    explain: bool = True  # say for each entity what the unbiased search writes there


@dataclasses.dataclass(frozen=True)
class BoostClassConfig(Part):
    """Unigram boosting: a word inside an entity is scored by the language model as one of a class of rare words."""

    role = "technique"

    weight: float = -2.5  # log10 share of one list word in its class
    known: float = -2.0  # log10, added for words that the language model knows and so has evidence of its own on
    common: int = 5000  # the most frequent words of the language model are no members of the class


@dataclasses.dataclass(frozen=True)
class RescoringConfig(Part):
    """The n-best re-scored by the cost of its pronunciations against the phone head."""

    role = "technique"
    pronounces = True

    weight: float = 0.5  # nats of total score per nat of phone cost
    floor: float = -8.0  # phone log-probs below this are raised to it: one misheard phone must not decide alone


@dataclasses.dataclass(frozen=True)
class LexiconConfig(Part):
    """Doubtful words looked up among the entities by their sound."""

    role = "technique"
    pronounces = True

    confidence: float = 0.95  # words below are doubtful, and words that the language model does not know
    excess: float = 0.3  # so are words whose phones cost this many nats each above the best path
    max_words: int = 3  # doubtful spans of up to this many words are looked up as one
    max_distance: float = 0.3  # weighted edit distance per phone, 0 equal to 1 unrelated
    candidates: int = 4  # entities per span that are aligned
    min_gain: float = 2.0  # nats of phone cost by which an entity must beat what stands there
    least_gain: float = -1.0  # the same where the guard has the last word
    attention: float = 0.2  # there, entities with this share of a frame's attention are tried where they have it ...
    attended_gain: float = -8.0  # ... and must only be this good
    floor: float = -8.0


@dataclasses.dataclass(frozen=True)
class G2gConfig(Part):
    """Entities are also searched for as they would be spelled by ear."""

    role = "technique"
    pronounces = True

    variants: int = 4  # further spellings per entity
    min_probability: float = 0.04  # of a spelling given the sound; rarer ones only cost time
    confusions: str | None = _file(str(PRONUNCIATIONS / "confusions.json"))  # the recogniser's own; None: not used
    min_confusion: float = 0.01  # of a spelling given the letters


@dataclasses.dataclass(frozen=True)
class GuardConfig(Part):
    """Which entities are believed; pipeline.rescoring.guard has the formula."""

    role = "check"
    pronounces = True

    max_false_accepts_per_hour: float = 20.0  # names written though not said, on lists of 100 sound-alikes; above 0
    bound: float | None = None  # log odds in place of the one that the table of the weights has for that rate
    weights: str = _file(str(PRONUNCIATIONS / "guard.json"))
    doubts: bool | None = None  # also names that the search wrote without a list; by default of other models than ours
    cautious: bool = False  # of the bounds with and without an adapter the higher: for a model not fitted on; settled
    floor: float = -8.0  # phone log-probs below this are raised to it: one misheard phone must not decide alone


@dataclasses.dataclass(frozen=True)
class RunConfig:
    """Everything that decides what a run writes, apart from the audio, the model's weights and the entity list."""

    acoustic: AcousticConfig = AcousticConfig()
    beam: BeamConfig = BeamConfig()
    language_model: LanguageModelConfig | None = LanguageModelConfig()
    phone_fusion: PhoneFusionConfig | None = PhoneFusionConfig()  # nothing without a phone head
    hotwords: HotwordsConfig | None = None
    boosting: BoostingConfig | None = None
    boost_class: BoostClassConfig | None = None
    adapter: AdapterConfig | None = None
    rescoring: RescoringConfig | None = None
    lexicon: LexiconConfig | None = None
    g2g: G2gConfig | None = None
    guard: GuardConfig | None = None  # takes effect with any of the above
    shortlist: ShortlistConfig | None = None  # only what is plausible in the audio is handed to any of the above
    cut: CutConfig | None = None  # with a shortlist, of large lists only what was probably said
    lexical: LexicalConfig | None = None  # with a shortlist, also what is nearly written
    memory: MemoryConfig | None = None  # with a shortlist, also what is heard as reviewers confirmed it before
    policy: PolicyConfig | None = None  # with a shortlist, how wide each strategy looks
    tree: TreeConfig | None = None  # with a cut, names of large lists are looked for where a learned tree leads
    session: SessionConfig | None = None  # with a cut, utterances of one recording are context for each other

    @property
    def n_best_compared(self) -> int:
        """Hypotheses that the beam search is asked for: what is written, and what fusion chooses from."""
        return max(self.beam.n_best, self.phone_fusion.n_best if self.phone_fusion else 0)


def _parts() -> dict[str, type[Part]]:
    """Return the fields of RunConfig with their classes."""
    hints = typing.get_type_hints(RunConfig)
    return {name: next(kind for kind in (typing.get_args(hint) or (hint,)) if kind is not type(None))
            for name, hint in hints.items()}  # fmt: skip


PARTS = _parts()
"""Every part of a configuration by the name of its field, with its class."""

TECHNIQUES = tuple(name for name, part in PARTS.items() if part.role == "technique")
"""The optional fields of RunConfig that bias towards the entity list."""

SWITCHES = (*TECHNIQUES, *(name for name, part in PARTS.items() if part.role == "check"))
"""Names that ``without`` takes: the techniques, and what keeps them in check."""


def path_fields() -> Iterator[tuple[str, str, Reads]]:
    """Yield part and key of every value that names a file or a model of this machine, and which of the two."""
    for name, part in PARTS.items():
        for field in dataclasses.fields(typing.cast(Any, part)):
            if "reads" in field.metadata:
                yield name, field.name, field.metadata["reads"]


def pronounces(config: RunConfig) -> bool:
    """Whether a run with ``config`` reads the pronunciations."""
    return any(part.pronounces for name, part in PARTS.items() if getattr(config, name) is not None)


def absolute_paths(config: RunConfig) -> RunConfig:
    """Return ``config`` with relative paths of what is here made absolute: workers run in folders of their own.

    A model that is no file or folder here stays as it is: it may be a hub id, and if not, loading it says so.
    """
    for part, field, _ in path_fields():
        path = getattr(getattr(config, part), field, None)
        if path is not None and path not in WORDS and Path(path).exists():
            settled: dict[str, Any] = {field: str(Path(path).absolute())}
            config = dataclasses.replace(config, **{part: dataclasses.replace(getattr(config, part), **settled)})
    return config


def to_dict(config: RunConfig) -> dict[str, Any]:
    """Plain dictionary, for fingerprints and run.json."""
    return dataclasses.asdict(config)
