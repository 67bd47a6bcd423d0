"""Checkpoints as users have them: every layout that was tried, and what comes of each (docs/own-models.md shows it)."""

import dataclasses
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.torch
import tokenizers
import torch
import transformers

from pipeline.acoustic.hugging_face import load_hugging_face
from pipeline.config import AcousticConfig, joint, override
from pipeline.errors import ModelError
from pipeline.inspection.model import inspect_model, shown_letters
from tests.support.checkpoints import LETTERS, WAV2VEC, save, save_parakeet, save_wav2vec

SECOND = np.random.default_rng(3).normal(0, 0.1, 16_000).astype(np.float32)
MARKUP = ("<pad>", "<s>", "</s>", "<unk>", "|")
LATIN = "abcdefghijklmnopqrstuvwxyz"
Make = Callable[[Path], "str | None"]
"""Writes a checkpoint into a folder; returns the language to ask for, if there are several."""


@dataclasses.dataclass(frozen=True)
class Case:
    """A checkpoint by what people would call it; ``loads`` says whether it should."""

    what: str
    make: Make
    loads: bool = True


def tried(case: Case, folder: Path) -> tuple[bool, str]:
    """Make the checkpoint, inspect and load it, and let it hear a second; return whether it did, and what was said."""
    language = case.make(folder)
    acoustic = AcousticConfig(model=str(folder), language=language, dtype="float32", device="cpu")
    try:
        found = inspect_model(override(joint(), {"acoustic": {"model": str(folder), "language": language}}))
        model = load_hugging_face(acoustic)
    except ModelError as error:
        return False, str(error).replace(f"{folder}: ", "").replace(str(folder), "DIR").replace(
            str(folder.parent), "the folder above"
        )
    heard = model.encode([SECOND])[0]
    assert model.frame_seconds == found.frame_seconds
    assert model.tokens.alphabet == found.alphabet
    assert abs(heard.tokens.frames * model.frame_seconds - 1.0) <= 2 * model.frame_seconds
    return True, f"loads: {shown_letters(found.alphabet)}; {1000 * found.frame_seconds:g} ms"


