"""Answers that stay open: writing to a client that may leave, read slowly, or be cut off."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Awaitable
from contextlib import AbstractContextManager
from typing import cast

from tornado.http1connection import HTTP1Connection
from tornado.iostream import IOStream

from lgnb.errors import LgnbError
from lgnb.models.streams import StreamEvent

from .. import sse
from ..streaming import ClientGone, one_by_one, relay_events, send_bounded
from .base import LgnbHandler

logger = logging.getLogger(__name__)


class LongAnswerHandler(LgnbHandler):
    """What handlers of streams and waits share."""

    def long_answer(self) -> AbstractContextManager[None]:
        """Count this answer among the open ones, from before anything is done for it.

        Raises:
            LimitReached: the caller, or the server, has as many open as may be.
        """
        return self.host.streams.opened(self.gone, caller=self.caller)

    async def send(self, chunk: bytes) -> None:
        """Write and flush; raises ClientGone when the client has left or does not read."""
        if self.gone.is_set():
            raise ClientGone

        def write() -> Awaitable[None]:
            if chunk:
                self.write(chunk)  # pyright: ignore[reportUnknownMemberType]
            return self.flush()

        await send_bounded(write, cut=self.drop_connection)

    async def send_endless(self, events: AsyncIterator[StreamEvent]) -> None:
        """Answer with events until the client has gone or the server stops."""
        with self.long_answer():
            await self._send_endless(events)

    async def _send_endless(self, events: AsyncIterator[StreamEvent]) -> None:
        for name, value in sse.HEADERS.items():
            self.set_header(name, value)
        self.send_at_once()
        try:
            await relay_events(
                one_by_one(events),
                send=self.send,
                gone=self.gone,
                heartbeat_seconds=self.host.settings.heartbeat_seconds,
            )
        except ClientGone:
            self.drop_connection()
        except LgnbError as error:
            # Its status went out already; a broken connection makes the client come back and resume.
            logger.warning("A stream of %s was cut: %s", self.request.path, error)
            self.drop_connection()
        else:
            self.finish(set_content_type=sse.HEADERS["Content-Type"])

    def drop_connection(self) -> None:
        """End the connection without ending the answer, so that a client sees it broken and not complete."""
        self._auto_finish = False
        if self._stream is not None:
            self._stream.close()

    def send_at_once(self) -> None:
        """Let small frames go out one by one."""
        # On a reused connection, the second frame would wait 40 ms for the acknowledgement of the first.
        if self._stream is not None:
            self._stream.set_nodelay(True)

    @property
    def _stream(self) -> IOStream | None:
        # Tornado forgets the stream of a connection once it is gone.
        return cast(HTTP1Connection, self.request.connection).stream
