"""Bells ring for those who listen, also after the connection was lost."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from uuid import uuid4

import pytest
from redis_topologies import servers_of

from lgnb.queue import Queue
from lgnb.queue import bells as bells_module
from lgnb.queue.bells import Bells
from lgnb.queue.events import EventLog


@pytest.fixture
async def bells(queue: Queue, until: Callable[..., Awaitable[None]]) -> AsyncIterator[Bells]:
    bells = Bells(queue)
    bells.start()
    await until(lambda: bells.connected, what="the bells are connected")
    yield bells
    await bells.stop()


async def test_who_listens_hears_the_very_first_event(bells: Bells, events: EventLog) -> None:
    """Repeatedly, as a subscription that is only on its way would miss some."""
    for _ in range(50):
        run_id = uuid4()
        async with bells.listening(run_id) as bell:
            await events.append(run_id, thread_id=uuid4(), attempt=1, events=[(1, "values", b"")])

            assert await bell.wait(timeout_seconds=2)


async def test_every_listener_hears_the_end(bells: Bells, events: EventLog) -> None:
    run_id = uuid4()
    async with bells.listening(run_id) as one, bells.listening(run_id) as two:
        await events.append_end(run_id, thread_id=uuid4(), attempt=1, number=1, status="success")

        assert await one.wait(timeout_seconds=2)
        assert await two.wait(timeout_seconds=2)
        assert one.end_heard
        assert two.end_heard


@pytest.mark.parametrize(("size", "is_told"), [(0, False), (8192, True), (8193, False)])
async def test_a_small_result_comes_with_the_end(bells: Bells, events: EventLog, size: int, is_told: bool) -> None:
    run_id, result = uuid4(), b"x" * size
    async with bells.listening(run_id) as bell:
        await events.append(run_id, thread_id=uuid4(), attempt=1, events=[(1, "values", b"")])
        assert await bell.wait(timeout_seconds=2)
        assert bell.result is None
        await events.append_end(run_id, thread_id=uuid4(), attempt=1, number=2, status="success", result=result)

        assert await bell.wait(timeout_seconds=2)
        assert bell.end_heard
        assert bell.result == (result if is_told else None)


async def test_an_outdated_attempt_tells_no_result(bells: Bells, events: EventLog) -> None:
    run_id = uuid4()
    async with bells.listening(run_id) as bell:
        await events.append(run_id, thread_id=uuid4(), attempt=2, events=[(1, "values", b"")])
        assert await bell.wait(timeout_seconds=2)
        await events.append_end(run_id, thread_id=uuid4(), attempt=1, number=2, status="success", result=b"old")

        assert not await bell.wait(timeout_seconds=0.1)
        assert bell.result is None


async def test_a_bell_of_another_run_is_silent(bells: Bells, events: EventLog) -> None:
    async with bells.listening(uuid4()) as bell:
        await events.append_end(uuid4(), thread_id=uuid4(), attempt=1, number=1, status="success")

        assert not await bell.wait(timeout_seconds=0.1)


async def test_a_lost_connection_rings_and_is_made_again(
    bells: Bells, events: EventLog, until: Callable[..., Awaitable[None]], redis_uri: str, redis_prefix: str
) -> None:
    """Nobody knows what was missed meanwhile, so everybody looks."""
    run_id = uuid4()
    async with bells.listening(run_id) as bell:
        with servers_of(redis_uri) as servers:
            for server in servers:
                for client in server.client_list(_type="pubsub"):
                    if client["name"] == redis_prefix:
                        server.client_kill_filter(_id=client["id"])
        assert await bell.wait(timeout_seconds=2)
        await until(lambda: bells.connected, what="the bells are connected again")
        while await bell.wait(timeout_seconds=0.1):
            pass
        await events.append(run_id, thread_id=uuid4(), attempt=1, events=[(1, "values", b"")])

        assert await bell.wait(timeout_seconds=2)


async def test_who_could_not_wait_for_its_subscription_looks_again_when_it_holds(
    bells: Bells, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Redis may be slow to answer; what was appended before the subscription held has rung for nobody."""
    monkeypatch.setattr(bells_module, "_CONFIRM_SECONDS", 0.0)

    async with bells.listening(uuid4()) as bell:
        assert await bell.wait(timeout_seconds=2)
        assert not await bell.wait(timeout_seconds=0.1)
