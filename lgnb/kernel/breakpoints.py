"""`breakpoint()` in a node: a prompt under the cell that served its graph.

A kernel's own hook stops only for the visual debugger of a front end, and IPython's debugger reads no answers outside
of the main thread. So a node gets Python's pdb, whose questions go through `input()` as the kernel offers it.
"""

from __future__ import annotations

import sys
from contextvars import ContextVar
from typing import Any

from IPython.core.debugger import OldPdb  # pdb.Pdb itself is IPython's in a kernel

_in_node: ContextVar[bool] = ContextVar("lgnb_in_node", default=False)


def mark_node_context() -> None:
    """Note that the current context is that of a run; its nodes inherit it."""
    _in_node.set(True)


def install() -> None:
    """Let `breakpoint()` open a prompt in nodes, and do elsewhere what it did before. Harmless the second time."""
    previous: Any = sys.breakpointhook
    if getattr(previous, "is_lgnb", False):
        return

    def hook(*arguments: Any, **options: Any) -> Any:
        if not _in_node.get() or _has_visual_debugger():
            return previous(*arguments, **options)
        OldPdb().set_trace(sys._getframe(1))  # pyright: ignore[reportPrivateUsage]  as pdb.set_trace does
        return None

    hook.is_lgnb = True  # pyright: ignore[reportFunctionMemberAccess]
    sys.breakpointhook = hook


def _has_visual_debugger() -> bool:
    debugpy: Any = sys.modules.get("debugpy")
    return debugpy is not None and bool(debugpy.is_client_connected())
