"""The socket of kernels, spoken to directly: what a host lets a kernel do, and what it does not."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from langgraph_sdk import get_client
from langgraph_sdk.client import LangGraphClient
from langgraph_sdk.errors import APIStatusError
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from lgnb.errors import GraphTaken, InvalidRequest, InvalidState, LeaseLost, LgnbError
from lgnb.graphs.descriptor_views import GraphDescriptor
from lgnb.models.checkpoints import CheckpointFilter, CheckpointKey, Fence, NewCheckpoint, SavedCheckpoint
from lgnb.models.live import Begun, KernelInfo, RunHeld
from lgnb.models.runs import ClaimedRun, Ending, RunOutcome
from lgnb.wire import Peer


def _kernel(name: str) -> KernelInfo:
    return KernelInfo(kernel_id=name, host_name="h", pid=1)


@pytest.fixture
async def sdk(lgnb_server: Any) -> AsyncIterator[LangGraphClient]:
    async with get_client(url=lgnb_server.url, api_key=lgnb_server.api_key) as client:
        yield client


def _socket(lgnb_server: Any, key: str | None) -> connect:
    headers = {"x-api-key": key} if key else {}
    url = f"ws{lgnb_server.url.removeprefix('http')}/live"
    return connect(url, additional_headers=headers, compression=None, proxy=None)


@asynccontextmanager
async def _connected(lgnb_server: Any, **methods: Any) -> AsyncIterator[tuple[Peer, ClientConnection]]:
    async with _socket(lgnb_server, lgnb_server.api_key) as socket:
        peer = Peer(socket.send, methods)

        async def receive() -> None:
            async for frame in socket:
                assert isinstance(frame, bytes)
                await peer.receive(frame)

        receiving = asyncio.create_task(receive())
        try:
            yield peer, socket
        finally:
            receiving.cancel()
            peer.close()


async def _begin(peer: Peer, name: str, *, worker_id: UUID | None = None, held: list[RunHeld] | None = None) -> Begun:
    return await peer.ask("begin", Begun, kernel=_kernel(name), jobs=2, worker_id=worker_id, held=held or [])


async def _serve(peer: Peer, name: str, **more: Any) -> None:
    await peer.ask("serve", descriptor=GraphDescriptor(graph_id=name, name=name), **more)


async def _claim(peer: Peer) -> ClaimedRun:
    (claimed,) = await peer.ask("claim", list[ClaimedRun], limit=1)
    return claimed


def _checkpoint(thread_id: UUID) -> NewCheckpoint:
    return NewCheckpoint(
        key=CheckpointKey(thread_id=thread_id, checkpoint_ns="", checkpoint_id=uuid4()),
        parent_checkpoint_id=None,
        run_id=None,
        created_at=datetime.now(UTC),
        checkpoint={"v": 4, "channel_versions": {}, "versions_seen": {}, "updated_channels": None},
        metadata={"step": 0, "source": "loop"},
        inline={},
        values=(),
    )


@pytest.mark.parametrize("key", [None, "wrong"])
async def test_nobody_gets_in_without_a_key(lgnb_server: Any, key: str | None) -> None:
    with pytest.raises(InvalidStatus) as refused:
        async with _socket(lgnb_server, key):
            pass

    assert refused.value.response.status_code == 401


async def test_what_is_no_frame_ends_the_connection(lgnb_server: Any) -> None:
    async with _socket(lgnb_server, lgnb_server.api_key) as socket:
        await socket.send(b"\xc1 what")
        with pytest.raises(ConnectionClosed):
            await asyncio.wait_for(socket.recv(), 10)

    assert socket.close_code == 1002


async def test_bad_questions_are_refused_and_the_connection_goes_on(lgnb_server: Any) -> None:
    async with _connected(lgnb_server) as (peer, _):
        with pytest.raises(InvalidState, match="first question"):
            await peer.ask("claim", limit=1)
        with pytest.raises(InvalidRequest, match="There is no method"):
            await peer.ask("drop_tables")
        with pytest.raises(InvalidRequest, match="claim: limit"):
            await peer.ask("claim", limit="many")
        with pytest.raises(InvalidRequest, match="put: "):
            await peer.ask("put", checkpoint={"key": 1}, fence=None)
        await _begin(peer, "k-bad")
        with pytest.raises(GraphTaken):
            await _serve(peer, "agent", take_over=True)


async def test_a_kernel_reaches_only_the_threads_of_its_runs(lgnb_server: Any, sdk: LangGraphClient) -> None:
    """Neither reading nor writing, whatever fence it makes up."""
    foreign = UUID((await sdk.threads.create())["thread_id"])
    async with _connected(lgnb_server) as (peer, _):
        await _begin(peer, "k-reach")
        for method, params in (
            ("get", {"thread_id": foreign, "checkpoint_ns": "", "checkpoint_id": None}),
            ("list", {"which": CheckpointFilter(thread_id=foreign)}),
            ("list", {"which": CheckpointFilter()}),
            ("traces_of_run", {"thread_id": foreign, "run_id": uuid4()}),
            ("put", {"checkpoint": _checkpoint(foreign), "fence": None}),
        ):
            with pytest.raises(InvalidRequest):
                await peer.ask(method, **params)
        with pytest.raises(LeaseLost):
            await peer.ask("put", checkpoint=_checkpoint(foreign), fence=Fence(uuid4(), 1))

    assert await sdk.threads.get_history(str(foreign)) == []


async def test_a_run_is_claimed_written_and_ended_over_the_socket(lgnb_server: Any, sdk: LangGraphClient) -> None:
    """The host keeps bytes and ends the run; an outdated attempt can do neither."""
    async with _connected(lgnb_server) as (peer, _):
        await _begin(peer, "k-whole")
        await _serve(peer, "raw")
        thread = await sdk.threads.create()
        run = await sdk.runs.create(thread["thread_id"], "raw", input={})
        claimed = await _claim(peer)
        fence, new = Fence(claimed.run_id, claimed.attempt), _checkpoint(claimed.thread_id)

        await peer.ask("put", checkpoint=new, fence=fence)
        saved = await peer.ask(
            "get", SavedCheckpoint, thread_id=claimed.thread_id, checkpoint_ns="", checkpoint_id=None
        )
        with pytest.raises(LeaseLost):
            await peer.ask("put", checkpoint=new, fence=Fence(claimed.run_id, claimed.attempt + 1))
        with pytest.raises(InvalidRequest, match="another thread"):
            await peer.ask("put", checkpoint=_checkpoint(uuid4()), fence=fence)
        ending = Ending(status="success", result=b'{"done":true}')
        end: dict[str, Any] = {"run_id": claimed.run_id, "attempt": claimed.attempt, "rolled_back": False}
        outcome: RunOutcome = await peer.ask("end", RunOutcome, ending=ending, **end)
        with pytest.raises(LeaseLost):
            await peer.ask("end", ending=ending, **end)
        with pytest.raises(LgnbError):
            await peer.ask("put", checkpoint=_checkpoint(claimed.thread_id), fence=fence)

    assert saved.key == new.key
    assert outcome.thread_status == "idle"
    assert await sdk.runs.join(thread["thread_id"], run["run_id"]) == {"done": True}


async def test_an_update_whose_kernel_leaves_is_told_so_at_once(lgnb_server: Any, sdk: LangGraphClient) -> None:
    """Whoever waits for the kernel gets a 503 with the reason, long before the call would have timed out."""
    asked = asyncio.Event()

    async def never(**_: Any) -> None:
        asked.set()
        await asyncio.Event().wait()

    thread = await sdk.threads.create(metadata={"graph_id": "leaving"})
    async with _connected(lgnb_server, update=never) as (peer, socket):
        await _begin(peer, "k-leaving")
        await _serve(peer, "leaving")
        updating = asyncio.create_task(sdk.threads.update_state(thread["thread_id"], {"a": 1}))
        await asyncio.wait_for(asked.wait(), 10)
        await socket.close()
        with pytest.raises(APIStatusError, match="left before it answered") as refused:
            await updating

    assert refused.value.status_code == 503


async def test_a_claim_that_never_arrived_is_given_back_when_the_kernel_comes_again(
    lgnb_server: Any, sdk: LangGraphClient
) -> None:
    """The connection broke with the answer on its way: the run is pending at once, its attempt uncounted."""
    async with _connected(lgnb_server) as (peer, _):
        begun = await _begin(peer, "k-lost")
        await _serve(peer, "lost-claim")
        thread = await sdk.threads.create()
        run = await sdk.runs.create(thread["thread_id"], "lost-claim", input={})
        first = await _claim(peer)

    async with _connected(lgnb_server) as (peer, _):
        again = await _begin(peer, "k-lost", worker_id=begun.worker_id)
        second = await _claim(peer)
        assert (again.resumed, again.worker_id) == (True, begun.worker_id)
        assert (second.run_id, second.attempt, second.failed_attempts) == (first.run_id, 2, 0)

    async with _connected(lgnb_server) as (peer, _):
        held = [RunHeld(run_id=second.run_id, attempt=second.attempt)]
        assert (await _begin(peer, "k-lost", worker_id=begun.worker_id, held=held)).held == held
        with pytest.raises(LeaseLost):
            await peer.ask("give_back", run_id=first.run_id, attempt=first.attempt)
        await peer.ask("bye")
    assert (await sdk.runs.get(thread["thread_id"], run["run_id"]))["status"] == "pending"


async def test_a_restarted_kernel_takes_its_names_at_once(lgnb_server: Any, sdk: LangGraphClient) -> None:
    """The process before is gone, whatever its lease says: its runs need not wait for that to end."""
    async with _connected(lgnb_server) as (before, _), _connected(lgnb_server) as (after, _):
        await _begin(before, "k-again")
        await _serve(before, "again")
        thread = await sdk.threads.create()
        await sdk.runs.create(thread["thread_id"], "again", input={})
        first = await _claim(before)

        restarted = KernelInfo(kernel_id="k-again", host_name="h", pid=2)
        await after.ask("begin", Begun, kernel=restarted, jobs=1, worker_id=None, held=[])
        await _serve(after, "again")

        second = await _claim(after)
        assert (second.run_id, second.attempt) == (first.run_id, 2)
        with pytest.raises(LeaseLost):
            await before.ask("beat")
        await after.ask("bye")


async def test_the_graphs_of_kernels_are_listed_with_who_serves_them(lgnb_server: Any) -> None:
    async with _connected(lgnb_server) as (peer, _):
        await _begin(peer, "kernel-of-the-list")
        await _serve(peer, "listed")

        async with httpx.AsyncClient(headers={"x-api-key": lgnb_server.api_key}, trust_env=False) as http:
            graphs = (await http.get(f"{lgnb_server.url}/live/graphs")).raise_for_status().json()

    (listed,) = [graph for graph in graphs if graph["graph_id"] == "listed"]
    assert listed["kernel"]["kernel_id"] == "kernel-of-the-list"
