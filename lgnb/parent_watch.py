"""Ends a process together with the one that started it, however that one ends."""

from __future__ import annotations

import logging
import os
import signal
import threading
import time
from pathlib import Path

from .errors import SettingsError

logger = logging.getLogger(__name__)

PARENT_VARIABLE = "LGNB_PARENT_PID"
_PERIOD_SECONDS = 1.0


def watch_parent(*, grace_seconds: float) -> None:
    """If LGNB_PARENT_PID is set: stop this process in good order once that process is gone, and at any rate after
    `grace_seconds` more. The variable is taken out of the environment, as it does not concern our own children.

    Raises:
        SettingsError: the variable holds no process id.
    """
    text = os.environ.pop(PARENT_VARIABLE, "")
    if not text:
        return
    if not text.isdigit() or int(text) < 1:
        raise SettingsError(f"{PARENT_VARIABLE} is {text!r}, but must be the id of a process.")
    parent = Parent(int(text))
    threading.Thread(target=_watch, args=(parent, grace_seconds), name="lgnb-parent-watch", daemon=True).start()


class Parent:
    """A process, told apart from a later one with the same id."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self._is_direct = os.getppid() == pid
        self._started = start_time(pid)

    def is_alive(self) -> bool:
        if self._is_direct:
            # The kernel gives orphans another parent, so a reused id cannot fool this.
            return os.getppid() == self.pid
        if self._started is not None:
            return start_time(self.pid) == self._started
        return _exists(self.pid)


def start_time(pid: int) -> str | None:
    """When a process started, in the clock ticks of Linux; None where that cannot be read."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    # The second field is the program's name in parentheses, and may hold spaces and parentheses itself.
    fields = stat.rpartition(")")[2].split()
    return None if fields[0] == "Z" else fields[19]


def _exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _watch(parent: Parent, grace_seconds: float) -> None:
    while parent.is_alive():
        time.sleep(_PERIOD_SECONDS)
    logger.warning("The process %d that started this one is gone; stopping.", parent.pid)
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(grace_seconds)
    os._exit(1)
