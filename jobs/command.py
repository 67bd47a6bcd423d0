"""What every command shares: errors a user can act on instead of stack traces, and exit codes."""

import sys
from collections.abc import Callable

from pipeline.errors import RollcallError

BAD_INPUT = 2


def run_command(body: Callable[[], int]) -> int:
    """Run ``body`` and return its exit code; a RollcallError is printed on stderr and becomes exit code 2."""
    try:
        return body()
    except RollcallError as error:
        print(f"error: {error}", file=sys.stderr)
        return BAD_INPUT
    except KeyboardInterrupt:
        print("interrupted; the same command resumes where it stopped", file=sys.stderr)
        return 130
