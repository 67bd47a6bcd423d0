"""What a worker raised, as it was: one line, without Ray's traceback and its colours.

Ray raises an error that is both its own and of the class of its cause, and whose text is the traceback of the worker.
In the batches of a plan it keeps the text alone. So the cause is asked for first, then the text.
"""

import re

from pipeline import errors
from pipeline.errors import RollcallError

_COLOURS = re.compile(r"\x1b\[[0-9;]*m")
_RAISED = re.compile(r"^pipeline\.errors\.(\w+): (.+)$", re.MULTILINE)


def raised_on_worker(error: BaseException) -> RollcallError | None:
    """Return the RollcallError that ``error`` is, or that it comes from; None if there is none."""
    at: BaseException | None = error
    while at is not None:
        cause = getattr(at, "cause", None)  # of RayTaskError and those like it
        if isinstance(at, RollcallError) and not isinstance(cause, BaseException):
            return at
        at = cause if isinstance(cause, BaseException) else at.__cause__
    return _from_text(str(error))


def _from_text(text: str) -> RollcallError | None:
    raised = _RAISED.findall(without_colours(text))
    if not raised:
        return None
    name, message = raised[-1]  # the one that others were turned into
    kind = getattr(errors, name, None)
    return kind(message.strip()) if isinstance(kind, type) and issubclass(kind, RollcallError) else None


def without_colours(text: str) -> str:
    """Return ``text`` without the escapes that colour it on a terminal."""
    return _COLOURS.sub("", text)
