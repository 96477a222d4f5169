"""The thread protocol: commands, and a thread's events over SSE and WebSocket."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Any
from uuid import UUID

import orjson
from tornado.web import authenticated

from lgnb.errors import AccessDenied, CommandRefused, InvalidRequest, InvalidState, LgnbError, ThreadNotFound
from lgnb.json_encoding import encode
from lgnb.models.protocol import Subscription
from lgnb.models.streams import StreamEvent
from lgnb.resources.thread_protocol import Lost, ThreadReader

from .. import parsing, sse
from ..protocol_commands import CommandRunner, MalformedCommand, failure, read_command, read_subscription
from ..protocol_session import ProtocolSession, gap_frame
from ..refusals import refusal
from ..streaming import ClientGone
from .base import LgnbHandler
from .long_answers import logger
from .sockets import GOING_AWAY, INTERNAL_ERROR, SocketHandler


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


class ThreadEventsHandler(SocketHandler):
    """One path: POST answers with events, a WebSocket carries events and commands."""

    @authenticated
    async def post(self, thread_id: UUID) -> None:
        value = _json(self.request.body)
        try:
            subscription, since = read_subscription(value if isinstance(value, dict) else {})
        except CommandRefused as error:
            raise InvalidState(str(error)) from None
        protocol = self.resources.thread_protocol
        try:
            async with protocol.watching(thread_id) as reader:
                lost = await protocol.lost(thread_id, since=since)
                await self.send_endless(_frames(reader, subscription, since=since, lost=lost))
        except ThreadNotFound:
            # Clients of this protocol expect a stream that ends, not a status.
            self.finish(set_content_type=sse.HEADERS["Content-Type"])

    # The WebSocket

    @authenticated
    async def get(self, thread_id: UUID) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]  by the decorator
        if not self.is_upgrade:
            raise InvalidState("Open a WebSocket here, or POST a subscription to follow the thread.")
        with self.long_answer():
            # Returns when the socket is closed.
            await super().get(thread_id)

    async def serve(self, *parameters: Any) -> None:
        thread_id: UUID = parameters[0]
        code = GOING_AWAY
        try:
            with self.long_answer():
                protocol = self.resources.thread_protocol
                async with protocol.watching(thread_id) as reader:
                    session = ProtocolSession(protocol, reader, send=self.send_frame)
                    await session.begin()
                    await self.until_gone(session.run(), self._answer_commands(thread_id, session))
        except ClientGone:
            pass
        except (ThreadNotFound, AccessDenied) as error:
            refused = refusal(error, status=500, request_id=self.request_id)
            code = 4000 + refused.status
            await self._say_last(failure(None, "unknown_error", f"{refused.status}: {refused.detail}"))
        except LgnbError as error:
            code = INTERNAL_ERROR
            logger.warning("The socket of thread %s was closed: %s", thread_id, error)
            await self._say_last(failure(None, "unknown_error", str(error)))
        except Exception:  # noqa: BLE001  a socket must not end without a word
            code = INTERNAL_ERROR
            logger.exception("The socket of thread %s failed.", thread_id)
        self.close(code)

    async def _answer_commands(self, thread_id: UUID, session: ProtocolSession) -> None:
        runner = CommandRunner(
            self.resources,
            thread_id,
            request_id=self.request_id,
            headers=self.configurables(),
        )
        while True:
            frame = await self.next_frame()
            try:
                answer = await runner.answer(read_command(_json(frame)), session)
            except MalformedCommand as error:
                answer = error.answer
            except InvalidState as error:
                answer = failure(None, "invalid_argument", str(error))
            await self.send_frame(encode(answer))

    async def _say_last(self, answer: dict[str, Any]) -> None:
        try:
            await self.send_frame(orjson.dumps(answer))
        except ClientGone:
            pass


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
