"""Live graphs: the socket over which a kernel serves them, and the list of them."""

from __future__ import annotations

from typing import Any

from tornado.web import authenticated

from lgnb.errors import InvalidState, LgnbError
from lgnb.resources.kernel_session import KernelSession
from lgnb.wire import Disconnected

from ..streaming import ClientGone
from .base import LgnbHandler
from .long_answers import logger
from .sockets import GOING_AWAY, INTERNAL_ERROR, SocketHandler

_PROTOCOL_ERROR = 1002


# A kernel sees the runs of everybody who uses its graph.
_APART = "Graphs of notebooks are served only where one person uses the server."


class LiveGraphsHandler(LgnbHandler):
    @authenticated
    async def get(self) -> None:
        self.refuse_where_callers_are_kept_apart(_APART)
        self.answer(await self.resources.kernel_workers.graphs())


class KernelHandler(SocketHandler):
    """A kernel that executes runs of its own graphs."""

    @property
    def max_message_size(self) -> int:
        return self.host.settings.max_body_bytes

    @authenticated
    async def get(self) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]  by the decorator
        if not self.is_upgrade:
            raise InvalidState("Open a WebSocket here; %lg serve in a notebook does.")
        self.refuse_where_callers_are_kept_apart(_APART)
        with self.long_answer():
            # Returns when the socket is closed.
            await super().get()

    async def serve(self, *parameters: Any) -> None:
        """Speak `lgnb.wire` until the kernel leaves or the server stops."""

        async def send(frame: bytes) -> None:
            try:
                await self.send_frame(frame, binary=True)
            except ClientGone:
                raise Disconnected("The kernel has left.") from None

        code = GOING_AWAY
        session = KernelSession(self.resources, settings=self.host.settings, send=send)
        try:
            with self.long_answer():
                await self.until_gone(session.run(), self._receive(session))
        except LgnbError as error:
            code = _PROTOCOL_ERROR
            logger.warning("The socket of a kernel was closed: %s", error)
        except Exception:  # noqa: BLE001  a socket must not end without a word
            code = INTERNAL_ERROR
            logger.exception("The socket of a kernel failed.")
        finally:
            session.close()
        self.close(code)

    async def _receive(self, session: KernelSession) -> None:
        while True:
            frame = await self.next_frame()
            await session.receive(frame if isinstance(frame, bytes) else frame.encode())
