"""Log-mel features as Whisper computes them (Radford et al. 2022, section 2.2), on audio of any length, unpadded."""

import functools

import numpy as np
import numpy.typing as npt
import torch

from pipeline.acoustic.interface import SAMPLE_RATE

MEL_BINS = 80
FFT_SAMPLES = 400  # 25 ms windows
HOP_SAMPLES = 160  # 10 ms: 100 mel frames a second
_DYNAMIC_RANGE = 8.0  # log10 units below the loudest bin of the utterance that are kept
_LEAST_POWER = 1e-10
_LINEAR_MELS = 15.0  # mels up to 1 kHz
_LOG_STEP = np.log(6.4) / 27.0  # of the frequency per mel above
_MEL_PER_OUTPUT = 4  # mel frames of an output frame: the encoder halves them, and the head does


def mel_filters() -> npt.NDArray[np.float64]:
    """Return [80, 201] triangular filters of equal area on Slaney's mel scale (Auditory Toolbox, 1998).

    Up to 1 kHz the scale is linear, above it logarithmic.
    """
    frequencies = np.linspace(0.0, SAMPLE_RATE / 2, FFT_SAMPLES // 2 + 1)
    highest = _LINEAR_MELS + np.log(SAMPLE_RATE / 2 / 1000.0) / _LOG_STEP
    mels = np.linspace(0.0, highest, MEL_BINS + 2)
    edges = np.where(
        mels < _LINEAR_MELS, mels * 1000.0 / _LINEAR_MELS, 1000.0 * np.exp(_LOG_STEP * (mels - _LINEAR_MELS))
    )
    widths, slopes = np.diff(edges), edges[:, None] - frequencies
    rising, falling = -slopes[:-2] / widths[:-1, None], slopes[2:] / widths[1:, None]
    area = 2.0 / (edges[2:] - edges[:-2])
    filters: npt.NDArray[np.float64] = np.maximum(0.0, np.minimum(rising, falling)) * area[:, None]
    return filters


@functools.cache
def _filters(device: str) -> torch.Tensor:
    return torch.from_numpy(mel_filters()).float().to(device)


def log_mel_batch(samples: torch.Tensor, lengths: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return [B, 80, N // 160] features of a padded batch [B, N], as Whisper has them, and mel frames [B].

    ``lengths`` [B] count samples. An utterance has whole output frames of 40 ms, one at least; beyond them the features
    are zero. Its last window is what its padding makes of it: Whisper's, where the padding mirrors its end. Digital
    silence gives a constant. N must be at least one window. Nothing here waits for the device.
    """
    window = torch.hann_window(FFT_SAMPLES, device=samples.device)
    spectrum = torch.stft(samples, FFT_SAMPLES, HOP_SAMPLES, window=window, return_complex=True)
    mel = (_filters(str(samples.device)) @ spectrum[:, :, :-1].abs().square()).clamp(min=_LEAST_POWER).log10()
    frames = (lengths // (HOP_SAMPLES * _MEL_PER_OUTPUT)).clamp(min=1) * _MEL_PER_OUTPUT
    places = torch.arange(mel.shape[2], device=mel.device)[None]
    heard = (places < (lengths // HOP_SAMPLES).clamp(min=1)[:, None])[:, None]
    peak = torch.where(heard, mel, -torch.inf).amax((1, 2), keepdim=True)
    mel = (torch.maximum(mel, peak - _DYNAMIC_RANGE) + 4.0) / 4.0
    return mel * (places < frames[:, None])[:, None], frames
