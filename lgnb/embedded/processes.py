"""Which process is meant, beyond its number: pid, start time and machine together are never used twice.

Also the ways to wait for a process and to find what a dead parent left behind.
"""

from __future__ import annotations

import asyncio
import os
import platform
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

_PROC = Path("/proc")


@dataclass(frozen=True, slots=True)
class ProcessMark:
    """One process of one boot of one machine (or of one container, which has process numbers of its own).

    Attributes:
        started: start time in the words of the system: clock ticks since boot on Linux, a date elsewhere.
        machine: the answer of `machine()` in that process.
    """

    pid: int
    started: str
    machine: str

    @classmethod
    def of(cls, pid: int) -> ProcessMark | None:
        """The mark of a process that lives now, or None."""
        started = _started(pid)
        return None if started is None else cls(pid, started, machine())

    def is_alive(self) -> bool:
        """Whether this very process still lives. A zombie does not."""
        return self.machine == machine() and _started(self.pid) == self.started

    def send(self, number: int) -> None:
        """Send a signal, unless the process has gone."""
        if self.is_alive():
            try:
                os.kill(self.pid, number)
            except ProcessLookupError:
                pass


@cache
def machine() -> str:
    """Name the boot and the pid namespace we live in; two processes with the same answer see each other's pids."""
    try:
        boot = (_PROC / "sys/kernel/random/boot_id").read_text().strip()
        return f"{boot} {os.readlink(_PROC / 'self/ns/pid')}"
    except OSError:
        return platform.node()


async def gone(mark: ProcessMark, *, seconds: float) -> bool:
    """Wait until the process has ended, at most `seconds`; False when it still lives."""
    deadline = time.monotonic() + seconds
    while mark.is_alive():
        if time.monotonic() > deadline:
            return False
        await asyncio.sleep(0.01)
    return True


def working_in(directory: Path, program: str, *, title: str, uid: int | None = None) -> Iterator[int]:
    """Pids of the processes of `program` whose working directory this is. Knows how to look only on Linux.

    Args:
        title: recognises such a process of user `uid` by its command line, where the system does not tell us its
            working directory: in most containers root may not look into the processes of others.
    """
    here = os.path.realpath(directory)
    for entry in _PROC.glob("[0-9]*"):
        try:
            # A deleted file or directory is marked with a suffix, after which it is still ours.
            cwd, executable = os.readlink(entry / "cwd"), os.readlink(entry / "exe")
            found = cwd.removesuffix(" (deleted)") == here
            found = found and Path(executable.removesuffix(" (deleted)")).name == program
        except PermissionError:
            found = _is_titled(entry, title, uid)
        except OSError:
            continue  # gone meanwhile, or a thread of the system
        if found:
            yield int(entry.name)


def _is_titled(entry: Path, title: str, uid: int | None) -> bool:
    try:
        return (
            uid is not None and entry.stat().st_uid == uid and title in (entry / "cmdline").read_text(errors="replace")
        )
    except OSError:
        return False


def _started(pid: int) -> str | None:
    try:
        # The name in parentheses may itself hold spaces and parentheses.
        state, *rest = (_PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
        return None if state in "ZX" else rest[18]
    except (FileNotFoundError, ProcessLookupError):
        if (_PROC / "self").exists():
            return None
    answer = subprocess.run(["ps", "-o", "stat=,lstart=", "-p", str(pid)], capture_output=True, text=True, check=False)
    state, _, started = answer.stdout.strip().partition(" ")
    return None if not started or state.startswith("Z") else started.strip()
