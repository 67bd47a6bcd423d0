"""What an ingest has to say about its rows, beside their errors."""

from collections.abc import Iterator, Mapping
from typing import Any


def remarks(summary: Mapping[str, Any]) -> Iterator[str]:
    """Yield a line for each thing in an ingest's summary that the user may not expect."""
    if summary["quiet_mixes"]:
        yield (
            f"warning: in {summary['quiet_mixes']} files the mix of the channels is more than 12 dB quieter than "
            "one of them, as they cancel each other; --channels left, right or split takes them apart"
        )
    if summary["texts_left_out"]:
        yield (
            f"note: the text of {summary['texts_left_out']} cut recordings was left out; "
            "--max-seconds of ingest keeps them whole"
        )
