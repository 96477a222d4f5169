"""Which cell shows a run: a run that was streamed into a cell is not shown again as that cell's result."""

from __future__ import annotations

from typing import Any, Protocol


class Shown(Protocol):
    """Something that notes in which cell it was shown; `shown_in` is a cell's execution count."""

    shown_in: int | None


def mark_shown(one: Shown) -> None:
    """Note that the cell being executed has shown it."""
    one.shown_in = _current_cell()


def show_once(one: Shown, bundle: dict[str, str]) -> None:
    """Display it, unless the cell being executed has already shown it."""
    from IPython.display import display  # deferred: plain Python may use runs without IPython

    if one.shown_in is None or one.shown_in != _current_cell():
        display(bundle, raw=True)


def _current_cell() -> int | None:
    from IPython.core.getipython import get_ipython

    shell: Any = get_ipython()
    return None if shell is None else shell.execution_count
