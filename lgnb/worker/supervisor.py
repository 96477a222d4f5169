"""Keeps a number of worker processes running beside a host: starts, restarts, listens to and stops them."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
import time
from asyncio.subprocess import DEVNULL, Process
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Any

from ..errors import LgnbError
from ..log_format import relay
from ..settings import Settings

logger = logging.getLogger(__name__)

# -P: nothing in the directory where the user started Jupyter shall shadow a module.
WORKER_COMMAND = (sys.executable, "-P", "-m", "lgnb", "worker")

_FIRST_PAUSE_SECONDS = 0.2
_LONGEST_PAUSE_SECONDS = 10.0
# A worker that lived this long was sound; the next one starts without delay.
_SOUND_SECONDS = 10.0
# What a worker may need beyond its drain time to close its connections.
_STOP_MARGIN_SECONDS = 5.0
_KEPT_LINES = 40
_LONGEST_LINE = 64 * 1024

# Secrets of the host which code inside a graph has no business with.
_WITHHELD = (
    "LGNB_API_KEYS",
    "LGNB_TOKEN",
    "LGNB_WEBHOOK_SECRET",
    "JUPYTER_TOKEN",
    "JUPYTERHUB_API_TOKEN",
    "JPY_API_TOKEN",
)


class Supervisor:
    """`start()` returns at once; `stop()` returns when no process is left, and may be called twice."""

    def __init__(
        self,
        settings: Settings,
        *,
        count: int,
        on_death: Callable[[int], Awaitable[object]] | None = None,
        command: Sequence[str] = WORKER_COMMAND,
        writes_bytecode: bool = True,
    ) -> None:
        """`on_death` is awaited with the process id of each worker that ended without being asked to.

        Without `writes_bytecode` a source that is changed twice within a second is read twice.
        """
        environment = _environment(settings)
        if not writes_bytecode:
            environment["PYTHONDONTWRITEBYTECODE"] = "1"
        self._count = count
        self._begun = 0
        self._new_place = lambda number: _Place(
            number, command=command, environment=environment, drain_seconds=settings.drain_seconds, on_death=on_death
        )
        self._places = self._new_places()
        self._retiring: set[asyncio.Future[Any]] = set()

    def start(self) -> None:
        """Start every worker and keep it alive from now on."""
        for place in self._places:
            place.start()

    async def stop(self) -> None:
        """Tell every worker to finish, wait for the drain time, then kill what is left."""
        await asyncio.gather(*(place.stop() for place in self._places), *self._retiring)

    def replace(self) -> None:
        """Start new workers and let the present ones finish; for code that has changed. Returns at once."""
        retired, self._places = self._places, self._new_places()
        self.start()
        for place in retired:
            leaving = asyncio.ensure_future(place.stop())
            self._retiring.add(leaving)
            leaving.add_done_callback(self._retiring.discard)

    def _new_places(self) -> list[_Place]:
        self._begun += self._count
        return [self._new_place(number) for number in range(self._begun - self._count + 1, self._begun + 1)]

    @property
    def pids(self) -> list[int]:
        """Process ids of the workers that run now."""
        return [place.pid for place in self._places if place.pid is not None]

    def problem(self) -> str | None:
        """Why a worker keeps ending, in its own last words; None while all is well."""
        return next((place.problem for place in self._places if place.problem), None)


class _Place:
    """One worker after the other."""

    def __init__(
        self,
        number: int,
        *,
        command: Sequence[str],
        environment: dict[str, str],
        drain_seconds: float,
        on_death: Callable[[int], Awaitable[object]] | None,
    ) -> None:
        self._number = number
        self._command = command
        self._environment = environment
        self._drain_seconds = drain_seconds
        self._on_death = on_death
        self._process: Process | None = None
        self._keeper: asyncio.Task[None] | None = None
        self._stopping = asyncio.Event()
        self._last_words: deque[str] = deque(maxlen=_KEPT_LINES)
        self.problem: str | None = None

    @property
    def pid(self) -> int | None:
        running = self._process is not None and self._process.returncode is None
        return self._process.pid if running and self._process else None

    def start(self) -> None:
        if self._keeper is None:
            self._keeper = asyncio.ensure_future(self._keep())

    async def stop(self) -> None:
        self._stopping.set()
        if self._keeper is not None:
            await asyncio.shield(self._keeper)

    async def _keep(self) -> None:
        pause = _FIRST_PAUSE_SECONDS
        while not self._stopping.is_set():
            began = time.monotonic()
            try:
                code = await self._run_one()
            except OSError as error:
                code, self.problem = None, f"A worker could not be started: {error}."
                logger.error("Worker %d could not be started: %s", self._number, error)
            if self._stopping.is_set():
                return
            lived = time.monotonic() - began
            pause = _FIRST_PAUSE_SECONDS if lived >= _SOUND_SECONDS else min(pause * 2, _LONGEST_PAUSE_SECONDS)
            if code is not None:
                self._note_end(code, lived=lived, pause=pause)
                await self._tell()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), pause)

    def _note_end(self, code: int, *, lived: float, pause: float) -> None:
        how = f"was killed by signal {-code}" if code < 0 else f"ended with code {code}"
        logger.error("Worker %d %s after %.1f s; the next starts in %.1f s.", self._number, how, lived, pause)
        last = next((line for line in reversed(self._last_words) if line.strip()), "It said nothing.")
        self.problem = f"A worker {how}: {last}"

    async def _tell(self) -> None:
        if self._on_death is None or self._process is None:
            return
        try:
            await self._on_death(self._process.pid)
        except LgnbError as error:
            # Without this the worker's lease has to run out first, which is only slower.
            logger.warning("The end of worker %d could not be made known: %s", self._number, error)

    async def _run_one(self) -> int:
        self._last_words.clear()
        with _Output() as output, _Output() as errors:
            process = await asyncio.create_subprocess_exec(
                *self._command,
                stdin=DEVNULL,
                stdout=output.write_end,
                stderr=errors.write_end,
                env=self._environment,
                # A session of its own: Ctrl-C in the terminal is for the host, which then stops its workers in order.
                start_new_session=True,
            )
            listening = asyncio.gather(self._listen(output, keep=False), self._listen(errors, keep=True))
        self._process = process
        logger.info("Worker %d started as process %d.", self._number, process.pid)
        ending = asyncio.ensure_future(process.wait())
        stopping = asyncio.ensure_future(self._stopping.wait())
        sound = asyncio.ensure_future(self._call_sound())
        try:
            await asyncio.wait((ending, stopping), return_when=asyncio.FIRST_COMPLETED)
            if not ending.done():
                await self._end(process, ending)
            return await ending
        finally:
            for waiting in (stopping, sound):
                waiting.cancel()
            # Processes that a graph started belong to the worker's session and go with it.
            _signal_group(process.pid, signal.SIGKILL)
            with suppress(TimeoutError):
                await asyncio.wait_for(listening, 1.0)

    async def _call_sound(self) -> None:
        await asyncio.sleep(_SOUND_SECONDS)
        self.problem = None

    async def _end(self, process: Process, ending: asyncio.Future[int]) -> None:
        with suppress(ProcessLookupError):
            process.terminate()
        done, _ = await asyncio.wait((ending,), timeout=self._drain_seconds + _STOP_MARGIN_SECONDS)
        if not done:
            logger.warning("Worker %d did not stop in time and is killed.", self._number)
            _signal_group(process.pid, signal.SIGKILL)

    async def _listen(self, output: _Output, *, keep: bool) -> None:
        async for line in output.lines():
            if keep:
                self._last_words.append(line)
            if not relay(line, to=logger, worker=self._number):
                logger.info("worker %d: %s", self._number, line)


class _Output:
    """One stream of a worker's output, as a context in which its writing end is open here.

    asyncio's own pipes will not do: with them a dead worker counts as alive while a process it left behind holds one.
    """

    def __init__(self) -> None:
        self._read_end, self.write_end = os.pipe()

    def __enter__(self) -> _Output:
        return self

    def __exit__(self, *exception: object) -> None:
        os.close(self.write_end)
        if exception[0] is not None:
            os.close(self._read_end)

    async def lines(self) -> AsyncGenerator[str, None]:
        """Lines until nobody writes any more. What is longer than the limit is left out."""
        reader = asyncio.StreamReader(limit=_LONGEST_LINE)
        transport, _ = await asyncio.get_running_loop().connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(self._read_end, "rb", buffering=0)
        )
        try:
            while True:
                try:
                    line = await reader.readline()
                except ValueError:
                    continue  # too long; asyncio has dropped what it held of it
                if not line:
                    return
                yield line.decode(errors="replace").rstrip()
        finally:
            transport.close()


def _environment(settings: Settings) -> dict[str, str]:
    # Addresses of embedded servers are not handed down. A worker joins them itself, so that they stay for as long as it
    # has something to save, also when this process is killed.
    environment = {**os.environ, **settings.environment()}
    environment |= {"LGNB_PARENT_PID": str(os.getpid()), "PYTHONUNBUFFERED": "1"}
    return {name: value for name, value in environment.items() if name not in _WITHHELD}


def _signal_group(pid: int, number: int) -> None:
    # A zombie's group may be gone already, or on macOS not be ours to signal any more.
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, number)
