"""The connection of a kernel to its host: made again when it breaks, with the same lease as long as that lives.

It runs on a thread of its own together with the heartbeat, so that neither a busy cell nor a busy graph holds them up.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import time
from collections.abc import Callable, Mapping
from typing import Any
from uuid import UUID

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import InvalidStatus, WebSocketException

from ..client.discovery import Server
from ..errors import ConnectError, LeaseLost, NotReady
from ..models.live import Begun, KernelInfo, RunHeld
from ..models.runs import RunWatch
from ..wire import Disconnected, Method, Peer

logger = logging.getLogger(__name__)

_OPEN_SECONDS = 10.0
_SHORTEST_PAUSE = 0.1
_LONGEST_PAUSE = 5.0
_WATCH_SECONDS = 0.05


class Link:
    """Run `run` on the loop that everything else here is called on.

    Args:
        held: the runs in hand, told to the host when the connection is made again.
        on_begun: the host has answered; the kernel's graphs must be served (again) unless `resumed`.
        on_lost: the lease has ended: what is in hand belongs to others now.
        on_beat: what the host said of the kernel's graphs and runs.
    """

    def __init__(
        self,
        server: Server,
        *,
        kernel: KernelInfo,
        jobs: int,
        methods: Mapping[str, Method],
        held: Callable[[], list[RunHeld]],
        on_begun: Callable[[Begun], None],
        on_lost: Callable[[], None],
        on_beat: Callable[[list[str], list[RunWatch]], None],
    ) -> None:
        self.server = server
        self._kernel = kernel
        self._jobs = jobs
        self._methods = methods
        self._held = held
        self._on_begun = on_begun
        self._on_lost = on_lost
        self._on_beat = on_beat
        self._worker_id: UUID | None = None
        self._peer: Peer | None = None
        self._changed = asyncio.Condition()
        self._refusal: ConnectError | None = None
        self._stopped = False
        # When the lease was asked for last, by our own clock, and how long it lasts.
        self._renewed_at = 0.0
        self._lease_seconds = 0.0

    @property
    def is_connected(self) -> bool:
        return self._peer is not None

    async def ask(self, method: str, returns: Any = None, /, **params: Any) -> Any:
        """Ask the host; a question that a broken connection has left open is asked again when there is a new one.

        Raises:
            ConnectError: the host refuses this kernel.
            LgnbError: what the host answered.
        """
        while True:
            peer = await self._connected()
            with contextlib.suppress(Disconnected):
                return await peer.ask(method, returns, **params)
            await asyncio.sleep(0)

    async def run(self) -> None:
        """Keep the connection until `stop` was called or the host refuses."""
        watching = asyncio.create_task(self._watch_lease())
        try:
            await self._keep()
        finally:
            watching.cancel()

    async def _keep(self) -> None:
        pause = _SHORTEST_PAUSE
        while not self._stopped:
            try:
                await self._once()
                pause = _SHORTEST_PAUSE
            except InvalidStatus as error:
                if (status := error.response.status_code) in (401, 403, 404):
                    await self._set(None, refusal=_refused(status, self.server))
                    return
            except (OSError, TimeoutError, WebSocketException, NotReady, LeaseLost) as error:
                logger.debug("The connection to %s ended: %s", self.server.url, error)
            if not self._stopped:
                await asyncio.sleep(pause * random.uniform(0.5, 1.0))
                pause = min(2 * pause, _LONGEST_PAUSE)

    async def stop(self) -> None:
        """Ask nothing more, and connect no more."""
        self._stopped = True
        await self._set(None, refusal=ConnectError("This kernel no longer serves graphs."))

    async def _watch_lease(self) -> None:
        """Notice the end of the lease also while the host cannot be reached: its runs go on elsewhere then."""
        while True:
            await asyncio.sleep(_WATCH_SECONDS)
            if self._worker_id is not None and time.monotonic() - self._renewed_at > self._lease_seconds:
                self._worker_id = None
                self._on_lost()

    async def _once(self) -> None:
        """One connection, from its first question to its end."""
        headers = {"x-api-key": self.server.api_key} if self.server.api_key else {}
        async with connect(
            f"ws{self.server.url.removeprefix('http')}/live",
            additional_headers=headers,
            open_timeout=_OPEN_SECONDS,
            close_timeout=1,
            # The heartbeat tells more than a ping would; what is compressed already gains nothing.
            ping_interval=None,
            compression=None,
            max_size=None,
            proxy=None,
        ) as socket:
            peer = Peer(_sender(socket), self._methods)
            receiving = asyncio.create_task(_receive(socket, peer))
            beating = asyncio.create_task(self._serve(peer))
            try:
                done, _ = await asyncio.wait({receiving, beating}, return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    task.result()
            finally:
                peer.close()
                await self._set(None)
                for task in (receiving, beating):
                    task.cancel()
                await asyncio.gather(receiving, beating, return_exceptions=True)

    async def _serve(self, peer: Peer) -> None:
        had, asked_at = self._worker_id, time.monotonic()
        begun: Begun = await peer.ask(
            "begin", Begun, kernel=self._kernel, jobs=self._jobs, worker_id=had, held=self._held()
        )
        self._worker_id = begun.worker_id
        self._renewed_at, self._lease_seconds = asked_at, begun.lease_seconds
        if had is not None and not begun.resumed:
            self._on_lost()
        self._on_begun(begun)
        await self._set(peer)
        while True:
            await asyncio.sleep(begun.lease_seconds / 3)
            if self._worker_id != begun.worker_id:
                # It was given up here; no beat may keep it alive for runs that nobody executes.
                raise LeaseLost(begun.worker_id, 0)
            asked_at = time.monotonic()
            try:
                async with asyncio.timeout(begun.lease_seconds):
                    told = await peer.ask("beat")
                # From before the question, so that the lease never ends for the host before it ends here.
                self._renewed_at = asked_at
            except LeaseLost:
                self._worker_id = None
                self._on_lost()
                raise
            except NotReady as error:
                if isinstance(error, Disconnected):
                    raise
                # The host's database is away for a moment; the fences decide when it is back.
                continue
            self._on_beat(told["graph_ids"], [RunWatch(**_with_ids(row)) for row in told["runs"]])

    async def _connected(self) -> Peer:
        async with self._changed:
            await self._changed.wait_for(lambda: self._peer is not None or self._refusal is not None)
        if self._refusal is not None:
            raise ConnectError(str(self._refusal))
        assert self._peer is not None
        return self._peer

    async def _set(self, peer: Peer | None, *, refusal: ConnectError | None = None) -> None:
        self._peer = peer
        self._refusal = refusal or self._refusal
        async with self._changed:
            self._changed.notify_all()


def _sender(socket: ClientConnection) -> Callable[[bytes], Any]:
    async def send(frame: bytes) -> None:
        try:
            await socket.send(frame)
        except WebSocketException:
            raise Disconnected("The connection to the host has ended.") from None

    return send


async def _receive(socket: ClientConnection, peer: Peer) -> None:
    async for frame in socket:
        await peer.receive(frame if isinstance(frame, bytes) else frame.encode())
    raise Disconnected("The host has closed the connection.")


def _with_ids(row: dict[str, Any]) -> dict[str, Any]:
    return {**row, "run_id": UUID(row["run_id"])}


def _refused(status: int, server: Server) -> ConnectError:
    if status == 404:
        return ConnectError(f"The server at {server.url} does not know live graphs; it needs a newer lgnb.")
    return ConnectError(
        f"The server at {server.url} refuses this key ({status}); "
        "set LGNB_API_KEY or use lgnb.connect(url=…, api_key=…)."
    )
