"""Warnings about single rows, one JSON object per line on the worker's stderr, where Ray collects them.

They are in the session's ``logs/worker-*.err``, in the dashboard beside the actor, and wherever a cluster's log
shipper sends them. The same text stands in the row's ``error``.
"""

import json
import logging
import os
import sys
from datetime import UTC, datetime

import ray

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


def _logger() -> logging.Logger:
    logger = logging.getLogger(NAME)
    if not logger.handlers:
        handler = logging.StreamHandler(sys.stderr)
        handler.setFormatter(JsonLines())
        logger.addHandler(handler)
        logger.propagate = False  # Ray's own handlers would print it once more, as text
    return logger


def _node_id() -> str | None:
    return ray.get_runtime_context().get_node_id() if ray.is_initialized() else None
