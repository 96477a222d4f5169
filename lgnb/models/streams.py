"""One event of a run's stream, on its way from the worker to a client."""

from __future__ import annotations

from dataclasses import dataclass

RUN_STREAM_MODES = (
    "values",
    "messages",
    "messages-tuple",
    "updates",
    "events",
    "debug",
    "tasks",
    "checkpoints",
    "custom",
)


@dataclass(frozen=True, slots=True)
class StreamEvent:
    """`event` is the name a client sees, `data` its JSON, `id` its place in the run's log (`<ms>-<n>`) or None."""

    event: str
    data: bytes
    id: str | None = None
