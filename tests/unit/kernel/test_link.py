"""The link against a host of a few lines, which breaks connections and forgets leases on purpose."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any
from uuid import UUID, uuid4

import pytest
from websockets.asyncio.server import Server as SocketServer
from websockets.asyncio.server import ServerConnection, serve
from websockets.http11 import Request, Response

from lgnb.client.discovery import Server
from lgnb.errors import ConnectError, LeaseLost, NotFound
from lgnb.kernel.link import Link
from lgnb.models.live import Begun, KernelInfo, RunHeld
from lgnb.models.runs import RunWatch
from lgnb.wire import Peer

_KERNEL = KernelInfo(kernel_id="k", host_name="h", pid=1)


class Host:
    """Answers like a host; `sockets` are its open connections."""

    def __init__(self) -> None:
        self.sockets: list[ServerConnection] = []
        self.begun: list[UUID | None] = []
        self.leases: set[UUID] = set()
        self.beats = 0
        self.asked: list[str] = []
        self.held: list[RunHeld] = []
        self.deaf_to = 0

    async def connected(self, socket: ServerConnection) -> None:
        self.sockets.append(socket)
        methods = {"begin": self.begin, "beat": self.beat, "echo": self.echo, "refuse": self.refuse}
        peer = Peer(socket.send, methods)
        async for frame in socket:
            assert isinstance(frame, bytes)
            await peer.receive(frame)
        peer.close()

    async def begin(self, *, kernel: KernelInfo, jobs: int, worker_id: UUID | None, held: list[RunHeld]) -> Begun:
        assert kernel == _KERNEL
        self.begun.append(worker_id)
        resumed = worker_id in self.leases
        new = worker_id if worker_id and resumed else uuid4()
        self.leases.add(new)
        self.held = held
        return Begun(
            worker_id=new,
            lease_seconds=0.3,
            run_timeout_seconds=60,
            resumed=resumed,
            held=held if resumed else [],
            default_ttl_minutes=None,
            refresh_on_read=True,
        )

    async def beat(self) -> dict[str, Any]:
        self.beats += 1
        if not self.leases:
            raise LeaseLost("worker", 0)
        return {"graph_ids": ["g"], "runs": [RunWatch(**_ROW)]}

    async def echo(self, *, text: str) -> str:
        self.asked.append(text)
        if self.deaf_to > 0:
            self.deaf_to -= 1
            await self.sockets[-1].close()
        return text

    async def refuse(self) -> None:
        raise NotFound("nothing of that name")


_ROW: Any = {"run_id": uuid4(), "attempt": 1, "status": "running", "cancel_action": "interrupt", "cancel_reason": "x"}


@pytest.fixture
async def host() -> AsyncIterator[tuple[Host, str]]:
    host = Host()
    async with serve(host.connected, "127.0.0.1", 0) as server:
        yield host, _address(server)


def _address(server: SocketServer) -> str:
    return f"http://127.0.0.1:{next(iter(server.sockets)).getsockname()[1]}/lgnb"


class Kernel:
    """What the link tells."""

    def __init__(self, url: str, *, held: list[RunHeld] | None = None) -> None:
        self.told: list[Any] = []
        self.link = Link(
            Server(url=url, api_key="secret", found_by="a test"),
            kernel=_KERNEL,
            jobs=1,
            methods={},
            held=lambda: held or [],
            on_begun=lambda begun: self.told.append(("begun", begun.resumed)),
            on_lost=lambda: self.told.append("lost"),
            on_beat=lambda graph_ids, runs: self.told.append((graph_ids, runs)),
        )
        self.running = asyncio.create_task(self.link.run())

    async def close(self) -> None:
        await self.link.stop()
        self.running.cancel()
        await asyncio.gather(self.running, return_exceptions=True)


@pytest.fixture
async def kernel(host: tuple[Host, str]) -> AsyncIterator[Kernel]:
    kernel = Kernel(host[1], held=[RunHeld(run_id=_ROW["run_id"], attempt=1)])
    yield kernel
    await kernel.close()


async def _until(what: Callable[[], Any]) -> None:
    async with asyncio.timeout(10):
        while not what():
            await asyncio.sleep(0.01)


async def test_questions_are_answered_and_errors_keep_their_kind(host: tuple[Host, str], kernel: Kernel) -> None:
    assert await kernel.link.ask("echo", text="a") == "a"
    with pytest.raises(NotFound, match="nothing of that name"):
        await kernel.link.ask("refuse")


async def test_a_broken_connection_is_made_again_with_the_same_lease(host: tuple[Host, str], kernel: Kernel) -> None:
    await kernel.link.ask("echo", text="a")

    await host[0].sockets[-1].close()
    await kernel.link.ask("echo", text="b")

    assert kernel.told[0] == ("begun", False)
    assert ("begun", True) in kernel.told
    assert "lost" not in kernel.told
    assert host[0].begun[1] in host[0].leases
    assert host[0].held == [RunHeld(run_id=_ROW["run_id"], attempt=1)]


async def test_a_question_that_was_left_open_is_asked_again(host: tuple[Host, str], kernel: Kernel) -> None:
    host[0].deaf_to = 2

    assert await kernel.link.ask("echo", text="a") == "a"
    assert host[0].asked == ["a", "a", "a"]


async def test_a_lease_that_ended_meanwhile_is_lost_and_a_new_one_begins(
    host: tuple[Host, str], kernel: Kernel
) -> None:
    await kernel.link.ask("echo", text="a")

    host[0].leases.clear()

    await _until(lambda: kernel.told.count(("begun", False)) == 2)
    assert "lost" in kernel.told


async def test_what_is_in_hand_is_lost_while_the_host_cannot_be_reached() -> None:
    """A kernel that is cut off stops by its own clock, before the host gives its runs to others."""
    host = Host()
    async with serve(host.connected, "127.0.0.1", 0) as server:
        kernel = Kernel(_address(server))
        await kernel.link.ask("echo", text="a")
    await _until(lambda: "lost" in kernel.told)

    assert not kernel.link.is_connected
    await kernel.close()


async def test_beats_tell_of_graphs_and_runs(host: tuple[Host, str], kernel: Kernel) -> None:
    await _until(lambda: host[0].beats >= 3)

    assert (["g"], [RunWatch(**_ROW)]) in kernel.told


async def test_a_host_that_refuses_the_key_ends_the_tries() -> None:
    def refuse(connection: ServerConnection, request: Request) -> Response:
        assert request.headers["x-api-key"] == "secret"
        return connection.respond(401, "no\n")

    async def never(socket: ServerConnection) -> None:
        raise AssertionError(socket)

    async with serve(never, "127.0.0.1", 0, process_request=refuse) as server:
        kernel = Kernel(_address(server))
        with pytest.raises(ConnectError, match=r"refuses this key \(401\)"):
            await kernel.link.ask("echo", text="a")
        await kernel.close()


async def test_a_stopped_link_asks_nothing_more(host: tuple[Host, str], kernel: Kernel) -> None:
    await kernel.link.ask("echo", text="a")
    await kernel.link.stop()

    with pytest.raises(ConnectError, match="no longer serves"):
        await kernel.link.ask("echo", text="b")
