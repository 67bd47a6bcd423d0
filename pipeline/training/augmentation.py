"""What makes training audio harder, drawn anew for every batch: pure functions over waveforms and features.

``samples`` is [B, N] float32 at 16 kHz, full scale 1.0, silent beyond ``lengths`` [B]; so is what comes back. What is
random comes from the given generator, on whose device everything lies: the same seed draws the same samples.
"""

import dataclasses
import math

import torch
from torch.nn import functional

from pipeline.acoustic.features import FFT_SAMPLES, HOP_SAMPLES
from pipeline.acoustic.interface import SAMPLE_RATE
from pipeline.errors import ConfigError

_LEAST_POWER = 1e-10
_GRID = 160  # resampled batches have whole 10 ms, whose Fourier transforms are fast
_LOWEST = 20.0  # Hz: coloured noise is flat below, where nothing is heard
_TELEPHONE = (200.0, 300.0, 3400.0, 3800.0)  # Hz: rises, is even, falls, is silent
_MU = 255.0  # of the u-law (ITU-T G.711)
_RESPONSE = SAMPLE_RATE // 2  # samples of an impulse response
_DECAY = 6.908  # ln(1000): 60 dB


@dataclasses.dataclass(frozen=True)
class Augmentation:
    """How often and how much. Shares are of utterances, except for speed, which a whole batch has in common."""

    speed_share: float = 0.6
    speed_change: float = 0.12  # a factor of 1 less or more this, drawn uniformly
    room_share: float = 0.2
    babble_share: float = 0.25
    noise_share: float = 0.4  # of those without babble: white, pink or red
    least_snr: float = 3.0  # dB
    greatest_snr: float = 25.0
    telephone_share: float = 0.12
    clip_share: float = 0.05
    greatest_clip: float = 12.0  # dB of the loudest sample beyond full scale
    gain: float = 12.0  # dB, up or down
    frequency_masks: int = 2
    widest_mask: int = 18  # mel bins
    time_masks_per_second: float = 0.35
    longest_mask: int = 50  # mel frames of 10 ms


def augment(
    samples: torch.Tensor, lengths: torch.Tensor, voices: torch.Tensor, generator: torch.Generator,
    config: Augmentation,
) -> tuple[torch.Tensor, torch.Tensor]:  # fmt: skip
    """Return the batch as it may be heard elsewhere, [B, N'], and its lengths.

    ``voices`` [K, N] is speech of others, at least 3, for babble. The order is that of the world: the speaker, the
    room, the noise in it, the line, the recorder.
    """
    if _chance(1, config.speed_share, generator)[0]:
        factor = 1 + config.speed_change * float(_uniform((1,), -1, 1, generator)[0])
        samples, lengths = change_speed(samples, lengths, factor)
    size = len(samples)
    samples = samples.clone()
    if len(rows := _rows(_chance(size, config.room_share, generator))):
        responses = impulse_responses(len(rows), generator)
        samples[rows] = reverberate(samples[rows], lengths[rows], responses)
    babbling = _chance(size, config.babble_share, generator)
    noisy = ~babbling & _chance(size, config.noise_share, generator)
    for chosen, kind in ((babbling, "babble"), (noisy, "noise")):
        if len(rows := _rows(chosen)):
            shape = (len(rows), samples.shape[1])
            noise = babble(voices, shape, generator) if kind == "babble" else _any_noise(shape, generator)
            snr = _uniform((len(rows),), config.least_snr, config.greatest_snr, generator)
            samples[rows] = mix(samples[rows], lengths[rows], noise, snr)
    if len(rows := _rows(_chance(size, config.telephone_share, generator))):
        samples[rows] = telephone(samples[rows], lengths[rows])
    samples = change_gain(samples, _uniform((size,), -config.gain, config.gain, generator))
    if len(rows := _rows(_chance(size, config.clip_share, generator))):
        samples[rows] = clip(samples[rows], _uniform((len(rows),), 0.0, config.greatest_clip, generator))
    return samples, lengths


