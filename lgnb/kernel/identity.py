"""Which kernel this is, for the host and for whoever meets a graph of it."""

from __future__ import annotations

import os
import re
import socket
from pathlib import Path
from typing import Any
from uuid import uuid4

from ..models.live import KernelInfo

_CONNECTION_FILE = re.compile(r"kernel-(.+)\.json")
_PROCESS_ID = uuid4().hex


def this_kernel() -> KernelInfo:
    """The kernel of this process. Its id outlives a restart where Jupyter gave it one."""
    return KernelInfo(
        kernel_id=_jupyter_id() or _PROCESS_ID,
        host_name=socket.gethostname(),
        pid=os.getpid(),
        notebook=_notebook(),
    )


def _jupyter_id() -> str | None:
    from ipykernel.connect import get_connection_file  # deferred: plain Python needs no kernel

    try:
        match = _CONNECTION_FILE.fullmatch(Path(get_connection_file()).name)
    except (RuntimeError, OSError):
        return None
    return match[1] if match else None


def _notebook() -> str | None:
    if path := os.environ.get("JPY_SESSION_NAME"):
        return path
    from IPython.core.getipython import get_ipython

    shell: Any = get_ipython()
    found = shell.user_ns.get("__vsc_ipynb_file__") if shell is not None else None
    return str(found) if found else None
