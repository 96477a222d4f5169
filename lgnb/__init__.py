"""The LangGraph workbench for Jupyter. Importing this is quick: everything heavy loads on first use."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from ._version import __version__

if TYPE_CHECKING:
    from . import client
    from .client import assistants, crons, store, threads, webhooks
    from .client import past_runs as runs
    from .client.connect import aconnect, connect, server
    from .client.runs import Run, aresume, arun, astart, resume, run, start

__all__ = [
    "Run",
    "__version__",
    "aconnect",
    "aresume",
    "arun",
    "assistants",
    "astart",
    "client",
    "connect",
    "crons",
    "resume",
    "run",
    "runs",
    "server",
    "start",
    "store",
    "threads",
    "webhooks",
]

# Public name to the module it lives in; an empty attribute means the module itself.
_LAZY = {
    "Run": ("lgnb.client.runs", "Run"),
    "aconnect": ("lgnb.client.connect", "aconnect"),
    "aresume": ("lgnb.client.runs", "aresume"),
    "arun": ("lgnb.client.runs", "arun"),
    "assistants": ("lgnb.client.assistants", ""),
    "astart": ("lgnb.client.runs", "astart"),
    "client": ("lgnb.client", ""),
    "connect": ("lgnb.client.connect", "connect"),
    "crons": ("lgnb.client.crons", ""),
    "resume": ("lgnb.client.runs", "resume"),
    "run": ("lgnb.client.runs", "run"),
    "runs": ("lgnb.client.past_runs", ""),
    "server": ("lgnb.client.connect", "server"),
    "start": ("lgnb.client.runs", "start"),
    "store": ("lgnb.client.store", ""),
    "threads": ("lgnb.client.threads", ""),
    "webhooks": ("lgnb.client.webhooks", ""),
}


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module 'lgnb' has no attribute {name!r}")
    module, attribute = _LAZY[name]
    found = importlib.import_module(module)
    value = getattr(found, attribute) if attribute else found
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


def load_ipython_extension(shell: Any) -> None:
    """What `%load_ext lgnb` does: register `%lg`."""
    from .magics import load

    load(shell)


def unload_ipython_extension(shell: Any) -> None:
    """What `%unload_ext lgnb` does: take `%lg` away again."""
    from .magics import unload

    unload(shell)
