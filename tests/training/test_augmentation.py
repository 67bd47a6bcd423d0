"""What augmentation does to a wave, in numbers that a meter would show."""

import dataclasses
import math

import pytest
import torch

from pipeline.errors import ConfigError
from pipeline.training.augmentation import (
    Augmentation,
    augment,
    babble,
    change_gain,
    change_speed,
    clip,
    coloured_noise,
    impulse_responses,
    mask_features,
    mix,
    padded,
    reverberate,
    telephone,
)

RATE = 16_000
NEVER = Augmentation(
    speed_share=0.0, room_share=0.0, babble_share=0.0, noise_share=0.0, telephone_share=0.0, clip_share=0.0, gain=0.0
)
ALWAYS = Augmentation(
    speed_share=1.0, room_share=1.0, babble_share=0.5, noise_share=1.0, telephone_share=1.0, clip_share=1.0
)


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def tone(hertz: float, seconds: float = 1.0, level: float = 0.3) -> torch.Tensor:
    """[1, N]"""
    return level * torch.sin(2 * math.pi * hertz * torch.arange(int(RATE * seconds)) / RATE)[None]


def whole(samples: torch.Tensor) -> torch.Tensor:
    return torch.full((len(samples),), samples.shape[1])


def power_between(samples: torch.Tensor, low: float, high: float) -> float:
    spectrum = torch.fft.rfft(samples[0].double()).abs().square()
    hertz = torch.linspace(0, RATE / 2, len(spectrum))
    return float(spectrum[(hertz >= low) & (hertz < high)].sum())


def decibels(one: float, other: float) -> float:
    return 10 * math.log10(one / other)


@pytest.mark.parametrize("snr", [0.0, 10.0, 20.0])
def test_noise_lies_at_the_ratio_that_was_asked_for(snr: float) -> None:
    samples = torch.cat([tone(440, 1.0), torch.zeros(1, RATE)], 1)
    lengths = torch.tensor([RATE])
    mixed = mix(samples, lengths, torch.randn(1, 2 * RATE, generator=seeded()), torch.tensor([snr]))
    noise = mixed - samples
    measured = decibels(float(samples[0, :RATE].square().sum()), float(noise[0, :RATE].square().sum()))
    assert measured == pytest.approx(snr, abs=0.1)
    assert mixed[0, RATE:].abs().max() == 0


def test_silence_stays_nearly_silent() -> None:
    mixed = mix(torch.zeros(1, RATE), torch.tensor([RATE]), torch.randn(1, RATE), torch.tensor([10.0]))
    assert torch.isfinite(mixed).all()
    assert mixed.abs().max() < 1e-3


@pytest.mark.parametrize(("exponent", "fall"), [(0.0, -3.0), (1.0, 0.0), (2.0, 3.0)])
def test_colours_of_noise_by_octave(exponent: float, fall: float) -> None:
    noise = coloured_noise((1, 10 * RATE), torch.tensor([exponent]), seeded())
    octaves = decibels(power_between(noise, 500, 1000), power_between(noise, 1000, 2000))
    assert octaves == pytest.approx(fall, abs=0.3)
    assert float(noise.square().mean()) == pytest.approx(1.0, abs=1e-3)


def test_speed_changes_length_and_pitch() -> None:
    faster, lengths = change_speed(tone(400, 2.0), torch.tensor([2 * RATE]), 1.25)
    assert faster.shape == (1, 25_600)
    assert lengths.tolist() == [25_600]
    assert power_between(faster, 495, 505) > 0.99 * power_between(faster, 0, 8000)
    slower, lengths = change_speed(tone(400, 2.0), torch.tensor([RATE]), 0.8)
    assert lengths.tolist() == [20_000]
    assert slower[0, 20_000:].abs().max() == 0
    with pytest.raises(ConfigError, match="speed factor 0"):
        change_speed(tone(400), torch.tensor([RATE]), 0)


def test_a_telephone_carries_nothing_above_four_kilohertz_and_little_below_300() -> None:
    high = telephone(tone(5000), torch.tensor([RATE]))
    assert decibels(float(high.square().sum()) + 1e-12, float(tone(5000).square().sum())) < -60
    speech = torch.randn(1, RATE, generator=seeded()) * 0.1
    line = telephone(speech, torch.tensor([RATE]))
    assert power_between(line, 4000, 8000) < 1e-6 * power_between(line, 0, 4000)
    voice = telephone(tone(1000), torch.tensor([RATE]))
    kept = power_between(voice, 990, 1010) / power_between(tone(1000), 990, 1010)
    assert kept == pytest.approx(1.0, abs=0.05)
    error = voice - tone(1000)
    assert 30 < decibels(float(tone(1000).square().sum()), float(error.square().sum())) < 45  # 8 bits on the u-law


