"""The LangGraph workbench for Jupyter. Importing this is quick: everything heavy loads on first use."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from ._version import __version__

if TYPE_CHECKING:
    from . import client, widgets
    from .client import assistants, crons, store, threads, webhooks
    from .client import past_runs as runs
    from .client.connect import aconnect, connect, server
    from .client.runs import Run, aresume, arun, astart, resume, run, start
    from .kernel.evaluation import evaluate
    from .kernel.replaying import replay
    from .kernel.serving import serve, unserve

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
    "evaluate",
    "replay",
    "resume",
    "run",
    "runs",
    "serve",
    "server",
    "start",
    "store",
    "threads",
    "unserve",
    "webhooks",
    "widgets",
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
    "evaluate": ("lgnb.kernel.evaluation", "evaluate"),
    "replay": ("lgnb.kernel.replaying", "replay"),
    "resume": ("lgnb.client.runs", "resume"),
    "run": ("lgnb.client.runs", "run"),
    "runs": ("lgnb.client.past_runs", ""),
    "serve": ("lgnb.kernel.serving", "serve"),
    "server": ("lgnb.client.connect", "server"),
    "start": ("lgnb.client.runs", "start"),
    "store": ("lgnb.client.store", ""),
    "threads": ("lgnb.client.threads", ""),
    "unserve": ("lgnb.kernel.serving", "unserve"),
    "webhooks": ("lgnb.client.webhooks", ""),
    "widgets": ("lgnb.widgets", ""),
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