def change_speed(samples: torch.Tensor, lengths: torch.Tensor, factor: float) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the batch played ``factor`` times as fast, tempo and pitch together (Ko et al. 2015), and its lengths.

    The whole batch is resampled by its spectrum, to whole 10 ms, so that the factor is kept to a thousandth on audio of
    ten seconds. Raises ConfigError unless ``factor`` is positive.
    """
    if factor <= 0:
        raise ConfigError(f"speed factor {factor}: must be more than 0.")
    before = samples.shape[1]
    after = max(1, round(before / factor / _GRID)) * _GRID
    changed = _resampled(samples, after)
    lengths = (lengths.double() * after / before).round().long().clamp(min=1, max=after)
    return changed * _inside(changed, lengths), lengths


def mix(samples: torch.Tensor, lengths: torch.Tensor, noise: torch.Tensor, snr: torch.Tensor) -> torch.Tensor:
    """Return ``samples`` with ``noise`` [B, N] at the signal to noise ratios ``snr`` [B] in dB."""
    noise = noise * _inside(samples, lengths)
    wanted = _power(samples, lengths) / 10 ** (snr / 10)
    level: torch.Tensor = (wanted / _power(noise, lengths)).sqrt()[:, None]
    return samples + noise * level


def coloured_noise(shape: tuple[int, int], exponents: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Return noise [B, N] of unit power whose power falls with frequency to the ``exponents`` [B].

    0 is white noise, 1 pink, as many rooms have it, 2 red, as wind and traffic have it.
    """
    spectrum = torch.fft.rfft(torch.randn(shape, generator=generator, device=generator.device))
    frequencies = torch.linspace(0, SAMPLE_RATE / 2, spectrum.shape[1], device=generator.device).clamp(min=_LOWEST)
    noise: torch.Tensor = torch.fft.irfft(spectrum * frequencies[None] ** (-exponents[:, None] / 2), shape[1])
    return noise / noise.square().mean(1, keepdim=True).clamp(min=_LEAST_POWER).sqrt()


def babble(voices: torch.Tensor, shape: tuple[int, int], generator: torch.Generator) -> torch.Tensor:
    """Return [B, N] of 3 to 7 of ``voices`` [K, M] at once, equally loud, each beginning somewhere and going round."""
    rows, samples = shape
    device = generator.device
    level = voices.square().mean(1, keepdim=True).clamp(min=_LEAST_POWER).sqrt()
    voices = voices / level
    order = torch.rand(rows, len(voices), generator=generator, device=device).argsort(1)
    counts = torch.randint(3, 8, (rows, 1), generator=generator, device=device)
    at = torch.arange(samples, device=device)[None]
    mixed = torch.zeros(rows, samples, device=device)
    for number in range(min(7, len(voices))):
        start = torch.randint(voices.shape[1], (rows, 1), generator=generator, device=device)
        heard = voices[order[:, number]].gather(1, (at + start) % voices.shape[1])
        mixed += heard * (counts > number)
    return mixed


def impulse_responses(count: int, generator: torch.Generator) -> torch.Tensor:
    """Return [count, 8000] responses of rooms: the direct sound, then noise that decays (Moorer 1979).

    Reverberation lasts 0.15 to 0.7 s, begins after 2 to 12 ms, and lies 12 dB below the direct sound to 3 dB above it.
    """
    at = torch.arange(_RESPONSE, device=generator.device)[None] / SAMPLE_RATE
    lasting = _uniform((count, 1), 0.15, 0.7, generator)
    begin = _uniform((count, 1), 0.002, 0.012, generator)
    noise = torch.randn(count, _RESPONSE, generator=generator, device=generator.device)
    late = noise * torch.exp(-_DECAY * at / lasting) * (at >= begin)
    share = 10 ** (_uniform((count, 1), -12, 3, generator) / 20)
    late = late * share / late.square().sum(1, keepdim=True).clamp(min=_LEAST_POWER).sqrt()
    late[:, 0] = 1.0
    return late


