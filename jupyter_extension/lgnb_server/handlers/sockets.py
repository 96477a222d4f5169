"""WebSockets: opened by the rules of every other request, served until either side has enough."""

from __future__ import annotations

import asyncio
from typing import Any

from tornado.web import HTTPError
from tornado.websocket import WebSocketClosedError, WebSocketHandler

from lgnb.errors import AccessDenied

from ..refusals import Refusal, refusal
from ..streaming import ClientGone, send_bounded
from .long_answers import LongAnswerHandler

INTERNAL_ERROR = 1011
GOING_AWAY = 1001
_MOST_WAITING = 64


class SocketHandler(LongAnswerHandler, WebSocketHandler):  # pyright: ignore[reportIncompatibleMethodOverride]  of check_origin
    """A subclass has `serve`, which gets the parameters of the path, and a decorated `get` that calls this one."""

    async def serve(self, *parameters: Any) -> None:
        """Take frames with `next_frame` and send some, then close the socket."""
        raise NotImplementedError

    @property
    def is_upgrade(self) -> bool:
        """Whether a socket is asked for at all."""
        return self.request.headers.get("Upgrade", "").lower() == "websocket"

    async def prepare(self) -> None:
        """Refuse as always, but tell a browser why: it cannot read the status of a refused upgrade."""
        try:
            await super().prepare()
        except (HTTPError, AccessDenied) as error:
            refused = refusal(error, status=500, request_id=self.request_id)
            if not (self.is_upgrade and "Origin" in self.request.headers) or refused.status not in (401, 403):
                raise
            self._refusal = refused
            await WebSocketHandler.get(self)

    async def open(self, *args: Any) -> None:
        """The socket is there: serve it until either side has enough."""
        refused: Refusal | None = getattr(self, "_refusal", None)
        if refused is not None:
            self.close(4000 + refused.status, refused.detail[:100])
            return
        self._frames: asyncio.Queue[str | bytes] = asyncio.Queue(_MOST_WAITING)
        self._serving = asyncio.ensure_future(self.serve(*args))

    async def on_message(self, message: str | bytes) -> None:
        # Tornado reads the next frame only when this returns, so a flood of frames waits in the client.
        await self._frames.put(message)

    def on_close(self) -> None:
        serving: asyncio.Future[None] | None = getattr(self, "_serving", None)
        if serving is not None:
            serving.cancel()

    async def next_frame(self) -> str | bytes:
        """What the client has sent next."""
        return await self._frames.get()

    async def send_frame(self, frame: bytes, *, binary: bool = False) -> None:
        """Raises ClientGone when the client has left or does not read."""

        async def write() -> None:
            await self.write_message(frame, binary=binary)

        try:
            await send_bounded(write, cut=lambda: self.close(GOING_AWAY))
        except WebSocketClosedError:
            raise ClientGone from None

    async def until_gone(self, *work: Any) -> None:
        """Do all of it until one part fails, the client leaves, or the server stops."""
        tasks = [asyncio.ensure_future(part) for part in (*work, self.gone.wait())]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
