import numpy as np
import torch
from transformers import WhisperConfig, WhisperFeatureExtractor
from transformers.models.whisper.modeling_whisper import WhisperEncoder

from pipeline.acoustic.backbone import WhisperBackbone, key_mask
from pipeline.acoustic.batching import pad
from pipeline.acoustic.blocks import _turns
from pipeline.acoustic.features import log_mel_batch, mel_filters
from pipeline.acoustic.precision import autocast
from pipeline.acoustic.whisper_encoder import attend
from tests.support.tiny_model import tiny_network


def log_mel(samples: torch.Tensor) -> torch.Tensor:
    """Return the features [80, N // 160] of one utterance, padded to nothing more than its mirrored end."""
    batch = pad([samples.numpy()], 400, len(samples), torch.device("cpu"))
    return log_mel_batch(batch.samples, batch.lengths)[0][0, :, : len(samples) // 160]


def test_features_are_whispers_own() -> None:
    samples = np.random.default_rng(0).normal(0, 0.1, 16_000 * 30).astype(np.float32)
    theirs = WhisperFeatureExtractor(feature_size=80)(samples, sampling_rate=16_000, return_tensors="pt")
    assert torch.allclose(log_mel(torch.from_numpy(samples)), theirs["input_features"][0], atol=2e-4)


def test_filters_are_whispers_own() -> None:
    theirs = WhisperFeatureExtractor(feature_size=80).mel_filters  # [201, 80]
    assert np.array_equal(mel_filters().T.astype(np.float32), theirs.astype(np.float32))


def test_silence_and_one_sample_have_finite_features() -> None:
    assert torch.isfinite(log_mel(torch.zeros(16_000))).all()
    assert torch.isfinite(log_mel(torch.zeros(1))).all()


def test_backbone_is_whispers_encoder_to_the_bit() -> None:
    torch.manual_seed(0)
    shape = WhisperConfig(
        d_model=32, encoder_layers=3, encoder_attention_heads=2, encoder_ffn_dim=128, num_mel_bins=80, decoder_layers=0
    )
    theirs = WhisperEncoder(shape).eval()
    backbone = WhisperBackbone(width=32, layers=3, heads=2, taps=(1, 3)).eval()
    backbone.encoder.load_state_dict(theirs.state_dict())
    mel = torch.randn(1, 80, 3000)
    for dtype in (torch.float32, torch.bfloat16):
        with torch.inference_mode(), autocast(torch.device("cpu"), dtype):
            ours = backbone(mel, torch.tensor([1500]))
            assert ours.shape == (1, 1500, 64)
            expected = theirs(mel).last_hidden_state
            if dtype == torch.float32:
                assert torch.equal(ours[..., 32:], expected)
            else:  # attention is written out there, and rounds its scores
                assert torch.allclose(ours[..., 32:].float(), expected.float(), atol=0.05)


def test_new_positions_are_whispers() -> None:
    theirs = WhisperEncoder(WhisperConfig(d_model=32, encoder_layers=1, encoder_attention_heads=2, decoder_layers=0))
    ours = WhisperBackbone(width=32, layers=1, heads=2, taps=(1,)).encoder.embed_positions.weight
    assert torch.equal(ours, theirs.embed_positions.weight)


def test_attention_in_training_is_that_of_the_fused_kernel() -> None:
    torch.manual_seed(0)
    query, key, value = (torch.randn(2, 2, 7, 4, requires_grad=True) for _ in range(3))
    mask = key_mask(torch.tensor([7, 4]), 7)
    trained = attend(query, key, value, mask)
    assert trained.requires_grad
    with torch.inference_mode():
        assert torch.allclose(trained, attend(query, key, value, mask), atol=1e-6)


def test_attention_in_bfloat16_is_that_of_the_fused_kernel_to_its_rounding() -> None:
    torch.manual_seed(0)
    query, key, value = (torch.randn(2, 3, 24, 8, dtype=torch.bfloat16) for _ in range(3))
    query = query * 8**-0.5  # as callers scale it
    mask = key_mask(torch.tensor([24, 17]), 24)
    with torch.inference_mode():
        for given in (mask, None):
            ours = attend(query, key, value, given)
            exact = torch.nn.functional.scaled_dot_product_attention(
                query.float(), key.float(), value.float(), attn_mask=given, scale=1.0
            )
            assert ours.dtype == torch.bfloat16
            assert torch.allclose(ours.float(), exact, atol=0.03)
        changed = key.clone()
        changed[1, :, 17:] = 50.0
        assert torch.equal(attend(query, changed, value, mask), attend(query, key, value, mask)), "padding is not seen"


def test_turns_are_made_once_and_serve_training_too() -> None:
    first = _turns(16, 4, torch.device("cpu"), torch.float32)
    with torch.inference_mode():
        again = _turns(16, 4, torch.device("cpu"), torch.float32)
    assert again is first
    angles = torch.arange(16)[:, None] * 10_000.0 ** (-torch.arange(4) / 4)
    assert torch.equal(first[0], angles.sin())
    (torch.ones(16, 4, requires_grad=True) * first[1]).sum().backward()  # an inference tensor could not be kept


def test_the_mask_hides_padding() -> None:
    mask = key_mask(torch.tensor([4, 2]), 4)
    assert mask[0].all()
    assert mask[1, 0, 0].tolist() == [True, True, False, False]


def test_padding_does_not_change_an_utterance() -> None:
    network = tiny_network()
    short, long = torch.randn(1, 20, 128), torch.randn(1, 33, 128)
    padded = torch.zeros(2, 33, 128)
    padded[0, :20], padded[1] = short[0], long[0]
    with torch.inference_mode():
        alone = network.head(short, torch.tensor([20]))
        together = network.head(padded, torch.tensor([20, 33]))
    assert torch.allclose(together.tokens[0, :20], alone.tokens[0], atol=1e-5)
    assert torch.allclose(together.phones[0, :20], alone.phones[0], atol=1e-5)
    assert torch.allclose(together.states[0, :, :20], alone.states[0], atol=1e-5)


def test_every_level_is_a_distribution() -> None:
    output = tiny_network()(torch.randn(2, 80, 80), torch.tensor([40, 30]))
    assert output.tokens.shape == (2, 20, 48)
    assert output.phones.shape == (2, 20, 40)
    assert output.states.shape == (2, 3, 20, 32)
    for level in (output.tokens, output.phones, *output.intermediate):
        assert torch.allclose(level.exp().sum(-1), torch.ones(2, 20), atol=1e-5)


def test_features_of_a_batch_are_those_of_each_utterance() -> None:
    noise = torch.randn(2, 32_000, generator=torch.Generator().manual_seed(0)) * 0.1
    batch = pad([noise[0, :16_000].numpy(), noise[1].numpy()], 400, 0, torch.device("cpu"))
    mel, frames = log_mel_batch(batch.samples, batch.lengths)
    assert frames.tolist() == [100, 200]
    assert torch.allclose(mel[0, :, :100], log_mel(noise[0, :16_000]), atol=1e-5)
    assert torch.allclose(mel[1, :, :200], log_mel(noise[1]), atol=1e-5)
    assert mel[0, :, 100:].abs().max() == 0
