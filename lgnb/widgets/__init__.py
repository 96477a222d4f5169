"""Widgets: the views of a server in a notebook, one class per view. `lgnb.widgets.Studio()` shows them all.

The views themselves are ES modules in `static/`, shared with the page `{base_url}lgnb/studio`; Python says which view
and of what. Importing this package is quick; anywidget loads with the first widget.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .assistants import Assistants
    from .crons import Crons
    from .graph import Graph
    from .interrupt_form import InterruptForm
    from .interrupts import Interrupts
    from .run import Run
    from .state_editor import StateEditor
    from .store import Store
    from .studio import Studio
    from .thread import Thread
    from .workers import Workers

__all__ = [
    "Assistants",
    "Crons",
    "Graph",
    "InterruptForm",
    "Interrupts",
    "Run",
    "StateEditor",
    "Store",
    "Studio",
    "Thread",
    "Workers",
]

_MODULES = {
    "Assistants": "assistants",
    "Crons": "crons",
    "Graph": "graph",
    "InterruptForm": "interrupt_form",
    "Interrupts": "interrupts",
    "Run": "run",
    "StateEditor": "state_editor",
    "Store": "store",
    "Studio": "studio",
    "Thread": "thread",
    "Workers": "workers",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module 'lgnb.widgets' has no attribute {name!r}")
    return getattr(importlib.import_module(f".{_MODULES[name]}", __name__), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
