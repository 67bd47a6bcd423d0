from collections.abc import Sequence

import pytest

from pipeline.entities.unmatched import Unmatched, check_unmatched, find_unmatched
from pipeline.errors import InputError

AUDIO = ("medical-000", "medical-001", "parliament-000", "parliament-001", "Talk.WAV")


def found(*listed: str) -> Unmatched:
    def known(ids: Sequence[str]) -> list[bool]:
        return [one in AUDIO for one in ids]

    return find_unmatched(listed, known)


def test_ids_with_an_ending_or_a_folder_are_offered_their_match() -> None:
    some = found("parliament-000", "medical-000.wav", "wav/medical-001.flac", "Parliament-001", "nobody")
    assert some.ids == ("medical-000.wav", "wav/medical-001.flac", "Parliament-001", "nobody")
    assert dict(some.meant) == {
        "medical-000.wav": "medical-000",
        "wav/medical-001.flac": "medical-001",
        "Parliament-001": "parliament-001",
    }
    assert str(some).startswith("4 of 5 lists name no utterance of the audio: 'medical-000.wav', ")
    assert "the audio has 'medical-000' for 'medical-000.wav'" in str(some)
    assert some.facts()["count"] == 4


def test_above_the_share_it_is_an_error_while_utterances_lack_a_list() -> None:
    some = found("parliament-000", "medical-000.wav", "parliament-001.wav", "medical-001.wav")
    with pytest.raises(InputError, match=r"l\.tsv: 3 of 4 lists.*3 utterances have no list.*--max-unmatched-lists"):
        check_unmatched(some, 3, "l.tsv", 0.1)
    check_unmatched(some, 3, "l.tsv", 0.75)
    check_unmatched(some, 0, "l.tsv", 0.1)  # the lists of a larger corpus


def test_lists_that_all_miss_are_an_error_whatever_is_allowed() -> None:
    with pytest.raises(InputError, match="none of its 1 utterance ids is in the audio"):
        check_unmatched(found("medical-000.wav"), 0, "l.tsv", 1.0)
    check_unmatched(Unmatched(0), 5, "l.tsv", 0.0)
