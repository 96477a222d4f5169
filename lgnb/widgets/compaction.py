"""Events of a run made small for the way through the kernel, whose front ends drop messages when too many come.

Nothing that a view shows is lost: adjacent tokens of one message become one, and their metadata keeps what is read.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

Event = dict[str, Any]

_READ_METADATA = ("langgraph_node",)


def compacted(events: Iterable[Event]) -> list[Event]:
    """The same story in fewer and smaller events."""
    result: list[Event] = []
    for event in events:
        small = _without_metadata(event)
        if result and _continues(result[-1], small):
            result[-1] = _joined(result[-1], small)
        else:
            result.append(small)
    return result


def _without_metadata(event: Event) -> Event:
    match event:
        case {"event": str(name), "data": [dict(message), dict(metadata)]} if name.partition("|")[0] == "messages":
            kept = {key: metadata[key] for key in _READ_METADATA if key in metadata}
            return {**event, "data": [message, kept]}
        case _:
            return event


def _continues(before: Event, after: Event) -> bool:
    first, second = _token(before), _token(after)
    return (
        first is not None
        and second is not None
        and before["event"] == after["event"]
        and first.get("id") == second.get("id")
        and first.get("chunk_position") != "last"
    )


def _token(event: Event) -> dict[str, Any] | None:
    """The message of an event that carries a piece of text and nothing else."""
    match event:
        case {"event": str(name), "data": [{"type": "AIMessageChunk", "content": str()} as message, _]}:
            is_plain = name.partition("|")[0] == "messages" and not message.get("tool_call_chunks")
            return message if is_plain else None
        case _:
            return None


def _joined(before: Event, after: Event) -> Event:
    first, metadata = before["data"]
    second, _ = after["data"]
    return {**after, "data": [{**second, "content": first["content"] + second["content"]}, metadata]}
