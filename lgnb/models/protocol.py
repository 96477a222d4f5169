"""The thread protocol: its channels, one event on its way from a worker, and what a client subscribes to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import orjson

CHANNELS = ("values", "updates", "messages", "tools", "lifecycle", "input", "tasks", "checkpoints", "custom")

# The mark in a run's configurable by which its worker knows that the run was started through the protocol.
MARKER = "__event_streaming_v2"

# The name of an event that says what a reader does not get; it passes every filter.
GAP = "gap"

# What such a run is asked for.
RUN_MODES = ("values", "updates", "messages", "tools", "lifecycle", "custom", "tasks", "checkpoints")

RootStatus = Literal["completed", "failed", "interrupted"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ProtocolEvent:
    """One event without its number.

    Attributes:
        name: of a custom event that has one.
        event_id: where an id of its own matters; empty means the one of its place in the log.
        params: JSON of what the envelope carries.
    """

    method: str
    namespace: tuple[str, ...]
    params: bytes
    name: str = ""
    event_id: str = ""


@dataclass(frozen=True, slots=True)
class StoredEvent:
    """One event with its number, as the log of its thread keeps it. `params` is JSON."""

    seq: int
    event_id: str
    method: str
    namespace: tuple[str, ...]
    name: str
    params: bytes
    run_id: str

    @property
    def envelope(self) -> bytes:
        """The event as clients get it."""
        head = orjson.dumps({"type": "event", "event_id": self.event_id, "seq": self.seq, "method": self.method})
        return b"".join((head[:-1], b',"params":', self.params, b"}"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Subscription:
    """Which events of a thread a client wants. Namespaces are prefixes; `depth` is how many segments may follow."""

    channels: frozenset[str]
    namespaces: tuple[tuple[str, ...], ...] | None = None
    depth: int | None = None

    def wants(self, event: StoredEvent) -> bool:
        """Whether an event passes."""
        if not self._has_channel(event.method, event.name):
            return False
        if not self.namespaces:
            return True
        return any(self._within(event.namespace, prefix) for prefix in self.namespaces)

    def _has_channel(self, method: str, name: str) -> bool:
        if method == GAP:
            return True
        if method == "input.requested":
            return "input" in self.channels
        return method in self.channels or (method == "custom" and bool(name) and f"custom:{name}" in self.channels)

    def _within(self, namespace: Sequence[str], prefix: Sequence[str]) -> bool:
        if len(prefix) > len(namespace):
            return False
        if self.depth is not None and len(namespace) - len(prefix) > self.depth:
            return False
        return all(_matches(segment, wanted) for segment, wanted in zip(namespace, prefix, strict=False))


def is_channel(text: object) -> bool:
    """Whether a client may subscribe to this."""
    return isinstance(text, str) and (text in CHANNELS or (text.startswith("custom:") and len(text) > 7))


def root_lifecycle(run_id: object, status: str, *, graph_id: str, timestamp_ms: int, error: str = "") -> ProtocolEvent:
    """The event that a run began or ended. Its id is the same whoever writes it, so clients see it once."""
    data: dict[str, Any] = {"event": status}
    if graph_id:
        data["graph_name"] = graph_id
    if error:
        data["error"] = error
    return ProtocolEvent(
        method="lifecycle",
        namespace=(),
        params=orjson.dumps({"namespace": [], "timestamp": timestamp_ms, "data": data}),
        event_id=f"synth:{run_id}:lc||{status}",
    )


def input_requested(
    run_id: object, namespace: tuple[str, ...], interrupt_id: str, value: Any, *, timestamp_ms: int
) -> ProtocolEvent:
    """The event that a run asks a person; `value` is plain JSON."""
    # The protocol says payload, one of its clients reads value.
    data = {"interrupt_id": interrupt_id, "payload": value, "value": value}
    return ProtocolEvent(
        method="input.requested",
        namespace=namespace,
        params=orjson.dumps({"namespace": namespace, "timestamp": timestamp_ms, "data": data}),
        event_id=f"synth:{run_id}:input|{'|'.join(namespace)}|{interrupt_id}",
    )


def _matches(segment: str, wanted: str) -> bool:
    # A prefix that names only the node means every execution of it.
    return segment == wanted or (":" not in wanted and segment.split(":", 1)[0] == wanted)
