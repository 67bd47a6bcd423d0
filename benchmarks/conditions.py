"""Speech as it is heard elsewhere: the same for everybody who measures, fixed by the utterance's id.

What is mixed in, and where a voice stands in which room, follows from the id and the kind of condition alone, so that
the levels of one noise differ in their level only. Nothing here is what training audio is made harder with
(pipeline.training.augmentation): babble is of development speakers, rooms are of mirrored sources, the telephone is the
codec itself.
"""

import dataclasses
import functools
import hashlib
import io
from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt
import soundfile
import soxr

from pipeline.audio.decode import SAMPLE_RATE, Samples

_TALKERS = 5
_ROOMS = 6
_SOUND = 343.0  # metres a second
_RESPONSE = SAMPLE_RATE // 2  # samples of an impulse response
_LEAST_HERTZ = 80.0  # mirrored sources add up to a rumble that no room has (Allen and Berkley 1979, section III)
_LEAST_POWER = 1e-10
_TELEPHONE_RATE = 8000


@dataclasses.dataclass(frozen=True)
class Voice:
    """Speech of somebody, for babble: ``samples`` [N] at 16 kHz."""

    speaker: str
    samples: Samples


@dataclasses.dataclass(frozen=True)
class Spoken:
    """An utterance as it was recorded: ``samples`` [N] at 16 kHz."""

    utterance_id: str
    speaker: str
    samples: Samples


def draw(kind: str, utterance_id: str) -> np.random.Generator:
    """Return the source of all that is random for one utterance in one kind of condition."""
    digest = hashlib.sha256(f"{kind}:{utterance_id}".encode()).digest()
    return np.random.default_rng(int.from_bytes(digest[:8], "little"))


def mix(samples: Samples, noise: npt.NDArray[np.float64], snr: float) -> Samples:
    """Return ``samples`` with ``noise`` [N] at ``snr`` dB, by the power of the whole utterance."""
    level = np.sqrt(_power(samples) / _power(noise)) * 10 ** (-snr / 20)
    return (samples + level * noise).astype(np.float32)


def babble(one: Spoken, voices: Sequence[Voice], snr: float) -> Samples:
    """Five others speak at once, equally loud, each from somewhere in what they say."""
    generator = draw("babble", one.utterance_id)
    others = [voice for voice in voices if voice.speaker != one.speaker]
    noise = np.zeros(len(one.samples))
    for at in generator.permutation(len(others))[:_TALKERS]:
        samples = others[at].samples.astype(np.float64)
        start = int(generator.integers(len(samples)))
        noise += np.resize(np.roll(samples, -start), len(noise)) / np.sqrt(_power(samples))
    return mix(one.samples, noise, snr)


def pink(one: Spoken, snr: float) -> Samples:
    """Noise whose power halves with every octave, flat below 20 Hz."""
    size = len(one.samples)
    spectrum = np.fft.rfft(draw("pink", one.utterance_id).standard_normal(size))
    hertz = np.fft.rfftfreq(size, 1 / SAMPLE_RATE).clip(20.0)
    return mix(one.samples, np.fft.irfft(spectrum / np.sqrt(hertz), size), snr)


def telephone(one: Spoken) -> Samples:
    """ITU-T G.711 (u-law) at 8 kHz, by libsndfile."""
    line = io.BytesIO()
    narrow = soxr.resample(one.samples, SAMPLE_RATE, _TELEPHONE_RATE)
    soundfile.write(line, np.clip(narrow, -1, 1), _TELEPHONE_RATE, format="WAV", subtype="ULAW")
    line.seek(0)
    heard, _ = soundfile.read(line, dtype="float32")
    return soxr.resample(heard, _TELEPHONE_RATE, SAMPLE_RATE).astype(np.float32)


def speed(one: Spoken, factor: float) -> Samples:
    """Tempo and pitch together, ``factor`` times as fast."""
    return soxr.resample(one.samples, SAMPLE_RATE * factor, SAMPLE_RATE).astype(np.float32)


