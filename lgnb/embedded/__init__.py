"""The private Postgres and Valkey of the default installation: started once, shared, stopped by the last one out.

`acquire` is the whole story for a host. What runs them meanwhile is `supervisor`, a small process of its own, so that
the pair survives any one of its users and outlives none but the last.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from lgnb.errors import EmbeddedError

if TYPE_CHECKING:
    from .sharing import EmbeddedServers
    from .status import EmbeddedStatus

__all__ = ["EmbeddedServers", "EmbeddedStatus", "acquire", "inspect", "remove"]


async def acquire(data_dir: Path) -> EmbeddedServers:
    """Start the pair of this data directory, or join it when it already runs.

    The pair stays up until `release()` of the returned object, or until this process is gone. Calling it again,
    from this or any other process of the same user, joins the same pair.

    Raises:
        EmbeddedError: the servers are not available here or did not start; the message says why and what to set.
    """
    _refuse_windows()
    from .sharing import acquire_pair  # stands on fcntl, which Windows lacks

    return await acquire_pair(data_dir)


def inspect(data_dir: Path) -> EmbeddedStatus:
    """Look at the pair of this data directory without starting, stopping or changing anything.

    Raises:
        EmbeddedError: the data directory cannot be read.
    """
    _refuse_windows()
    from .status import inspect_pair

    return inspect_pair(data_dir)


def remove(data_dir: Path) -> None:
    """Delete everything the pair of this data directory has stored. There is no way back.

    Raises:
        EmbeddedError: the servers are running, or a file cannot be deleted.
    """
    _refuse_windows()
    from .status import remove_pair

    remove_pair(data_dir)


def __getattr__(name: str) -> object:
    if name == "EmbeddedServers":
        from .sharing import EmbeddedServers

        return EmbeddedServers
    if name == "EmbeddedStatus":
        from .status import EmbeddedStatus

        return EmbeddedStatus
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def _refuse_windows() -> None:
    if sys.platform == "win32":
        raise EmbeddedError(
            "There is no embedded Postgres and Valkey for Windows. Set LGNB_POSTGRES_URI and LGNB_REDIS_URI to servers "
            "of your own, or run under WSL."
        )
