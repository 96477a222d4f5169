"""Frames of an event stream, as pure functions."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from lgnb.models.streams import StreamEvent

HEADERS = {
    "Content-Type": "text/event-stream; charset=utf-8",
    "Cache-Control": "no-store",
    "Connection": "keep-alive",
    # Asks proxies in front of Jupyter not to hold the stream back.
    "X-Accel-Buffering": "no",
}

# Larger answers are written piece by piece, so that a slow reader costs no more memory than one of them.
_CHUNK_BYTES = 64 * 1024

HEARTBEAT = b": heartbeat\r\n\r\n"

_LINE_BREAKS = re.compile(r"[\r\n\0\u2028\u2029]+")
_DATA_BREAKS = re.compile(rb"[\r\n]+")


def frame(event: StreamEvent) -> bytes:
    """One event. Line breaks in a name, an id or the data cannot start another field."""
    parts = [b"event: ", _one_line(event.event), b"\r\ndata: ", _DATA_BREAKS.sub(b" ", event.data), b"\r\n"]
    if event.id is not None:
        parts += [b"id: ", _one_line(event.id), b"\r\n"]
    return b"".join((*parts, b"\r\n"))


def chunks(events: Sequence[StreamEvent]) -> Iterator[bytes]:
    """The frames of several events, put together for as few writes as their size allows."""
    frames: list[bytes] = []
    size = 0
    for event in events:
        frames.append(frame(event))
        size += len(frames[-1])
        if size >= _CHUNK_BYTES:
            yield b"".join(frames)
            frames, size = [], 0
    if frames:
        yield b"".join(frames)


def _one_line(text: str) -> bytes:
    return _LINE_BREAKS.sub(" ", text).encode()
