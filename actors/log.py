"""Warnings about single rows, one JSON object per line on the worker's stderr. Needs no Ray.

Ray collects them: they are in the session's ``logs/worker-*.err``, in the dashboard beside the actor, and wherever a
cluster's log shipper sends them. The same text stands in the row's ``error``.
"""

import json
import logging
import os
import sys
from datetime import UTC, datetime

NAME = "rollcall.rows"


class JsonLines(logging.Formatter):
    """A record as one JSON object; its ``fields`` beside time, level and message."""

    def format(self, record: logging.LogRecord) -> str:
        time = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        content = {"time": time, "level": record.levelname, "logger": record.name, "message": record.getMessage()}
        return json.dumps(content | getattr(record, "fields", {}), ensure_ascii=False)


def log_row(stage: str, utterance_id: str, error: str) -> None:
    """Warn that a stage could not process a row."""
    fields = {"stage": stage, "utterance_id": utterance_id, "pid": os.getpid(), "node_id": _node_id()}
    _logger().warning(error, extra={"fields": fields})


class _Stderr(logging.Handler):
    """Writes to whatever stderr is at the moment."""

    def emit(self, record: logging.LogRecord) -> None:
        sys.stderr.write(self.format(record) + "\n")
        sys.stderr.flush()


def _logger() -> logging.Logger:
    logger = logging.getLogger(NAME)
    if not logger.handlers:
        handler = _Stderr()
        handler.setFormatter(JsonLines())
        logger.addHandler(handler)
        logger.propagate = False  # Ray's own handlers would print it once more, as text
    return logger


def _node_id() -> str | None:
    """Return Ray's id of this node, None outside of Ray, which is not imported to find that out."""
    ray = sys.modules.get("ray")
    return ray.get_runtime_context().get_node_id() if ray is not None and ray.is_initialized() else None
