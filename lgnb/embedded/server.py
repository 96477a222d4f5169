"""The life of one server program: start it, adopt it from a dead supervisor, watch it, stop it, bound its log.

What Postgres and Valkey have of their own is in the modules named after them.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import subprocess
import time
from abc import ABC, abstractmethod
from pathlib import Path
from typing import ClassVar

from lgnb.errors import EmbeddedError

from .layout import Layout, Sockets
from .locks import FileLock
from .processes import ProcessMark, gone, working_in

LOG_LIMIT_BYTES = 4 * 1024 * 1024
# Nothing of the user's environment shall change the servers: no PG*, LD_* or TZ.
CLEAN_ENVIRONMENT = {"PATH": "/usr/bin:/bin", "LC_ALL": "C", "TZ": "UTC"}
_ANSWER_SECONDS = 2.0


class Server(ABC):
    """One server of the pair. At most one of each runs per layout, whoever started it.

    The lock file of a server is inherited by it and its children. So the lock is free exactly when the last of them
    is gone, and a second server never runs on the same files.

    Attributes:
        mark: the process that runs, as far as we know.
    """

    name: ClassVar[str]
    program: ClassVar[str]
    setting: ClassVar[str]
    start_seconds: ClassVar[float]
    # What is sent to end it, politest first, and how long each may take.
    farewells: ClassVar[tuple[tuple[signal.Signals, float], ...]]

    def __init__(self, layout: Layout, sockets: Sockets, *, mark: ProcessMark | None) -> None:
        self.layout = layout
        self.sockets = sockets
        self.mark = mark
        self._child: subprocess.Popen[bytes] | None = None

    @property
    @abstractmethod
    def directory(self) -> Path:
        """Its working directory, which it shares with no other program."""

    @property
    @abstractmethod
    def pid_file(self) -> Path:
        """The file whose first line is the pid of the main process."""

    @property
    def uid(self) -> int | None:
        """The user it runs as, None for ourselves."""
        return None

    @property
    def log(self) -> Path:
        return self.layout.base / f"{self.name.lower()}.log"

    @abstractmethod
    async def prepare(self) -> None:
        """Make the working directory and clear away what a killed server left there; none runs on it now."""

    @abstractmethod
    def command(self) -> list[str]:
        """The program and its arguments."""

    @abstractmethod
    async def greet(self) -> bool:
        """Talk to the server through its socket; True when it is ready for clients.

        Raises:
            OSError, EOFError: it cannot be reached.
        """

    @property
    def title(self) -> str:
        """Part of the command line of all its processes, and of no other's."""
        return str(self.directory)

    def processes(self) -> list[int]:
        """Its living processes, whoever started them."""
        return list(working_in(self.directory, self.program, title=self.title, uid=self.uid))

    async def answers(self) -> bool:
        """Whether the server is ready for clients now."""
        try:
            return await asyncio.wait_for(self.greet(), _ANSWER_SECONDS)
        except (OSError, EOFError, TimeoutError):
            return False

    async def run(self) -> None:
        """Start the server, or adopt the one that already runs; return when it answers.

        Raises:
            EmbeddedError: it ended or did not answer in time; the message carries its last words.
        """
        lock = FileLock(self.layout.base / f"{self.name.lower()}.lock")
        if not lock.try_acquire():
            if await self._adopted():
                return
            await self.stop()
            if not await lock.acquire(seconds=5.0):
                raise EmbeddedError(
                    f"The private {self.name} of {self.layout.data_dir} is in use by processes that cannot be seen "
                    "from here, perhaps in another container or on another machine. Stop it there, or choose another "
                    "data directory with LGNB_DATA_DIR."
                )
        try:
            await self.prepare()
            self._bound_log()
            with self.log.open("ab") as log:
                said_before = log.tell()
                self._child = self._spawn(lock.fd, log.fileno())
        except OSError as error:
            raise EmbeddedError(f"The private {self.name} could not be started: {error}. {self._way_out}") from error
        finally:
            # From here on the lock lives and dies with the server.
            lock.hand_over()
        self.mark = ProcessMark.of(self._child.pid)
        await self._ready(self._child, said_before)

    def tick(self) -> bool:
        """Keep the log bounded and answer whether the server still runs."""
        self._reap()
        self._bound_log()
        return self.mark is not None and self.mark.is_alive()

    async def stop(self) -> None:
        """End the server and everything it has forked; return when all of it is gone."""
        mark = self.mark if self.mark and self.mark.is_alive() else self._found()
        if mark is not None:
            for number, seconds in self.farewells:
                mark.send(number)
                if await self._gone(mark, seconds):
                    break
        await self._end_rest()
        self.mark = None

    def last_words(self, since: int = 0) -> str:
        """The end of the log, for a person; `since` is a position in bytes before which it is of no interest."""
        try:
            with self.log.open("rb") as log:
                size = log.seek(0, os.SEEK_END)
                log.seek(max(since if since < size else 0, size - 4000))
                lines = log.read().decode(errors="replace").splitlines()
        except OSError:
            lines = []
        return "\n".join(lines[-15:]) or "(nothing)"

    @property
    def _way_out(self) -> str:
        return f"Set {self.setting} to use a server of your own instead."

    def _spawn(self, lock: int, log: int) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            self.command(),
            cwd=self.directory,
            env=CLEAN_ENVIRONMENT,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            pass_fds=(lock,),
            start_new_session=True,
            umask=0o077,
            user=self.uid,
            group=self.uid,
            extra_groups=None if self.uid is None else [],
        )

    async def _ready(self, child: subprocess.Popen[bytes], said_before: int) -> None:
        deadline = time.monotonic() + self.start_seconds
        while not await self.answers():
            if child.poll() is not None or time.monotonic() > deadline:
                ended = child.returncode is not None
                await self.stop()
                why = f"it ended with code {child.returncode}" if ended else f"no answer in {self.start_seconds:.0f} s"
                raise EmbeddedError(
                    f"The private {self.name} did not start: {why}. {self._way_out} Its last words, from {self.log}:\n"
                    f"{self.last_words(said_before)}"
                )
            await asyncio.sleep(0.01)

    async def _adopted(self) -> bool:
        mark = self.mark if self.mark and self.mark.is_alive() else self._found()
        deadline = time.monotonic() + _ANSWER_SECONDS
        while mark is not None and mark.is_alive() and time.monotonic() < deadline:
            if await self.answers():
                self.mark = mark
                return True
            await asyncio.sleep(0.05)
        return False

    def _found(self) -> ProcessMark | None:
        """The main process, when whoever started it had no time to tell."""
        try:
            pid = int(self.pid_file.read_text().split()[0])
        except (OSError, ValueError, IndexError):
            return None
        return ProcessMark.of(pid) if pid in self.processes() else None

    async def _end_rest(self) -> None:
        # A killed Postgres leaves backends which may be too busy to notice; new ones must not start beside them.
        for pid in self.processes():
            if (rest := ProcessMark.of(pid)) is not None:
                rest.send(signal.SIGKILL)
                await self._gone(rest, 5.0)

    async def _gone(self, mark: ProcessMark, seconds: float) -> bool:
        ended = await gone(mark, seconds=seconds)
        self._reap()
        return ended

    def _reap(self) -> None:
        if self._child is not None and self._child.poll() is not None:
            self._child = None

    def _bound_log(self) -> None:
        # The server appends, so that it goes on at the new end; a line written in between is lost.
        if self.log.exists() and self.log.stat().st_size > LOG_LIMIT_BYTES:
            shutil.copyfile(self.log, self.log.with_suffix(".log.1"))
            os.truncate(self.log, 0)
