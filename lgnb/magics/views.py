"""Widgets under `%lg`: the studio, drawings, what stays alive below a run. Without a front end there is only text."""

from __future__ import annotations

from typing import Any

from IPython.core.getipython import get_ipython
from IPython.display import display

from ..client import assistants
from ..client.cells import mark_shown
from ..client.drawing import Drawing
from ..client.render import is_live
from ..client.runs import Run
from .parsing import Arguments, Command, Group


def studio(shell: Any, arguments: Arguments) -> Any:
    """The whole workbench as a widget."""
    from ..widgets.studio import Studio  # deferred: widgets take a moment to import

    return Studio()


def drawn(name: str, *, xray: bool) -> Any:
    """The drawing of a graph as a widget whose subgraphs open in place; `xray` says whether they begin open."""
    drawing = assistants.graph(name, xray=xray)
    if not shows_widgets():
        return drawing
    from ..widgets.graph import Graph

    whole: Drawing = drawing if xray else assistants.graph(name, xray=True)
    return Graph(whole, text=drawing, closed=not xray)


def follow_below(run: Run) -> None:
    """Show a run that works in the background, for as long as it works."""
    if shows_widgets():
        from ..widgets.run import Run as RunView

        display(RunView(run))
        mark_shown(run)


def ask_below(run: Run) -> None:
    """Where a run waits for a person, show the form that answers it."""
    if run.view.state == "interrupted" and shows_widgets():
        from ..widgets.interrupt_form import InterruptForm

        display(InterruptForm(run.thread_id, assistant=run.assistant_id, name=run.assistant))


def shows_widgets() -> bool:
    """Whether a person watches through a front end that is connected to a kernel."""
    return is_live() and getattr(get_ipython(), "kernel", None) is not None


GROUP = Group("Views", (Command(name="studio", run=studio, help="the whole workbench as a widget"),))
