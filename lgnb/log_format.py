"""How lines of logs look: for people, or as JSON with the run that they are about."""

from __future__ import annotations

import logging
import sys
from collections.abc import Mapping
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any, cast

import orjson

log_fields: ContextVar[Mapping[str, Any]] = ContextVar("log_fields", default={})  # noqa: B039  nobody can change it
"""What the work under way is about, such as run_id, thread_id and attempt. A task passes it on to those it starts."""

_LEVELS = logging.getLevelNamesMapping()


class JsonFormatter(logging.Formatter):
    """One object per line: time, level, logger, message, the fields, and the traceback where there is one."""

    def format(self, record: logging.LogRecord) -> str:
        told: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **log_fields.get(),
            **getattr(record, "fields", {}),
        }
        if record.exc_info:
            told["exception"] = self.formatException(record.exc_info)
        return orjson.dumps(told, default=str).decode()


def log_to_stderr(log_format: str) -> None:
    """Let everything that is logged in this process appear on stderr."""
    handler = logging.StreamHandler(sys.stderr)
    # Text goes into the host's log, which stamps lines with its own time.
    text = logging.Formatter("%(levelname).1s %(name)s: %(message)s")
    handler.setFormatter(JsonFormatter() if log_format == "json" else text)
    logging.basicConfig(level=logging.INFO, handlers=[handler])


def relay(line: str, *, to: logging.Logger, worker: int) -> bool:
    """Log what a worker logged as JSON again, as it was; False when the line is something else."""
    if not line.startswith('{"time":'):
        return False
    try:
        told = cast("dict[str, Any]", orjson.loads(line))
        level, message = _LEVELS[told.pop("level").upper()], told.pop("message")
    except (ValueError, KeyError):
        return False
    to.log(level, "%s", message, extra={"fields": {**told, "worker": worker}})
    return True
