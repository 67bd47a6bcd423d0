"""What the commands that publish runs share: the options of the gates, and what they say when a gate does not hold."""

import argparse

from pipeline.reprocess.gates import Gates
from pipeline.reprocess.publish import publish
from pipeline.runs.folder import RunFolder
from pipeline.runs.pointer import Pointer


def add_gates(parser: argparse.ArgumentParser) -> None:
    """Add one option per gate."""
    gates = parser.add_argument_group("gates, shares from 0 to 1")
    for option, about in (
        ("error-rate", "most rows with an error"),
        ("error-rise", "most of them beyond the published version's"),
        ("changed", "most rows whose text or entities differ from the published version"),
        ("other-words", "most words that changed outside of entities"),
    ):
        default = getattr(Gates, option.replace("-", "_"))
        gates.add_argument(
            f"--gate-{option}", type=float, metavar="X", default=default, help=f"{about} (default %(default)s)"
        )


def read_gates(arguments: argparse.Namespace) -> Gates:
    """Return the gates of a command line; raises ConfigError for what is no share."""
    return Gates(
        arguments.gate_error_rate, arguments.gate_error_rise, arguments.gate_changed, arguments.gate_other_words
    )


def publish_or_say(run: RunFolder, pointer: Pointer, gates: Gates) -> list[str]:
    """Publish ``run`` if the gates hold; else print and return what speaks against it. Raises InputError."""
    found = publish(run, pointer, gates)
    if found:
        print(f"not published, {pointer.location.uri} stays at {pointer.run or 'nothing'}: " + "; ".join(found) + ".")
    return found
