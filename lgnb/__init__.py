"""The LangGraph workbench for Jupyter. Importing this is quick: everything heavy loads on first use."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from ._version import __version__

if TYPE_CHECKING:
    from . import client, widgets
    from .client import assistants, threads
    from .client.connect import connect
    from .client.runs import Run, arun, resume, run, start

__all__ = [
    "Run",
    "__version__",
    "arun",
    "assistants",
    "client",
    "connect",
    "resume",
    "run",
    "start",
    "threads",
    "widgets",
]

# Public name to the module it lives in; an empty attribute means the module itself.
_LAZY = {
    "Run": ("lgnb.client.runs", "Run"),
    "arun": ("lgnb.client.runs", "arun"),
    "assistants": ("lgnb.client.assistants", ""),
    "client": ("lgnb.client", ""),
    "connect": ("lgnb.client.connect", "connect"),
    "resume": ("lgnb.client.runs", "resume"),
    "run": ("lgnb.client.runs", "run"),
    "start": ("lgnb.client.runs", "start"),
    "threads": ("lgnb.client.threads", ""),
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
