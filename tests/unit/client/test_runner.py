"""The background loop: results, errors, streams, and an interrupt that is seen at once."""

from __future__ import annotations

import asyncio
import signal
import threading
import time
from collections.abc import AsyncIterator, Iterator

import pytest

from lgnb.client.runner import Runner


@pytest.fixture
def runner() -> Iterator[Runner]:
    runner = Runner()
    yield runner
    runner.stop()


def test_a_call_returns_the_result_also_while_the_caller_runs_a_loop(runner: Runner) -> None:
    async def caller() -> int:
        return runner.call(_later(3))

    assert asyncio.run(caller()) == 3


async def _later(value: int) -> int:
    await asyncio.sleep(0.01)
    return value


def test_an_error_arrives_at_the_caller(runner: Runner) -> None:
    async def fail() -> None:
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        runner.call(fail())


def test_a_call_that_takes_too_long_is_cancelled(runner: Runner) -> None:
    cancelled = threading.Event()

    async def wait() -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.set()
            raise

    with pytest.raises(TimeoutError):
        runner.call(wait(), timeout=0.05)
    assert cancelled.wait(5)


def test_an_interrupt_ends_the_wait_and_cancels_the_call(runner: Runner) -> None:
    cancelled = threading.Event()

    async def wait() -> None:
        # A moment later: the caller has to be waiting, not still handing the call over.
        asyncio.get_running_loop().call_later(0.3, signal.raise_signal, signal.SIGINT)
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.set()
            raise

    before = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        runner.call(wait())

    assert time.monotonic() - before < 2
    assert cancelled.wait(5)


def test_a_stream_hands_over_every_item_and_tells_quiet_moments(runner: Runner) -> None:
    go_on = asyncio.Event()

    async def source() -> AsyncIterator[int]:
        yield 1
        await go_on.wait()
        yield 2

    seen: list[int | None] = []
    for item in runner.stream(source).items(tick=lambda: 0.01):
        seen.append(item)
        if seen == [1, None]:
            runner.loop.call_soon_threadsafe(go_on.set)

    assert seen[:2] == [1, None]
    assert [item for item in seen if item is not None] == [1, 2]


def test_an_error_of_the_source_comes_after_its_items(runner: Runner) -> None:
    async def source() -> AsyncIterator[int]:
        yield 1
        raise ValueError("cut")

    stream = runner.stream(source).items(tick=lambda: 1)

    assert next(stream) == 1
    with pytest.raises(ValueError, match="cut"):
        next(stream)


def test_a_closed_stream_stops_its_source(runner: Runner) -> None:
    stopped = threading.Event()

    async def source() -> AsyncIterator[int]:
        try:
            yield 1
            await asyncio.Event().wait()
        finally:
            stopped.set()

    stream = runner.stream(source)
    assert next(stream.items(tick=lambda: 1)) == 1
    stream.close()

    assert stopped.wait(5)


def test_stopping_twice_is_harmless() -> None:
    runner = Runner()

    runner.stop()
    runner.stop()

    assert not runner.thread.is_alive()
