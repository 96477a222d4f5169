from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator

import pytest
from lgnb_server import streaming
from lgnb_server.sse import HEARTBEAT, frame
from lgnb_server.streaming import ClientGone, OpenStreams, one_by_one, relay_events, relay_result, send_bounded

from lgnb.errors import LimitReached
from lgnb.models.streams import StreamEvent

_ONE, _TWO = StreamEvent("values", b"1"), StreamEvent("values", b"2")


class Wire:
    """Collects what is sent."""

    def __init__(self) -> None:
        self.chunks: list[bytes] = []
        self.beaten = asyncio.Event()

    async def send(self, chunk: bytes) -> None:
        self.chunks.append(chunk)
        if chunk in (HEARTBEAT, b"\n"):
            self.beaten.set()


async def test_headers_leave_before_the_first_event_and_silence_is_filled_with_heartbeats() -> None:
    wire, second = Wire(), asyncio.Event()

    async def events() -> AsyncGenerator[StreamEvent, None]:
        yield _ONE
        await second.wait()
        yield _TWO

    relaying = asyncio.ensure_future(
        relay_events(one_by_one(events()), send=wire.send, gone=asyncio.Event(), heartbeat_seconds=0.01)
    )
    async with asyncio.timeout(5):
        await wire.beaten.wait()
        second.set()
        await relaying

    silence = [chunk for chunk in wire.chunks if chunk != HEARTBEAT]
    assert silence == [b"", frame(_ONE), frame(_TWO)]
    assert wire.chunks[:2] == [b"", frame(_ONE)]


async def test_a_client_that_leaves_ends_the_events_too() -> None:
    gone, closed = asyncio.Event(), asyncio.Event()

    async def events() -> AsyncGenerator[StreamEvent, None]:
        try:
            yield _ONE
            gone.set()
            await asyncio.Event().wait()
        finally:
            closed.set()

    with pytest.raises(ClientGone):
        await relay_events(one_by_one(events()), send=Wire().send, gone=gone, heartbeat_seconds=60)

    assert closed.is_set()


async def test_a_cancellation_from_outside_is_passed_on() -> None:
    begun = asyncio.Event()

    async def events() -> AsyncGenerator[StreamEvent, None]:
        yield _ONE
        begun.set()
        await asyncio.Event().wait()

    relaying = asyncio.ensure_future(
        relay_events(one_by_one(events()), send=Wire().send, gone=asyncio.Event(), heartbeat_seconds=60)
    )
    await begun.wait()
    relaying.cancel()

    with pytest.raises(asyncio.CancelledError):
        await relaying


async def test_a_client_that_leaves_with_the_last_event_has_gone_and_nothing_is_left_cancelled() -> None:
    gone = asyncio.Event()

    async def result() -> str:
        gone.set()
        await asyncio.sleep(0)
        return "done"

    with pytest.raises(ClientGone):
        await relay_result(result(), send=Wire().send, gone=gone, heartbeat_seconds=60)

    await asyncio.sleep(0)
    task = asyncio.current_task()
    assert task is not None
    assert task.cancelling() == 0


async def test_a_client_that_is_gone_at_a_heartbeat_ends_the_wait() -> None:
    async def send(chunk: bytes) -> None:
        if chunk == b"\n":
            raise ClientGone

    with pytest.raises(ClientGone):
        async with asyncio.timeout(5):
            await relay_result(asyncio.Event().wait(), send=send, gone=asyncio.Event(), heartbeat_seconds=0.01)


async def test_a_wait_beats_until_its_result_is_there() -> None:
    wire = Wire()

    async def result() -> str:
        await wire.beaten.wait()
        return "done"

    async with asyncio.timeout(5):
        answer = await relay_result(result(), send=wire.send, gone=asyncio.Event(), heartbeat_seconds=0.01)

    assert answer == "done"
    assert set(wire.chunks) == {b"", b"\n"}


async def test_a_reader_that_takes_nothing_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streaming, "SLOW_READER_SECONDS", 0.01)
    cut: list[bool] = []

    async def never() -> None:
        await asyncio.Event().wait()

    with pytest.raises(ClientGone):
        await send_bounded(never, cut=lambda: cut.append(True))

    assert cut == [True]


async def test_a_stop_ends_every_open_answer_and_waits_for_it() -> None:
    streams, end, left = OpenStreams(), asyncio.Event(), asyncio.Event()

    async def answer() -> None:
        with streams.opened(end):
            await end.wait()
        left.set()

    answering = asyncio.ensure_future(answer())
    await asyncio.sleep(0)
    assert len(streams) == 1

    await streams.end(timeout_seconds=5)

    assert len(streams) == 0
    await answering
    assert left.is_set()


def test_answers_are_counted_by_caller_and_an_answer_within_itself_once() -> None:
    streams = OpenStreams(most=3, most_per_caller=2)
    ends = [asyncio.Event() for _ in range(4)]

    with streams.opened(ends[0], caller="ada"), streams.opened(ends[0], caller="ada"):
        with streams.opened(ends[1], caller="ada"):
            with pytest.raises(LimitReached, match="You have 2"), streams.opened(ends[2], caller="ada"):
                pass
            with streams.opened(ends[2], caller="bob"):
                with pytest.raises(LimitReached, match="This server has 3"), streams.opened(ends[3], caller="eve"):
                    pass
        with streams.opened(ends[3], caller="ada"):
            assert len(streams) == 2

    assert len(streams) == 0
