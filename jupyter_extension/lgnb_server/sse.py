"""Frames of an event stream, as pure functions."""

from __future__ import annotations

import re

from lgnb.models.streams import StreamEvent

HEADERS = {
    "Content-Type": "text/event-stream; charset=utf-8",
    "Cache-Control": "no-store",
    "Connection": "keep-alive",
    # Asks proxies in front of Jupyter not to hold the stream back.
    "X-Accel-Buffering": "no",
}

HEARTBEAT = b": heartbeat\r\n\r\n"

_LINE_BREAKS = re.compile(r"[\r\n\0\u2028\u2029]+")
_DATA_BREAKS = re.compile(rb"[\r\n]+")


def frame(event: StreamEvent) -> bytes:
    """One event. Line breaks in a name, an id or the data cannot start another field."""
    parts = [b"event: ", _one_line(event.event), b"\r\ndata: ", _DATA_BREAKS.sub(b" ", event.data), b"\r\n"]
    if event.id is not None:
        parts += [b"id: ", _one_line(event.id), b"\r\n"]
    return b"".join((*parts, b"\r\n"))


def _one_line(text: str) -> bytes:
    return _LINE_BREAKS.sub(" ", text).encode()
