"""Named places where a test can make this process fail. Inert unless LGNB_FAILPOINT is set.

`LGNB_FAILPOINT=after_claim:exit` ends the process there, as a crash would; `after_claim:cut` loses the connection to
Postgres when the statement has been executed, but not yet answered; `before_save:full@3` reports a full disk the third
time only. Several are separated by commas. The idea is FreeBSD's fail(9).
"""

from __future__ import annotations

import functools
import os
from dataclasses import dataclass

import psycopg

_EXIT_CODE = 86


@dataclass
class _Failpoint:
    action: str
    # The one time at which it acts, counted from 1; 0 is every time.
    only: int
    passed: int = 0


def failpoint(name: str) -> None:
    """Fail here if the environment asks for it.

    Raises:
        psycopg.errors.DiskFull: the action is `full`.
        psycopg.OperationalError: the action is `cut`.
    """
    point = _failpoints().get(name)
    if point is None:
        return
    point.passed += 1
    if point.only not in (0, point.passed):
        return
    if point.action == "exit":
        os._exit(_EXIT_CODE)
    if point.action == "cut":
        raise psycopg.OperationalError(f"failpoint {name}: the connection is lost")
    raise psycopg.errors.DiskFull(f"failpoint {name}: no space left on device")


@functools.cache
def _failpoints() -> dict[str, _Failpoint]:
    found: dict[str, _Failpoint] = {}
    for spec in filter(None, os.environ.get("LGNB_FAILPOINT", "").split(",")):
        name, _, rest = spec.partition(":")
        action, _, only = rest.partition("@")
        if action not in ("exit", "cut", "full"):
            raise ValueError(f"LGNB_FAILPOINT: {spec!r} should be NAME:exit, :cut or :full, with @N for the Nth time.")
        found[name] = _Failpoint(action, int(only or 0))
    return found