def far_field(one: Spoken) -> Samples:
    """Heard from at least 2 m away in one of six rooms, as loud as before; what rings on is cut off."""
    response = rooms()[int(draw("room", one.utterance_id).integers(_ROOMS))]
    size = len(one.samples) + len(response)
    heard = np.fft.irfft(np.fft.rfft(one.samples, size) * np.fft.rfft(response, size), size)[: len(one.samples)]
    return (heard * np.sqrt(_power(one.samples) / _power(heard))).astype(np.float32)


@functools.cache
def rooms() -> tuple[npt.NDArray[np.float64], ...]:
    """Return the impulse responses of six rooms, [8000] each, by the image method (Allen and Berkley 1979).

    Rooms are 4 to 8 m by 3.5 to 6 m by 2.5 to 3.5 m, absorb all frequencies alike, and are to ring for 0.2 to 0.45
    s by Eyring's formula; what the mirrored sources give rings for 0.3 to 0.7 s, and in one room for 1.4 s.
    """
    generator = np.random.default_rng(20)
    return tuple(_room(generator) for _ in range(_ROOMS))


def _room(generator: np.random.Generator) -> npt.NDArray[np.float64]:
    size = generator.uniform((4.0, 3.5, 2.5), (8.0, 6.0, 3.5))
    while True:
        source, microphone = (generator.uniform(0.5, size - 0.5) for _ in range(2))
        if np.linalg.norm(source - microphone) >= 2.0:
            break
    walls = 2 * (size[0] * size[1] + size[0] * size[2] + size[1] * size[2])
    lasting = generator.uniform(0.2, 0.45)
    absorbed = 1 - np.exp(-0.161 * size.prod() / (walls * lasting))  # Eyring's formula turned round
    reflection = np.sqrt(1 - absorbed)
    axes = [_images(size[axis], source[axis], microphone[axis], reflection) for axis in range(3)]
    (x, gain_x), (y, gain_y), (z, gain_z) = axes
    distance = np.sqrt((x**2)[:, None, None] + (y**2)[None, :, None] + (z**2)[None, None, :])
    gain = gain_x[:, None, None] * gain_y[None, :, None] * gain_z[None, None, :] / distance
    delay = ((distance - distance.min()) / _SOUND * SAMPLE_RATE).round().astype(np.int64)
    near = delay < _RESPONSE
    response = np.bincount(delay[near], gain[near], _RESPONSE)
    spectrum = np.fft.rfft(response)
    spectrum *= (np.fft.rfftfreq(_RESPONSE, 1 / SAMPLE_RATE) / _LEAST_HERTZ).clip(0, 1)
    return np.fft.irfft(spectrum, _RESPONSE)


def _images(
    size: float, source: float, microphone: float, reflection: float
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """How far away the mirrored sources lie along one axis, and what their reflections leave of them."""
    reach = int(np.ceil(_SOUND * _RESPONSE / SAMPLE_RATE / (2 * size)))
    number = np.arange(-reach, reach + 1)
    straight = 2 * number * size + source - microphone  # an even number of walls
    turned = 2 * number * size - source - microphone
    walls = np.concatenate([np.abs(2 * number), np.abs(2 * number - 1)])
    return np.concatenate([straight, turned]), reflection ** walls.astype(np.float64)


def _power(samples: npt.NDArray[np.floating]) -> float:
    return max(float(np.mean(np.square(samples, dtype=np.float64))), _LEAST_POWER)


Condition = Callable[[Spoken, Sequence[Voice]], Samples]
CONDITIONS: dict[str, Condition] = {
    "clean": lambda one, _: one.samples,
    **{f"babble-{snr}": functools.partial(babble, snr=float(snr)) for snr in (20, 10, 5)},
    **{f"pink-{snr}": (lambda one, _, snr=snr: pink(one, float(snr))) for snr in (20, 10, 5)},
    "telephone": lambda one, _: telephone(one),
    "speed-0.85": lambda one, _: speed(one, 0.85),
    "speed-1.15": lambda one, _: speed(one, 1.15),
    "far-field": lambda one, _: far_field(one),
}
