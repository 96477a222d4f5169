"""The stream of a thread: all of its runs, one after another."""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator
from uuid import UUID

from tornado.web import authenticated

from lgnb.errors import InvalidRequest, ThreadNotFound
from lgnb.json_encoding import encode
from lgnb.models.streams import StreamEvent

from .. import sse
from .long_answers import LongAnswerHandler

_MODES = ("run_modes", "lifecycle", "state_update")
_PLACE = re.compile(r"-|(\d{1,16})(?:-(\d{1,19}|\*))?")
_LAST_NUMBER = 2**64 - 1


class ThreadStreamHandler(LongAnswerHandler):
    @authenticated
    async def get(self, thread_id: UUID) -> None:
        modes = [
            *(self.query_list("stream_modes", choices=_MODES) or ()),
            *(self.query_list("stream_mode", choices=_MODES) or ()),
        ]
        after = place_of(self.request.headers.get("Last-Event-ID", "").strip())
        if self.request.method == "HEAD":
            self.set_header("Content-Type", sse.HEADERS["Content-Type"])
            return
        streams = self.resources.thread_streams
        try:
            async with streams.following(thread_id, after=after, modes=modes or ["run_modes"]) as events:
                await self.send_endless(events)
        except ThreadNotFound as error:
            await self.send_endless(_only(error))


async def _only(error: ThreadNotFound) -> AsyncGenerator[StreamEvent]:
    """This stream is told what is wrong in an event: its status is 200 whatever the thread."""
    yield StreamEvent("error", encode({"error": type(error).__name__, "message": f"404: {error}"}))


def place_of(text: str) -> str | None:
    """Where a `Last-Event-ID` points to. One without a number means that nothing of its millisecond was seen."""
    if not text:
        return None
    match = _PLACE.fullmatch(text)
    if match is None:
        raise InvalidRequest("Last-Event-ID is -, a time in milliseconds, or the id of an event.")
    milliseconds, number = match[1], match[2]
    if not milliseconds or int(milliseconds) == 0:
        return "0"
    if number is None or number == "*":
        return f"{int(milliseconds) - 1}-{_LAST_NUMBER}"
    return f"{milliseconds}-{number}"
