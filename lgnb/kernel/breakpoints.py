"""`breakpoint()` in a node: a prompt under the cell that served its graph.

A kernel's own hook stops only for the visual debugger of a front end, and IPython's debugger reads no answers outside
of the main thread. So a node gets Python's pdb, whose questions go the way of `input()`; that of the kernel itself is
there only while a cell runs, and runs of a live graph come at any time.
"""

from __future__ import annotations

import io
import sys
from contextvars import ContextVar
from typing import Any, cast

from IPython.core.debugger import OldPdb  # pdb.Pdb itself is IPython's in a kernel
from IPython.core.getipython import get_ipython

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
        kernel: Any = getattr(get_ipython(), "kernel", None)
        debugger = OldPdb() if kernel is None else OldPdb(stdin=cast(Any, _Answers(kernel)), stdout=sys.stdout)
        # The prompt goes with the question, not into the output.
        debugger.prompt = "" if kernel is not None else debugger.prompt
        debugger.set_trace(sys._getframe(1))  # pyright: ignore[reportPrivateUsage]  as pdb.set_trace does
        return None

    hook.is_lgnb = True  # pyright: ignore[reportFunctionMemberAccess]
    sys.breakpointhook = hook


class _Answers(io.TextIOBase):
    """What a person answers in the front end."""

    def __init__(self, kernel: Any) -> None:
        self._kernel = kernel

    def readline(self, size: int | None = -1, /) -> str:  # pyright: ignore[reportIncompatibleMethodOverride]
        kernel = self._kernel
        # As the kernel's raw_input, which refuses while no cell runs. The context tells which cell is asked about.
        ident = _ident(kernel)
        return kernel._input_request("(Pdb) ", ident, kernel.get_parent("shell"), password=False) + "\n"


def _ident(kernel: Any) -> Any:
    """Which front end executed the cell of this context."""
    read = getattr(kernel, "_get_shell_context_var", None)
    return read(kernel._shell_parent_ident) if read is not None else kernel._parent_ident["shell"]


def _has_visual_debugger() -> bool:
    debugpy: Any = sys.modules.get("debugpy")
    return debugpy is not None and bool(debugpy.is_client_connected())
