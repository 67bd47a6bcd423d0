"""Tiny randomly initialised checkpoints of every supported class, saved to disk as a user's would be."""

import functools
import json
from pathlib import Path

import tokenizers
import torch
import transformers

LETTERS = ["<pad>", "<s>", "</s>", "<unk>", "|", *"ETAOINSHRDLUMWCFGYPBVKXJQZ", "'"]
WAV2VEC = {
    "hidden_size": 16, "num_hidden_layers": 3, "num_attention_heads": 2, "intermediate_size": 32, "conv_dim": [8, 8],
    "conv_kernel": [10, 8], "conv_stride": [20, 16], "num_feat_extract_layers": 2, "vocab_size": len(LETTERS),
    "num_conv_pos_embeddings": 8, "num_conv_pos_embedding_groups": 2, "pad_token_id": 0, "mask_time_length": 2,
}  # fmt: skip
VARIANTS = {
    "wav2vec2-group": ("Wav2Vec2", {"feat_extract_norm": "group"}, False),
    "wav2vec2-layer": ("Wav2Vec2", {"feat_extract_norm": "layer", "do_stable_layer_norm": True}, True),
    "hubert": ("Hubert", {"feat_extract_norm": "layer"}, True),
    "conformer": ("Wav2Vec2Conformer", {"feat_extract_norm": "layer", "conv_depthwise_kernel_size": 5}, True),
    "wavlm": ("WavLM", {"feat_extract_norm": "layer"}, True),
    "unispeech": ("UniSpeech", {"feat_extract_norm": "layer"}, True),
    "unispeech-sat": ("UniSpeechSat", {"feat_extract_norm": "layer"}, True),
    "data2vec": ("Data2VecAudio", {"num_conv_pos_embeddings": 2, "conv_pos_kernel_size": 5}, True),
}
PIECES = [("<unk>", 0.0), ("▁", -3.0), ("▁the", -1.0), ("▁The", -2.0), ("s", -2.0), ("'", -4.0), (",", -2.0)]
PIECES += [(letter, -5.0) for letter in "abcdefghijklmnopqrtuvwxyz"]


def save_tokenizer(directory: Path) -> None:
    """Write the tokenizer of LETTERS."""
    (directory / "vocab.json").write_text(json.dumps({piece: id_ for id_, piece in enumerate(LETTERS)}))
    transformers.Wav2Vec2CTCTokenizer(str(directory / "vocab.json")).save_pretrained(directory)


def save_wav2vec(directory: Path, variant: str) -> Path:
    family, extra, masked = VARIANTS[variant]
    torch.manual_seed(1)
    config = getattr(transformers, f"{family}Config")(**WAV2VEC | extra)
    getattr(transformers, f"{family}ForCTC")(config).save_pretrained(directory)
    save_tokenizer(directory)
    transformers.Wav2Vec2FeatureExtractor(return_attention_mask=masked).save_pretrained(directory)
    return directory


def save_parakeet(directory: Path) -> Path:
    torch.manual_seed(1)
    encoder = {
        "hidden_size": 16, "num_hidden_layers": 3, "num_attention_heads": 2, "intermediate_size": 32,
        "subsampling_conv_channels": 4, "num_mel_bins": 16,
    }  # fmt: skip
    blank = len(PIECES)
    config = transformers.ParakeetCTCConfig(vocab_size=blank + 1, encoder_config=encoder, pad_token_id=blank)
    transformers.ParakeetForCTC(config).save_pretrained(directory)
    backend = tokenizers.Tokenizer(tokenizers.models.Unigram(PIECES, unk_id=0))
    backend.pre_tokenizer = tokenizers.pre_tokenizers.Metaspace()
    backend.add_special_tokens(["<pad>"])
    transformers.ParakeetTokenizer(tokenizer_object=backend, unk_token="<unk>", pad_token="<pad>").save_pretrained(
        directory
    )
    transformers.ParakeetFeatureExtractor(feature_size=16).save_pretrained(directory)
    return directory


def save_bert(directory: Path, **changes: object) -> Path:
    torch.manual_seed(1)
    config = transformers.Wav2Vec2BertConfig(
        vocab_size=len(LETTERS), hidden_size=16, num_hidden_layers=3, num_attention_heads=2, intermediate_size=32,
        feature_projection_input_dim=32, conv_depthwise_kernel_size=5, mask_time_length=2, pad_token_id=0, **changes,
    )  # fmt: skip
    transformers.Wav2Vec2BertForCTC(config).save_pretrained(directory)
    save_tokenizer(directory)
    transformers.SeamlessM4TFeatureExtractor(feature_size=16, num_mel_bins=16).save_pretrained(directory)
    return directory


def save(directory: Path, variant: str) -> Path:
    special = {
        "parakeet": save_parakeet, "bert": save_bert, "bert-adapter": functools.partial(save_bert, add_adapter=True),
    }  # fmt: skip
    return special[variant](directory) if variant in special else save_wav2vec(directory, variant)
