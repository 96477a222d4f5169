"""Graphs that follow their variable: executing the cell that defines one swaps what is served under its name."""

from __future__ import annotations

import sys
from typing import Any

from ..errors import LgnbError
from .serving import Live, serve, served_names

_followed: dict[str, tuple[str, Live]] = {}


def follow(shell: Any, expression: str, live: Live) -> None:
    """Serve the graph anew whenever a cell has given its variable another value."""
    _followed.pop(live.name, None)
    if not expression.isidentifier():
        return
    _followed[live.name] = (expression, live)
    if _swap not in shell.events.callbacks["post_run_cell"]:
        shell.events.register("post_run_cell", _swap)


def _swap(*arguments: Any) -> None:
    from IPython.core.getipython import get_ipython

    shell: Any = get_ipython()
    for name, (variable, live) in list(_followed.items()):
        target = shell.user_ns.get(variable) if shell is not None else None
        if target is None or target is live.target:
            continue
        if name not in served_names():
            del _followed[name]
            continue
        try:
            swapped = serve(target, name, description=live.description)
        except LgnbError as error:
            sys.stderr.write(f"{name} still serves the graph from before: {error}\n")
            _followed[name] = (variable, Live(name=name, target=target, description=live.description))
        else:
            _followed[name] = (variable, swapped)
            sys.stdout.write(f"{swapped!r}\n")