def reverberate(samples: torch.Tensor, lengths: torch.Tensor, responses: torch.Tensor) -> torch.Tensor:
    """Return ``samples`` heard through impulse ``responses`` [B, R], as loud as before; what rings on is cut off."""
    size = samples.shape[1]
    whole = size + -(-responses.shape[1] // SAMPLE_RATE) * SAMPLE_RATE
    heard: torch.Tensor = torch.fft.irfft(torch.fft.rfft(samples, whole) * torch.fft.rfft(responses, whole), whole)[
        :, :size
    ]
    heard = heard * _inside(samples, lengths)
    return heard * (_power(samples, lengths) / _power(heard, lengths)).sqrt()[:, None]


def telephone(samples: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
    """Return ``samples`` as a telephone line carries them: 300 to 3,400 Hz, 8 kHz, 8 bits on the u-law's scale."""
    size = samples.shape[1]
    spectrum = torch.fft.rfft(samples)
    frequencies = torch.linspace(0, SAMPLE_RATE / 2, spectrum.shape[1], device=samples.device)
    rises, even, falls, silent = _TELEPHONE
    above, below = (frequencies - rises) / (even - rises), (silent - frequencies) / (silent - falls)
    passed = above.clamp(0, 1) * below.clamp(0, 1)
    line = _resampled(torch.fft.irfft(spectrum * passed, size), size // 2).clamp(-1, 1)
    companded = line.sign() * torch.log1p(_MU * line.abs()) / math.log1p(_MU)
    steps = (companded * 127).round() / 127
    line = steps.sign() * torch.expm1(steps.abs() * math.log1p(_MU)) / _MU
    return _resampled(line, size) * _inside(samples, lengths)


def change_gain(samples: torch.Tensor, gain: torch.Tensor) -> torch.Tensor:
    """Return ``samples`` louder by ``gain`` [B] dB; what goes beyond full scale is cut off, as 16 bits would."""
    return (samples * 10 ** (gain / 20)[:, None]).clamp(-1, 1)


def clip(samples: torch.Tensor, beyond: torch.Tensor) -> torch.Tensor:
    """Return ``samples`` recorded so loudly that the loudest would lie ``beyond`` [B] dB above full scale."""
    peak = samples.abs().amax(1).clamp(min=math.sqrt(_LEAST_POWER))
    return change_gain(samples / peak[:, None], beyond)


def mask_features(
    mel: torch.Tensor, frames: torch.Tensor, generator: torch.Generator, config: Augmentation
) -> torch.Tensor:
    """Return ``mel`` [B, bins, M] with stretches of bins and of frames at the utterance's mean (SpecAugment, Park et
    al. 2019). ``frames`` [B] are those that are not padding.
    """
    size, bins, length = mel.shape
    inside = torch.arange(length, device=mel.device)[None] < frames[:, None]
    total = (mel * inside[:, None]).sum((1, 2)) / (frames * bins).clamp(min=1)
    mean = total[:, None, None]
    at_bin, at_frame = torch.arange(bins, device=mel.device)[None], torch.arange(length, device=mel.device)[None]
    hidden = torch.zeros_like(mel, dtype=torch.bool)
    for _ in range(config.frequency_masks):
        width = _uniform((size, 1), 0, config.widest_mask + 1, generator).long()
        start = (_uniform((size, 1), 0, 1, generator) * (bins - width + 1)).long()
        hidden |= ((at_bin >= start) & (at_bin < start + width))[:, :, None]
    rate = config.time_masks_per_second * frames * HOP_SAMPLES / SAMPLE_RATE
    counts = torch.poisson(rate.float(), generator=generator)[:, None]
    for number in range(int(counts.max())):
        width = _uniform((size, 1), 1, config.longest_mask + 1, generator).long().minimum(frames[:, None] // 2)
        start = (_uniform((size, 1), 0, 1, generator) * (frames[:, None] - width + 1)).long()
        hidden |= ((at_frame >= start) & (at_frame < start + width) & (counts > number))[:, None]
    return torch.where(hidden & inside[:, None], mean, mel)


def padded(samples: torch.Tensor, lengths: torch.Tensor, seconds: int) -> torch.Tensor:
    """Return ``samples`` cut or padded with silence to whole ``seconds`` around the longest, so shapes are few."""
    unit = seconds * SAMPLE_RATE
    wanted = -(-max(int(lengths.max()), FFT_SAMPLES) // unit) * unit
    return functional.pad(samples, (0, wanted - samples.shape[1]))


def _inside(samples: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
    return torch.arange(samples.shape[1], device=samples.device)[None] < lengths[:, None]


def _power(samples: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
    return (samples.square().sum(1) / lengths).clamp(min=_LEAST_POWER)


def _resampled(samples: torch.Tensor, size: int) -> torch.Tensor:
    """[B, size]: the same signal on another grid of samples; what lies above half of its rate is left out."""
    before = samples.shape[1]
    spectrum = torch.fft.rfft(samples)[:, : size // 2 + 1]
    resampled: torch.Tensor = torch.fft.irfft(spectrum, size)
    return resampled * (size / before)


def _any_noise(shape: tuple[int, int], generator: torch.Generator) -> torch.Tensor:
    exponents = torch.randint(0, 3, (shape[0],), generator=generator, device=generator.device)
    return coloured_noise(shape, exponents.float(), generator)


def _uniform(shape: tuple[int, ...], low: float, high: float, generator: torch.Generator) -> torch.Tensor:
    return torch.rand(shape, generator=generator, device=generator.device) * (high - low) + low


def _chance(size: int, share: float, generator: torch.Generator) -> torch.Tensor:
    return torch.rand(size, generator=generator, device=generator.device) < share


def _rows(chosen: torch.Tensor) -> torch.Tensor:
    return chosen.nonzero()[:, 0]
