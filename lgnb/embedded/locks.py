"""Locks on files, which the system itself drops when their holder dies, however it dies."""

from __future__ import annotations

import asyncio
import fcntl
import os
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

from lgnb.errors import EmbeddedError


class FileLock:
    """An exclusive lock on one file, held by the open file and hence also by children that inherit it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._fd: int | None = None

    @property
    def fd(self) -> int:
        """The open file of the held lock, to be inherited by a child."""
        if self._fd is None:
            raise ValueError(f"{self.path} is not locked by us")
        return self._fd

    def try_acquire(self) -> bool:
        """Take the lock, or answer False at once when somebody else has it.

        Raises:
            OSError: the file cannot be opened, or this file system knows no locks.
        """
        fd = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(fd)
            return False
        except BaseException:
            os.close(fd)
            raise
        self._fd = fd
        return True

    async def acquire(self, *, seconds: float) -> bool:
        """Take the lock, waiting for it at most `seconds`; False when somebody else kept it.

        Raises:
            OSError: as `try_acquire`.
        """
        deadline = time.monotonic() + seconds
        while not self.try_acquire():
            if time.monotonic() > deadline:
                return False
            await asyncio.sleep(0.02)
        return True

    def release(self) -> None:
        """Unlock for everybody, also for a child which was forked meanwhile. Safe to call twice."""
        if self._fd is not None:
            fcntl.flock(self._fd, fcntl.LOCK_UN)
            self.hand_over()

    def hand_over(self) -> None:
        """Close our side; the lock stays with the children that inherited it."""
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None


@asynccontextmanager
async def locked(path: Path, *, seconds: float) -> AsyncGenerator[None]:
    """Hold the lock for the length of the block.

    Raises:
        EmbeddedError: somebody else held it for longer than `seconds`.
    """
    lock = FileLock(path)
    if not await lock.acquire(seconds=seconds):
        raise EmbeddedError(
            f"Another process has been starting or stopping the embedded servers for over {seconds:.0f} s "
            f"(it holds {path}). See the logs beside that file."
        )
    try:
        yield
    finally:
        lock.release()


def is_held(path: Path) -> bool:
    """Whether some process holds the lock right now. Two who ask at once do not disturb each other."""
    try:
        fd = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
        fcntl.flock(fd, fcntl.LOCK_UN)
    except BlockingIOError:
        return True
    finally:
        os.close(fd)
    return False
