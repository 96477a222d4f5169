"""The one background thread of a kernel with its own event loop, and the two ways to use it from a cell.

The SDK is async and a notebook's main thread may already run a loop; so the SDK lives here, and a cell
waits in the main thread on a queue, where an interrupt arrives at once.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import queue
import threading
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from typing import Any, Generic, TypeVar

T = TypeVar("T")

# Waits are cut into slices so that an interrupt is also seen where a lock cannot be broken by a signal.
SLICE_SECONDS = 0.2


class Runner:
    """A daemon thread that runs one asyncio loop until the process ends or `stop()`."""

    def __init__(self, name: str = "lgnb-runner") -> None:
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self._run, name=name, daemon=True)
        self.thread.start()

    def submit(self, coroutine: Coroutine[Any, Any, T]) -> concurrent.futures.Future[T]:
        """Start a coroutine on the loop; safe from any thread."""
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop)

    def call(self, coroutine: Coroutine[Any, Any, T], *, timeout: float | None = None) -> T:
        """Run a coroutine and wait for its result; an interrupt of the caller cancels it.

        Raises:
            TimeoutError: `timeout` seconds passed; the coroutine is cancelled.
        """
        future = self.submit(coroutine)
        left = timeout
        try:
            while True:
                wait = SLICE_SECONDS if left is None else min(left, SLICE_SECONDS)
                done, _ = concurrent.futures.wait([future], timeout=wait)
                if done:
                    return future.result()
                if left is not None:
                    left -= wait
                    if left <= 0:
                        raise TimeoutError
        except BaseException:
            future.cancel()
            raise

    def stream(self, source: Callable[[], AsyncIterator[T]]) -> Stream[T]:
        """Start reading an async iterator; the caller takes its items from the returned stream."""
        return Stream(self, source)

    def stop(self) -> None:
        """End the loop and its tasks. Calling it twice does no harm."""
        if self.thread.is_alive():
            self.loop.call_soon_threadsafe(self.loop.stop)
            self.thread.join(timeout=5)

    def _run(self) -> None:
        asyncio.set_event_loop(self.loop)
        try:
            self.loop.run_forever()
        finally:
            tasks = asyncio.all_tasks(self.loop)
            for task in tasks:
                task.cancel()
            self.loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
            self.loop.run_until_complete(self.loop.shutdown_asyncgens())
            self.loop.close()


class _End:
    """Marks the end of a stream in its queue; carries the exception that ended it, if any."""

    def __init__(self, error: BaseException | None = None) -> None:
        self.error = error


class Stream(Generic[T]):
    """Items of an async iterator, read on the runner's loop and taken in another thread."""

    def __init__(self, runner: Runner, source: Callable[[], AsyncIterator[T]]) -> None:
        self._items: queue.SimpleQueue[T | _End] = queue.SimpleQueue()
        self._future = runner.submit(self._read(source))

    def items(self, *, tick: Callable[[], float]) -> Iterator[T | None]:
        """Yield each item, and None whenever `tick()` seconds pass without one.

        Raises:
            BaseException: whatever the source raised, after its last item.
        """
        while True:
            try:
                item = self._items.get(timeout=tick())
            except queue.Empty:
                yield None
                continue
            if isinstance(item, _End):
                if item.error is not None:
                    raise item.error
                return
            yield item

    def close(self) -> None:
        """Stop reading. Items already received can still be taken."""
        self._future.cancel()

    async def _read(self, source: Callable[[], AsyncIterator[T]]) -> None:
        end = _End()
        try:
            async for item in source():
                self._items.put(item)
        except asyncio.CancelledError:
            raise
        except Exception as error:  # noqa: BLE001 - handed to the thread that takes the items
            end = _End(error)
        finally:
            self._items.put(end)