def wav2vec(
    pieces: Sequence[str] = (), network: dict[str, Any] | None = None, processor: bool = True, **tokenizer: str
) -> Make:
    """A wav2vec 2.0 whose vocabulary is ``pieces``, saved with its processor (transformers 5) or in parts."""

    def make(folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        names = list(pieces or [*MARKUP, *LATIN, "'"])
        (folder / "vocab.json").write_text(json.dumps({piece: at for at, piece in enumerate(names)}))
        told = transformers.Wav2Vec2CTCTokenizer(str(folder / "vocab.json"), **tokenizer)
        blank = names.index(tokenizer.get("pad_token", "<pad>"))
        settings = WAV2VEC | {"feat_extract_norm": "layer", "vocab_size": len(names), "pad_token_id": blank}
        _save_network(folder, settings | (network or {}))
        hears = transformers.Wav2Vec2FeatureExtractor(return_attention_mask=True)
        if processor:
            transformers.Wav2Vec2Processor(hears, told).save_pretrained(folder)
        else:
            told.save_pretrained(folder)
            hears.save_pretrained(folder)

    return make


def _save_network(folder: Path, settings: dict[str, Any], **how: Any) -> None:
    torch.manual_seed(1)
    transformers.Wav2Vec2ForCTC(transformers.Wav2Vec2Config(**settings)).save_pretrained(folder, **how)


def changed(make: Make, change: Callable[[Path], object]) -> Make:
    """The checkpoint of ``make`` with something done to its files."""

    def both(folder: Path) -> str | None:
        language = make(folder)
        change(folder)
        return language

    return both


def without(make: Make, *names: str) -> Make:
    """The checkpoint of ``make`` with files taken away."""
    return changed(make, lambda folder: [(folder / name).unlink() for name in names])


def settings_of(make: Make, name: str, **values: Any) -> Make:
    """The checkpoint of ``make`` with values of a JSON file of it changed."""

    def change(folder: Path) -> None:
        content = json.loads((folder / name).read_text())
        (folder / name).write_text(json.dumps(content | values))

    return changed(make, change)


def tutorial(folder: Path) -> None:
    """As the fine-tuning tutorial for wav2vec 2.0 makes it: letters of the corpus, [UNK] and [PAD] behind them."""
    wav2vec([*"'" + LATIN, "|", "[UNK]", "[PAD]"], unk_token="[UNK]", pad_token="[PAD]")(folder)


def tutorial_of_version_4(folder: Path) -> None:
    """The same as transformers 4 wrote it: specials beyond the head, old names of weights."""
    tutorial(folder)
    (folder / "processor_config.json").unlink()
    transformers.Wav2Vec2FeatureExtractor(return_attention_mask=True).save_pretrained(folder)
    special = {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "[UNK]", "pad_token": "[PAD]"}
    (folder / "special_tokens_map.json").write_text(json.dumps(special))
    (folder / "added_tokens.json").write_text(json.dumps({"<s>": 30, "</s>": 31}))
    told = {**special, "do_lower_case": False, "word_delimiter_token": "|", "tokenizer_class": "Wav2Vec2CTCTokenizer"}
    (folder / "tokenizer_config.json").write_text(json.dumps(told))
    weights = safetensors.torch.load_file(folder / "model.safetensors")
    renamed = {
        name.replace("parametrizations.weight.original0", "weight_g").replace(
            "parametrizations.weight.original1", "weight_v"
        ): value
        for name, value in weights.items()
    }
    safetensors.torch.save_file(renamed, folder / "model.safetensors", {"format": "pt"})


def trainers(folder: Path) -> None:
    """A checkpoint in the middle of training: the tokenizer lies beside it."""
    wav2vec()(folder)
    (folder / "vocab.json").rename(folder.parent / "vocab.json")


def sharded(folder: Path) -> None:
    wav2vec()(folder)
    (folder / "model.safetensors").unlink()
    _save_network(folder, WAV2VEC | {"feat_extract_norm": "layer", "vocab_size": 32}, max_shard_size="20KB")


def half_precision(folder: Path) -> None:
    wav2vec()(folder)
    weights = safetensors.torch.load_file(folder / "model.safetensors")
    halved = {name: value.to(torch.bfloat16) for name, value in weights.items()}
    safetensors.torch.save_file(halved, folder / "model.safetensors", {"format": "pt"})


def bare(folder: Path) -> None:
    wav2vec()(folder)
    network = transformers.Wav2Vec2Model(transformers.Wav2Vec2Config(**WAV2VEC | {"feat_extract_norm": "layer"}))
    network.save_pretrained(folder)


def pickled(folder: Path) -> None:
    wav2vec()(folder)
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")


def merged_pieces(folder: Path, model: Any, **settings: Any) -> None:
    """A wav2vec 2.0 with a tokenizer of the tokenizers library."""
    wav2vec()(folder)
    for name in ("vocab.json", "tokenizer_config.json"):
        (folder / name).unlink()
    backend = tokenizers.Tokenizer(model)
    backend.pre_tokenizer = tokenizers.pre_tokenizers.Metaspace()
    told = transformers.PreTrainedTokenizerFast(
        tokenizer_object=backend, pad_token="<pad>", unk_token="<unk>", **settings
    )
    told.save_pretrained(folder)
    _save_network(folder, WAV2VEC | {"feat_extract_norm": "layer", "vocab_size": len(told)})


def subwords(start: str) -> Make:
    """BPE over letters; pieces that begin a word start with ``start``."""

    def make(folder: Path) -> None:
        pieces = ["<pad>", "<unk>", *LATIN, start, f"{start}t", "he", f"{start}the"]
        merges = [(start, "t"), ("h", "e"), (f"{start}t", "he")]
        vocabulary = {piece: at for at, piece in enumerate(pieces)}
        merged_pieces(folder, tokenizers.models.BPE(vocab=vocabulary, merges=merges, unk_token="<unk>"))

    return make


def mms(language: str | None, current: str | None = "eng", drop: bool = False) -> Make:
    """A model of two languages in MMS's layout."""
    known = {"eng": "etaoinshrdlumwcfgypbvkxjqz'", "deu": "enirtsahudlcgmobwfkzvüpäöjßyxq"}

    def make(folder: Path) -> str | None:
        folder.mkdir(parents=True)
        nested = {name: {piece: at for at, piece in enumerate([*MARKUP, *text])} for name, text in known.items()}
        for name, vocabulary in nested.items():
            settings = WAV2VEC | {"feat_extract_norm": "layer", "do_stable_layer_norm": True, "adapter_attn_dim": 4}
            torch.manual_seed(1)
            configuration = transformers.Wav2Vec2Config(**settings | {"vocab_size": len(vocabulary)})
            network = transformers.Wav2Vec2ForCTC(configuration)
            weights = {key: value.detach().clone() for key, value in network._get_adapters().items()}
            if not (drop and name == language):
                safetensors.torch.save_file(weights, folder / f"adapter.{name}.safetensors", {"format": "pt"})
            if name == "eng":
                network.save_pretrained(folder)
        (folder / "vocab.json").write_text(json.dumps(nested))
        told = {"tokenizer_class": "Wav2Vec2CTCTokenizer", "word_delimiter_token": "|", "pad_token": "<pad>"}
        (folder / "tokenizer_config.json").write_text(json.dumps(told | {"target_lang": current}))
        transformers.Wav2Vec2FeatureExtractor(return_attention_mask=True).save_pretrained(folder)
        return language

    return make


def parakeet_processor(folder: Path) -> None:
    save_parakeet(folder)
    told = transformers.AutoTokenizer.from_pretrained(folder)
    hears: Any = transformers.AutoFeatureExtractor
    extractor = hears.from_pretrained(folder)
    (folder / "preprocessor_config.json").unlink()
    transformers.ParakeetProcessor(extractor, told).save_pretrained(folder)


def only(name: str, content: str = "{}") -> Make:
    """A folder with a single file."""

    def make(folder: Path) -> None:
        folder.mkdir(parents=True)
        (folder / name).write_text(content)

    return make


def variant(name: str) -> Make:
    """One of the supported classes (tests.support.checkpoints)."""

    def make(folder: Path) -> None:
        save(folder, name)

    return make


def in_parts(folder: Path) -> None:
    folder.mkdir(parents=True)
    save_wav2vec(folder, "wav2vec2-group")


def without_language(folder: Path) -> str | None:
    return mms(None, current=None)(folder)


def of_rate(rate: int) -> Make:
    return settings_of(wav2vec(processor=False), "preprocessor_config.json", sampling_rate=rate)


def phonemes(folder: Path) -> None:
    settings_of(wav2vec(), "tokenizer_config.json", tokenizer_class="Wav2Vec2PhonemeCTCTokenizer")(folder)


def classifier(folder: Path) -> None:
    settings_of(wav2vec(), "config.json", architectures=["Wav2Vec2ForSequenceClassification"])(folder)


FIRST_OF_TWO = "model-00001-of-00002.safetensors"
GERMAN = [*MARKUP, *LATIN, *"äöüß", "'", "-"]
RUSSIAN = [*MARKUP, *"абвгдежзийклмнопрстуфхцчшщъыьэюя"]
GREEK = [*MARKUP, *"αβγδεζηθικλμνξοπρστυφχψωάέήίόύώς"]

CASES = (
    Case("wav2vec 2.0, network, tokenizer and feature extractor saved one by one", in_parts),
    Case("wav2vec 2.0 with its processor (`processor_config.json`, transformers 5)", wav2vec()),
    Case("HuBERT", variant("hubert")),
    Case("wav2vec 2.0 Conformer", variant("conformer")),
    Case("WavLM", variant("wavlm")),
    Case("UniSpeech", variant("unispeech")),
    Case("UniSpeech-SAT", variant("unispeech-sat")),
    Case("data2vec audio", variant("data2vec")),
    Case("Parakeet CTC, subwords (`tokenizer.json`)", variant("parakeet")),
    Case("Parakeet CTC with its processor", parakeet_processor),
    Case("Wav2Vec2-BERT (`SeamlessM4TFeatureExtractor`)", variant("bert")),
    Case("Wav2Vec2-BERT with `add_adapter`, as its fine-tuning tutorial has it", variant("bert-adapter")),
    Case("wav2vec 2.0 with `add_adapter`", settings_of(wav2vec(), "config.json", add_adapter=True), loads=False),
    Case("wav2vec 2.0 with a feature extractor of 8 kHz", of_rate(8000)),
    Case("the fine-tuning tutorial: lower-case letters, `[PAD]`, `[UNK]`", tutorial),
    Case("the same of transformers 4: `<s>`, `</s>` beyond the outputs, old names of weights", tutorial_of_version_4),
    Case("`vocab.json` alone, no `tokenizer_config.json`", without(wav2vec(), "tokenizer_config.json")),
    Case("upper-case letters", wav2vec(LETTERS)),
    Case("a space between words instead of `|`", wav2vec([*MARKUP[:4], " ", *LATIN], word_delimiter_token=" ")),
    Case("German letters and a hyphen", wav2vec(GERMAN)),
    Case("Cyrillic letters", wav2vec(RUSSIAN)),
    Case("Greek letters", wav2vec(GREEK)),
    Case("letters of a small corpus, in which no word had q", wav2vec([*MARKUP, *LATIN.replace("q", "")])),
    Case("wav2vec 2.0 with subwords of SentencePiece's kind (`▁`)", subwords("▁")),
    Case("weights in several files", sharded),
    Case("weights in bfloat16", half_precision),
    Case("MMS, the language that it is set to", mms(None)),
    Case("MMS, `--language deu`", mms("deu")),
    Case("MMS, a language that it has not", mms("xyz"), loads=False),
    Case("MMS, no language set", without_language, loads=False),
    Case("MMS, weights of the language not copied", mms("deu", drop=True), loads=False),
    Case("a trainer's checkpoint, `vocab.json` one folder up", trainers, loads=False),
    Case("no tokenizer anywhere", without(wav2vec(), "vocab.json"), loads=False),
    Case("no feature extractor", without(wav2vec(), "processor_config.json"), loads=False),
    Case("no `config.json`", without(wav2vec(), "config.json"), loads=False),
    Case("no weights", without(wav2vec(), "model.safetensors"), loads=False),
    Case("weights in a pickle", pickled, loads=False),
    Case("one of several files of weights not copied", without(sharded, FIRST_OF_TWO), loads=False),
    Case("only a PEFT adapter", only("adapter_config.json"), loads=False),
    Case("a NeMo file", only("parakeet.nemo"), loads=False),
    Case("a bare encoder, not fine-tuned", bare, loads=False),
    Case("config of another head", settings_of(wav2vec(), "config.json", vocab_size=40), loads=False),
    Case("a tokenizer with more letters than outputs", wav2vec(GERMAN, {"vocab_size": 32}), loads=False),
    Case("`pad_token_id` that is a letter", settings_of(wav2vec(), "config.json", pad_token_id=7), loads=False),
    Case("a feature extractor of 400 Hz", of_rate(400), loads=False),
    Case("no piece between words", wav2vec([*MARKUP[:4], *LATIN]), loads=False),
    Case("byte-level BPE (`Ġ`)", subwords("Ġ"), loads=False),
    Case("phonemes instead of letters", phonemes, loads=False),
    Case("Arabic letters", wav2vec([*MARKUP, *"ابتثجحخدذرزسشصضطظعغفقكلمنهوي"]), loads=False),
    Case("Chinese characters", wav2vec([*MARKUP, *"的一是不了人我在有他这中大来上国"]), loads=False),
    Case("Whisper (encoder and decoder)", settings_of(wav2vec(), "config.json", model_type="whisper"), loads=False),
    Case("a classifier", classifier, loads=False),
)  # fmt: skip


def table(results: Sequence[tuple[str, str]]) -> str:
    """Return the table of the docs."""
    rows = [f"| {what} | {said.replace('|', chr(92) + '|')} |" for what, said in results]
    return "\n".join(["| checkpoint | result |", "|---|---|", *rows]) + "\n"
