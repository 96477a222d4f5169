"""The process that runs one pair: `python -m lgnb.embedded.supervisor DATA_DIR`, started by `sharing`.

It starts or adopts both servers, starts again the one that dies, and stops both once no living holder is left. It
belongs to none of the holders: whichever of them ends, and however, the others notice nothing. When it is itself
killed, the servers go on and the next supervisor adopts them.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import signal
import sys
import time
from contextlib import suppress
from logging.handlers import RotatingFileHandler
from pathlib import Path

from lgnb.errors import EmbeddedError

from .holders import forget_dead, living
from .layout import Layout, Sockets, settle, settle_sockets
from .locks import FileLock
from .postgres import Postgres
from .processes import ProcessMark
from .server import Server
from .state import State, read_state, write_state
from .valkey import Valkey

WAKE = signal.SIGUSR1
_LOOK_SECONDS = 1.0
_LONGEST_PAUSE_SECONDS = 30.0
_log = logging.getLogger("lgnb.embedded")


class Supervisor:
    """Keeps one pair running for as long as somebody holds it."""

    def __init__(self, layout: Layout, sockets: Sockets, before: State | None) -> None:
        me = ProcessMark.of(os.getpid())
        assert me is not None
        self._me = me
        self._layout = layout
        self._sockets = sockets
        self._servers = pair(layout, sockets, before)
        self._pause_seconds = dict.fromkeys(self._servers, 0.0)
        self._next_start = dict.fromkeys(self._servers, 0.0)
        self._wake = asyncio.Event()
        self._told_to_stop = False

    def wake(self) -> None:
        """Look around at once: somebody has left or misses a server."""
        self._wake.set()

    def tell_to_stop(self) -> None:
        """Stop both servers although they may have holders, as when the machine shuts down."""
        self._told_to_stop = True
        self._wake.set()

    async def start(self) -> None:
        """Bring both servers up.

        Raises:
            EmbeddedError: one of them did not start; none is left running.
        """
        self._publish(ready=False)
        results = await asyncio.gather(*(server.run() for server in self._servers), return_exceptions=True)
        failures = [result for result in results if isinstance(result, BaseException)]
        if failures:
            await self.stop()
            raise failures[0]
        self._publish(ready=True)
        _log.info("Both servers run: %s", ", ".join(f"{s.name} {s.mark.pid}" for s in self._servers if s.mark))

    async def watch(self) -> None:
        """Return when the pair has been stopped because nobody holds it any more, or on request."""
        while not self._told_to_stop:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._wake.wait(), _LOOK_SECONDS)
            self._wake.clear()
            if await self._ended_unheld():
                return
            for server in self._servers:
                if not server.tick() and not self._told_to_stop:
                    await self._start_again(server)
        _log.info("Stopping, because this process was told to")
        await self.stop()

    async def stop(self) -> None:
        """Stop both servers and clear away what only they needed."""
        await asyncio.gather(*(server.stop() for server in self._servers))
        clear(self._layout, self._sockets)

    async def _ended_unheld(self) -> bool:
        """Stop the pair if it has no holder. Joining needs the same lock, so nobody joins a pair that is stopping."""
        if living(self._layout.holders):
            return False
        lock = FileLock(self._layout.lock)
        try:
            if not lock.try_acquire():
                return False  # somebody is about to join or leave; look again in a moment
        except FileNotFoundError:
            _log.info("Stopping, because %s is gone", self._layout.base)
            await self.stop()
            return True
        try:
            if living(self._layout.holders):
                return False
            _log.info("Stopping, because nobody uses the servers any more")
            forget_dead(self._layout.holders)
            await self.stop()
            return True
        finally:
            lock.release()

    async def _start_again(self, server: Server) -> None:
        if time.monotonic() < self._next_start[server]:
            return
        _log.warning("%s has ended; starting it again. Its last words:\n%s", server.name, server.last_words())
        try:
            await server.run()
            pause = 0.0
            _log.info("%s runs again", server.name)
        except EmbeddedError as error:
            pause = min(max(1.0, 2 * self._pause_seconds[server]), _LONGEST_PAUSE_SECONDS)
            _log.error("%s The next attempt follows in %.0f s.", error, pause)
        self._pause_seconds[server] = pause
        self._next_start[server] = time.monotonic() + pause
        self._publish(ready=True)

    def _publish(self, *, ready: bool) -> None:
        marks = {server.name: server.mark for server in self._servers if server.mark is not None}
        write_state(self._layout, State(ready=ready, supervisor=self._me, sockets=self._sockets, servers=marks))


def pair(layout: Layout, sockets: Sockets, before: State | None) -> tuple[Server, Server]:
    """Both servers, with the processes that a supervisor before us has left, if any."""
    marks = before.servers if before else {}
    return (
        Postgres(layout, sockets, mark=marks.get(Postgres.name)),
        Valkey(layout, sockets, mark=marks.get(Valkey.name)),
    )


def clear(layout: Layout, sockets: Sockets) -> None:
    """Delete what stopped servers leave behind beside their data."""
    with suppress(OSError):  # the data directory may be gone, and a leftover here does no harm
        sockets.clear()
    layout.state.unlink(missing_ok=True)


async def supervise(data_dir: Path) -> None:
    """The whole life of the process; its first line on stdout says how the start went."""
    layout = settle(data_dir)
    _log_to(layout.supervisor_log)
    lock = FileLock(layout.supervisor_lock)
    # Somebody who only asks whether the lock is held holds it for an instant.
    if not await lock.acquire(seconds=2.0):
        raise EmbeddedError(f"Another process already runs the embedded servers of {data_dir}.")
    before = read_state(layout)
    sockets = settle_sockets(layout, before=before.sockets.root if before else None)
    supervisor = Supervisor(layout, sockets, before)
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(WAKE, supervisor.wake)
    loop.add_signal_handler(signal.SIGTERM, supervisor.tell_to_stop)
    for ignored in (signal.SIGINT, signal.SIGHUP):
        signal.signal(ignored, signal.SIG_IGN)
    await supervisor.start()
    _report({"started": True})
    await supervisor.watch()
    # The lock is kept until this process is gone, so that whoever waits for it waits for that.


def main() -> None:
    """Leave the process that called us, supervise, and report a failed start in one line."""
    if os.fork():
        os._exit(0)
    os.setsid()
    os.umask(0o077)
    try:
        asyncio.run(supervise(Path(sys.argv[1])))
    except EmbeddedError as error:
        _report({"error": str(error)})
        sys.exit(1)
    except Exception as error:  # noqa: BLE001 - nobody else would ever see it
        _log.exception("The supervisor failed")
        _report({"error": f"The supervisor of the embedded servers failed: {type(error).__name__}: {error}"})
        sys.exit(1)


def _report(message: dict[str, object]) -> None:
    """Say it once to whoever started us and let go of them: they wait for the end of our stdout."""
    with suppress(OSError):  # they may have been killed meanwhile, or have been told already
        os.write(1, json.dumps(message).encode() + b"\n")
    nowhere = os.open(os.devnull, os.O_RDWR)
    for fd in (0, 1, 2):
        os.dup2(nowhere, fd)
    os.close(nowhere)


def _log_to(path: Path) -> None:
    handler = RotatingFileHandler(path, maxBytes=1024 * 1024, backupCount=1, delay=True)
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    _log.addHandler(handler)
    _log.setLevel(logging.INFO)
    _log.propagate = False


if __name__ == "__main__":
    main()