def test_a_room_keeps_the_energy_and_rings_on() -> None:
    samples = torch.cat([tone(500, 0.5), torch.zeros(1, RATE // 2)], 1)
    heard = reverberate(samples, whole(samples), impulse_responses(1, seeded()))
    assert float(heard.square().sum()) == pytest.approx(float(samples.square().sum()), rel=1e-3)
    assert heard[0, RATE // 2 : RATE // 2 + 800].abs().max() > 1e-3


def test_a_room_of_one_reflection_is_an_echo() -> None:
    click, response = torch.zeros(1, 1000), torch.zeros(1, 8000)
    click[0, 10], response[0, 0], response[0, 100] = 1.0, 1.0, 1.0
    heard = reverberate(click, torch.tensor([1000]), response)
    assert heard[0].abs().topk(2).indices.sort().values.tolist() == [10, 110]
    assert heard[0, 10].item() == pytest.approx(heard[0, 110].item(), abs=1e-4)


def test_babble_is_several_voices_equally_loud() -> None:
    voices = torch.cat([tone(100 * (k + 1), 1.0, level=0.1 * (k + 1)) for k in range(7)])
    mixed = babble(voices, (4, RATE), seeded())
    for row in mixed:
        powers = [power_between(row[None], 100 * (k + 1) - 10, 100 * (k + 1) + 10) for k in range(7)]
        heard = [power for power in powers if power > 0.01 * max(powers)]
        assert 3 <= len(heard) <= 7
        assert max(heard) / min(heard) == pytest.approx(1.0, abs=0.01)


def test_gain_and_clipping() -> None:
    assert change_gain(tone(400), torch.tensor([6.0206])).max().item() == pytest.approx(0.6, abs=1e-3)
    assert change_gain(tone(400), torch.tensor([20.0])).max().item() == 1.0
    clipped = clip(tone(400), torch.tensor([6.0206]))  # twice full scale: cut off from 30 to 150 degrees
    assert (clipped.abs() == 1.0).float().mean().item() == pytest.approx(2 / 3, abs=0.02)


def test_masks_hide_the_share_that_was_asked_for_and_leave_padding() -> None:
    mel = torch.rand(64, 80, 1000, generator=seeded())
    frames = torch.full((64,), 800)
    mel[:, :, 800:] = 0.0
    times = dataclasses.replace(NEVER, frequency_masks=0, time_masks_per_second=0.5, longest_mask=20)
    changed = (mask_features(mel, frames, seeded(1), times) != mel)[:, 0, :].float()
    # 4 masks of 10.5 frames on average, few of them overlap
    assert changed[:, :800].mean().item() == pytest.approx(4 * 10.5 / 800, abs=0.01)
    assert changed[:, 800:].sum() == 0
    bins = dataclasses.replace(NEVER, frequency_masks=1, widest_mask=20, time_masks_per_second=0.0)
    changed = (mask_features(mel, frames, seeded(1), bins) != mel)[:, :, 0].float()
    assert changed.mean().item() == pytest.approx(10 / 80, abs=0.03)
    masked = mask_features(mel, frames, seeded(1), bins)[0]
    row = int(changed[0].argmax())
    assert masked[row, 0].item() == pytest.approx(mel[0, :, :800].mean().item(), abs=1e-4)


def test_padding_makes_whole_seconds() -> None:
    assert padded(tone(400, 1.7), torch.tensor([20_000]), 1).shape == (1, 2 * RATE)
    assert padded(tone(400, 3.0), torch.tensor([16_000]), 1).shape == (1, RATE)
    assert padded(tone(400, 3.0), torch.tensor([16_001]), 2).shape == (1, 2 * RATE)


def test_the_same_seed_draws_the_same_samples() -> None:
    samples = torch.randn(8, 2 * RATE, generator=seeded()) * 0.1
    voices = torch.randn(12, 2 * RATE, generator=seeded(1))
    first, lengths = augment(samples, whole(samples), voices, seeded(2), ALWAYS)
    again, _ = augment(samples, whole(samples), voices, seeded(2), ALWAYS)
    other, _ = augment(samples, whole(samples), voices, seeded(3), ALWAYS)
    assert torch.equal(first, again)
    assert first.shape != other.shape or not torch.equal(first, other)
    assert torch.isfinite(first).all()
    assert first.abs().max() <= 1.0
    assert int(lengths.max()) <= first.shape[1]


def test_with_all_shares_at_zero_the_batch_stays_as_it_is() -> None:
    samples = torch.randn(4, RATE, generator=seeded()) * 0.1
    voices = torch.randn(3, RATE, generator=seeded(1))
    heard, lengths = augment(samples, whole(samples), voices, seeded(2), NEVER)
    assert torch.allclose(heard, samples)
    assert lengths.tolist() == [RATE] * 4
