"""The thread protocol: commands, and a thread's events over SSE and WebSocket."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from typing import Any
from uuid import UUID

import orjson
from tornado.web import HTTPError, authenticated
from tornado.websocket import WebSocketClosedError, WebSocketHandler

from lgnb.errors import CommandRefused, InvalidRequest, InvalidState, LgnbError
from lgnb.json_encoding import encode
from lgnb.models.protocol import Subscription
from lgnb.models.streams import StreamEvent
from lgnb.resources.thread_protocol import Lost, ThreadReader

from .. import parsing
from ..protocol_commands import CommandRunner, MalformedCommand, failure, read_command, read_subscription
from ..protocol_session import ProtocolSession, gap_frame
from ..streaming import ClientGone, send_bounded
from .base import LgnbHandler
from .long_answers import LongAnswerHandler, logger

_INTERNAL_ERROR = 1011
_GOING_AWAY = 1001
_MOST_WAITING = 64


class ThreadCommandsHandler(LgnbHandler):
    @authenticated
    async def post(self, thread_id: UUID) -> None:
        value = _json(self.request.body)
        try:
            command = read_command(value)
        except MalformedCommand as error:
            self.answer(error.answer, status=400)
            return
        runner = CommandRunner(
            self.resources,
            thread_id,
            request_id=self.request_id,
            headers=self.configurables(),
        )
        self.answer(await runner.answer(command))


class ThreadEventsHandler(LongAnswerHandler, WebSocketHandler):  # pyright: ignore[reportIncompatibleMethodOverride]  of check_origin
    """One path: POST answers with events, a WebSocket carries events and commands."""

    @authenticated
    async def post(self, thread_id: UUID) -> None:
        value = _json(self.request.body)
        try:
            subscription, since = read_subscription(value if isinstance(value, dict) else {})
        except CommandRefused as error:
            raise InvalidState(str(error)) from None
        protocol = self.resources.thread_protocol
        lost = await protocol.lost(thread_id, since=since)
        async with protocol.watching(thread_id) as reader:
            await self.send_endless(_frames(reader, subscription, since=since, lost=lost))

    # The WebSocket

    async def prepare(self) -> None:
        """Refuse as always, but tell a browser why: it cannot read the status of a refused upgrade."""
        try:
            await super().prepare()
        except HTTPError as error:
            if not self._is_browser_socket() or error.status_code not in (401, 403):
                raise
            self._refusal = error
            await WebSocketHandler.get(self)

    @authenticated
    async def get(self, thread_id: UUID) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]  by the decorator
        if self.request.headers.get("Upgrade", "").lower() != "websocket":
            raise InvalidState("Open a WebSocket here, or POST a subscription to follow the thread.")
        await super().get(thread_id)

    async def open(self, *args: Any) -> None:
        """The socket is there: serve it until either side has enough."""
        refusal: HTTPError | None = getattr(self, "_refusal", None)
        if refusal is not None:
            self.close(4000 + refusal.status_code, (refusal.log_message or "")[:100])
            return
        (thread_id,) = args
        self._commands: asyncio.Queue[str | bytes] = asyncio.Queue(_MOST_WAITING)
        self._serving = asyncio.ensure_future(self._serve(thread_id))

    async def on_message(self, message: str | bytes) -> None:
        # Tornado reads the next frame only when this returns, so a flood of commands waits in the client.
        await self._commands.put(message)

    def on_close(self) -> None:
        serving: asyncio.Future[None] | None = getattr(self, "_serving", None)
        if serving is not None:
            serving.cancel()

    async def _serve(self, thread_id: UUID) -> None:
        code = _GOING_AWAY
        try:
            with self.host.streams.opened(self.gone):
                protocol = self.resources.thread_protocol
                async with protocol.watching(thread_id) as reader:
                    session = ProtocolSession(protocol, reader, send=self._send_frame)
                    await session.begin()
                    await self._until_gone(session.run(), self._answer_commands(thread_id, session))
        except ClientGone:
            pass
        except LgnbError as error:
            code = _INTERNAL_ERROR
            logger.warning("The socket of thread %s was closed: %s", thread_id, error)
            await self._say_last(failure(None, "unknown_error", str(error)))
        except Exception:  # noqa: BLE001  a socket must not end without a word
            code = _INTERNAL_ERROR
            logger.exception("The socket of thread %s failed.", thread_id)
        self.close(code)

    async def _until_gone(self, *work: Any) -> None:
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

    async def _answer_commands(self, thread_id: UUID, session: ProtocolSession) -> None:
        runner = CommandRunner(
            self.resources,
            thread_id,
            request_id=self.request_id,
            headers=self.configurables(),
        )
        while True:
            frame = await self._commands.get()
            try:
                answer = await runner.answer(read_command(_json(frame)), session)
            except MalformedCommand as error:
                answer = error.answer
            except InvalidState as error:
                answer = failure(None, "invalid_argument", str(error))
            await self._send_frame(encode(answer))

    async def _send_frame(self, frame: bytes) -> None:
        async def write() -> None:
            await self.write_message(frame)

        try:
            await send_bounded(write, cut=lambda: self.close(_GOING_AWAY))
        except WebSocketClosedError:
            raise ClientGone from None

    async def _say_last(self, answer: dict[str, Any]) -> None:
        try:
            await self._send_frame(orjson.dumps(answer))
        except ClientGone:
            pass

    def _is_browser_socket(self) -> bool:
        headers = self.request.headers
        return headers.get("Upgrade", "").lower() == "websocket" and "Origin" in headers


async def _frames(
    reader: ThreadReader, subscription: Subscription, *, since: int, lost: Lost | None
) -> AsyncGenerator[StreamEvent]:
    if lost is not None:
        yield StreamEvent("error", gap_frame(lost))
    async for event in reader.follow(after=lost.after if lost else since):
        if subscription.wants(event):
            yield StreamEvent(event.method, event.envelope, str(event.seq))


def _json(body: str | bytes) -> Any:
    try:
        return parsing.read_json(body.encode() if isinstance(body, str) else body)
    except InvalidRequest as error:
        raise InvalidState(str(error)) from None
