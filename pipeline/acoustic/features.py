"""Log-mel features as Whisper computes them (Radford et al. 2022, section 2.2), on audio of any length, unpadded."""

import functools

import torch
from transformers.audio_utils import mel_filter_bank

from pipeline.acoustic.interface import SAMPLE_RATE

MEL_BINS = 80
FFT_SAMPLES = 400  # 25 ms windows
HOP_SAMPLES = 160  # 10 ms: 100 mel frames a second
_DYNAMIC_RANGE = 8.0  # log10 units below the loudest bin of the utterance that are kept
_LEAST_POWER = 1e-10
_MEL_PER_OUTPUT = 4  # mel frames of an output frame: the encoder halves them, and the head does


@functools.cache
def _filters(device: str) -> torch.Tensor:
    bank = mel_filter_bank(
        num_frequency_bins=FFT_SAMPLES // 2 + 1,
        num_mel_filters=MEL_BINS,
        min_frequency=0.0,
        max_frequency=SAMPLE_RATE / 2,
        sampling_rate=SAMPLE_RATE,
        norm="slaney",
        mel_scale="slaney",
    )
    return torch.from_numpy(bank.T).float().to(device)  # [80, 201]


def log_mel(samples: torch.Tensor) -> torch.Tensor:
    """Return [80, N // 160] log-mel features of mono 16 kHz ``samples`` [N] in -1..1.

    Shorter audio than one window is padded with silence to one. Digital silence gives a constant.
    """
    if samples.numel() < FFT_SAMPLES:
        samples = torch.nn.functional.pad(samples, (0, FFT_SAMPLES - samples.numel()))
    window = torch.hann_window(FFT_SAMPLES, device=samples.device)
    spectrum = torch.stft(samples, FFT_SAMPLES, HOP_SAMPLES, window=window, return_complex=True)
    power = spectrum[:, :-1].abs().square()  # [201, N // 160]
    mel = (_filters(str(samples.device)) @ power).clamp(min=_LEAST_POWER).log10()
    mel = torch.maximum(mel, mel.max() - _DYNAMIC_RANGE)
    return (mel + 4.0) / 4.0


def log_mel_batch(samples: torch.Tensor, lengths: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return [B, 80, N // 160] features of a padded batch [B, N], as ``log_mel`` has them, and mel frames [B].

    An utterance has whole output frames of 40 ms; beyond them the features are zero. Its last window differs from what
    ``log_mel`` says, which has the mirrored end where here is silence. N must be at least one window.
    """
    window = torch.hann_window(FFT_SAMPLES, device=samples.device)
    spectrum = torch.stft(samples, FFT_SAMPLES, HOP_SAMPLES, window=window, return_complex=True)
    mel = (_filters(str(samples.device)) @ spectrum[:, :, :-1].abs().square()).clamp(min=_LEAST_POWER).log10()
    frames = (lengths // (HOP_SAMPLES * _MEL_PER_OUTPUT)).clamp(min=1) * _MEL_PER_OUTPUT
    inside = (torch.arange(mel.shape[2], device=mel.device)[None] < frames[:, None])[:, None]
    peak = mel.masked_fill(~inside, -torch.inf).amax((1, 2), keepdim=True)
    mel = (torch.maximum(mel, peak - _DYNAMIC_RANGE) + 4.0) / 4.0
    return mel * inside, frames
