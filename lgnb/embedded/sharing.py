"""Joining and leaving the pair of a data directory, from any number of processes of one user."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import time
from pathlib import Path

from lgnb.errors import EmbeddedError

from .holders import Holder, living, register
from .layout import Layout, Sockets, settle
from .locks import FileLock, is_held, locked
from .processes import ProcessMark, gone
from .state import State, read_state
from .supervisor import WAKE, clear, pair

# Longer than the longest start and the longest stop, either of which another process may be in the middle of.
_LOCK_SECONDS = 120.0
_STOP_SECONDS = 60.0
_EXIT_SECONDS = 5.0
_RETURN_SECONDS = 75.0


class EmbeddedServers:
    """This process's share of a running pair.

    Attributes:
        postgres_uri: for psycopg; database `lgnb`, of which its user is the owner and superuser.
        redis_uri: for redis-py.
    """

    def __init__(self, layout: Layout, holder: Holder, state: State) -> None:
        self.postgres_uri = state.postgres_uri
        self.redis_uri = state.redis_uri
        self._layout = layout
        self._holder = holder
        self._supervisor = state.supervisor
        self._release_lock = asyncio.Lock()
        self._released = False

    def __repr__(self) -> str:
        return f"<EmbeddedServers {self.postgres_uri} {self.redis_uri}>"

    async def release(self) -> None:
        """Leave the pair. The last one out stops it, and this returns when both servers are really gone.

        Nothing happens the second time, nor in a child process that inherited this object by fork.

        Raises:
            EmbeddedError: the servers did not end in time.
        """
        if os.getpid() != self._holder.process.pid:
            return
        async with self._release_lock:
            if not self._released:
                self._holder.leave()
                await _stop_unheld(self._layout, self._supervisor)
                self._released = True


async def acquire_pair(data_dir: Path) -> EmbeddedServers:
    """See `lgnb.embedded.acquire`."""
    layout = await asyncio.to_thread(settle, data_dir)
    try:
        async with locked(layout.lock, seconds=_LOCK_SECONDS):
            holder = register(layout.holders)
            try:
                state = await _running(layout)
            except BaseException:
                holder.leave()
                raise
    except OSError as error:
        raise EmbeddedError(
            f"The data directory {data_dir} cannot be used: {error}. Choose another one with LGNB_DATA_DIR."
        ) from error
    return EmbeddedServers(layout, holder, state)


async def _running(layout: Layout) -> State:
    """The state of the pair once both servers answer; starts them when nobody has."""
    deadline = time.monotonic() + _RETURN_SECONDS
    while True:
        if not is_held(layout.supervisor_lock):
            await _start_supervisor(layout)
        state = read_state(layout)
        if state is not None and not state.is_ours:
            raise EmbeddedError(
                f"The embedded servers of {layout.data_dir} run on another machine or in another container "
                f"({state.host}). Stop them there, or choose another data directory with LGNB_DATA_DIR."
            )
        if state is not None and state.ready:
            servers = pair(layout, state.sockets, state)
            if all([await server.answers() for server in servers]):
                return state
            # One of them died a moment ago, and its supervisor starts it again.
            state.supervisor.send(WAKE)
        if time.monotonic() > deadline:
            words = "\n".join(
                f"{server.name}: {server.last_words()}" for server in pair(layout, Sockets(layout.base), state)
            )
            raise EmbeddedError(
                f"The embedded servers do not answer for {_RETURN_SECONDS:.0f} s. Set LGNB_POSTGRES_URI and "
                f"LGNB_REDIS_URI to use servers of your own. Their last words, from {layout.base}:\n{words}"
            )
        await asyncio.sleep(0.05)


async def _start_supervisor(layout: Layout) -> None:
    # -P: nothing in the directory where the user started Jupyter shall be imported.
    # A thread waits for it, because a cancelled start shall leave nothing half open in this process.
    process = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-P", "-m", "lgnb.embedded.supervisor", str(layout.data_dir)],
        cwd="/",
        stdin=subprocess.DEVNULL,
        capture_output=True,
        start_new_session=True,
        check=False,
    )
    try:
        report = json.loads(process.stdout)
    except ValueError:
        said = process.stderr.decode(errors="replace").strip()[-2000:]
        raise EmbeddedError(
            f"The process that runs the embedded servers ended without a word (see {layout.supervisor_log}). {said}"
        ) from None
    if "error" in report:
        lock = FileLock(layout.supervisor_lock)
        if await lock.acquire(seconds=_EXIT_SECONDS):  # it has stopped both servers and is about to end
            lock.release()
        raise EmbeddedError(report["error"])


async def _stop_unheld(layout: Layout, supervisor: ProcessMark) -> None:
    """Return when the pair has other holders or is gone."""
    deadline = time.monotonic() + _STOP_SECONDS
    while not living(layout.holders):
        if not is_held(layout.supervisor_lock):
            await gone(supervisor, seconds=_EXIT_SECONDS)
            return await _stop_unsupervised(layout)
        state = read_state(layout)
        if state is not None:
            supervisor = state.supervisor  # it may have been replaced since we joined
            supervisor.send(WAKE)
        if time.monotonic() > deadline:
            raise EmbeddedError(
                f"The embedded servers have not ended within {_STOP_SECONDS:.0f} s; see the logs in {layout.base}."
            )
        await asyncio.sleep(0.05)


async def _stop_unsupervised(layout: Layout) -> None:
    """Stop the servers of a supervisor that was killed. Usually there are none, and nothing happens."""
    if not layout.base.is_dir():
        return
    async with locked(layout.lock, seconds=_LOCK_SECONDS):
        state = read_state(layout)
        if state is None or living(layout.holders) or is_held(layout.supervisor_lock):
            return
        for server in pair(layout, state.sockets, state):
            await server.stop()
        clear(layout, state.sockets)
