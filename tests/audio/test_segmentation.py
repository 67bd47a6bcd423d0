import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.audio.decode import decode_audio
from pipeline.audio.segmentation import SpeechDetector, choose_cut, cut_at_silences, slice_spans
from pipeline.errors import ConfigError
from tests.support.audio_files import noise
from tests.support.shared_data import SHARED, needs_shared_data


@pytest.fixture(scope="module")
def detector() -> SpeechDetector:
    return SpeechDetector()


@pytest.mark.parametrize(
    ("speech", "cut"),
    [
        ([0.9, 0.9, 0.1, 0.1, 0.1, 0.1, 0.9, 0.9], 4),
        ([0.1, 0.1, 0.1, 0.9, 0.1, 0.1, 0.1, 0.1, 0.1, 0.9], 6),  # the longest
        ([0.1, 0.1, 0.1, 0.9, 0.1, 0.1, 0.1, 0.9], 5),  # the last of equals
        ([0.9, 0.1, 0.1, 0.9, 0.9, 0.2, 0.9], 1),  # too short for a pause: least like speech
        ([0.9, 0.8, 0.7, 0.8], 2),
        ([0.0, 0.0, 0.0, 0.0], 2),
    ],
)
def test_the_cut_lies_in_the_middle_of_the_longest_pause(speech: list[float], cut: int) -> None:
    assert choose_cut(np.array(speech, np.float32)) == cut


@settings(max_examples=15, deadline=None)
@given(lengths=st.lists(st.integers(0, 160_000), max_size=8), max_seconds=st.floats(5.0, 9.0))
def test_pieces_tile_the_recording(detector: SpeechDetector, lengths: list[int], max_seconds: float) -> None:
    blocks = [noise(length / 16_000, seed=seed) for seed, length in enumerate(lengths)]
    whole = np.concatenate([np.zeros(0, np.float32), *blocks])
    pieces = list(cut_at_silences(blocks, detector, max_seconds))
    np.testing.assert_array_equal(np.concatenate([whole[:0], *(piece.samples for piece in pieces)]), whole)
    assert [piece.start for piece in pieces] == [0, *np.cumsum([len(p.samples) for p in pieces])][: len(pieces)]
    assert all(len(piece.samples) <= max_seconds * 16_000 for piece in pieces)
    assert all(len(piece.samples) >= 16_000 for piece in pieces[1:])  # no slivers after a cut


def test_cuts_do_not_depend_on_the_blocks(detector: SpeechDetector) -> None:
    whole = noise(30.0)
    in_one = [piece.start for piece in cut_at_silences([whole], detector, 8.0)]
    in_many = [piece.start for piece in cut_at_silences(np.array_split(whole, 17), detector, 8.0)]
    assert in_one == in_many
    assert len(in_one) > 3


@needs_shared_data
def test_real_speech_is_cut_in_its_pauses(detector: SpeechDetector) -> None:
    """Three sentences with a second of silence between them: every cut falls into one of the two silences."""
    rows = pq.read_table(SHARED / "librispeech_test_clean_dev.parquet", columns=["audio", "duration_seconds"])
    rows = [row for row in rows.slice(0, 200).to_pylist() if 5.0 < row["duration_seconds"] < 7.0][:3]
    silence = np.zeros(16_000, np.float32)
    parts = [decode_audio(row["audio"]["bytes"], "a").samples for row in rows]
    whole = np.concatenate([parts[0], silence, parts[1], silence, parts[2]])
    silences = [len(parts[0]), len(parts[0]) + 16_000 + len(parts[1])]
    cuts = [piece.start for piece in cut_at_silences([whole], detector, 9.0)][1:]
    assert len(cuts) == 2
    assert all(start < cut < start + 16_000 for start, cut in zip(silences, cuts, strict=True))


def test_a_limit_too_short_for_pauses_is_refused(detector: SpeechDetector) -> None:
    with pytest.raises(ConfigError, match="at least 5"):
        next(cut_at_silences([noise(9.0)], detector, 2.0))


@settings(max_examples=100, deadline=None)
@given(data=st.data())
def test_spans_are_what_slicing_the_whole_gives(data: st.DataObject) -> None:
    lengths = data.draw(st.lists(st.integers(0, 50), max_size=6))
    whole = np.arange(sum(lengths), dtype=np.float32)
    ends = st.one_of(st.none(), st.integers(1, 40))
    drawn = data.draw(st.lists(st.tuples(st.integers(0, 300), ends), max_size=8))
    spans = sorted(((first, None if size is None else first + size) for first, size in drawn), key=lambda s: s[0])
    blocks = np.split(whole, np.cumsum(lengths)[:-1]) if lengths else []
    got = dict(slice_spans(blocks, spans))
    assert sorted(got) == list(range(len(spans)))
    for index, (first, end) in enumerate(spans):
        assert got[index].start == first
        np.testing.assert_array_equal(got[index].samples, whole[first:end])


def test_the_buffer_is_not_the_recording() -> None:
    """A thousand blocks with one span in each hold no more than a block: each span comes before the next block."""
    fed = []

    def blocks():
        for index in range(1000):
            fed.append(index)
            yield np.zeros(100, np.float32)

    spans = [(100 * index, 100 * index + 50) for index in range(1000)]
    for index, piece in slice_spans(blocks(), spans):
        assert len(fed) == index + 1
        assert piece.samples.base is None or piece.samples.base.nbytes <= 800
