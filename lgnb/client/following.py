"""Following a run in the caller's thread: to the end of its stream, or until an interrupted cell cancels it."""

from __future__ import annotations

import contextlib
import time
from collections.abc import AsyncIterator, Callable, Iterable
from typing import TYPE_CHECKING, Any

from langgraph_sdk.client import LangGraphClient
from langgraph_sdk.schema import StreamPart

from ..errors import LgnbError, NotFound, RunFailed

if TYPE_CHECKING:
    from .runs import Run

OnChange = Callable[["Run"], None]

TICK_SECONDS = 0.05  # how often a quiet stream lets the output show life


class Stopped(Exception):
    """Ends the following of a run whose awaiting task was cancelled."""


def follow(
    run: Run,
    source: Callable[[LangGraphClient], AsyncIterator[StreamPart]],
    *,
    on_change: OnChange | None = None,
    cancels: bool = True,
) -> None:
    """Read a run's stream to its end into its view, telling `on_change` of everything and of every quiet moment.

    Raises:
        KeyboardInterrupt: passed on after the run was cancelled (where `cancels`).
        LgnbError: the stream could not be opened or broke for good.
    """
    session = run.session
    session.last_run = run
    changed = on_change or (lambda _: None)
    stream = session.connection().stream(source)
    try:
        changed(run)
        for part in stream.items(tick=lambda: TICK_SECONDS):
            if part is not None:
                run.view.feed(part.event, part.data)
            if run.view.run_id and run.run_id is None:
                accepted(run, run.view.run_id)
            changed(run)
        _finish(run)
    except (KeyboardInterrupt, Stopped):
        if cancels:
            _cancel_interrupted(run, stream.items(tick=lambda: TICK_SECONDS))
        stream.close()
        changed(run)
        raise
    except LgnbError:
        run.view.active.clear()
        run.view.state = "refused" if run.run_id is None else "lost"
        raise
    finally:
        stream.close()
    changed(run)


def settled(run: Run, *, raise_error: bool) -> Run:
    """The ended run; raises its failure where asked."""
    if raise_error and run.view.state in ("error", "timeout"):
        failure, run.is_raised = run.view.failure, True
        if failure is None:
            raise RunFailed("TimeoutError", "the run took longer than the server allows", run=run)
        raise RunFailed(failure.error, failure.message, traceback=failure.traceback, node=failure.node, run=run)
    return run


def accepted(run: Run, run_id: str) -> None:
    """Note that the server took the run: it is the last one, and its thread the current one."""
    run.run_id = run_id
    session = run.session
    session.last_run = session.runs[run_id] = run
    session.remember_thread(run.assistant, run.thread_id)


def _finish(run: Run) -> None:
    """Ask how the run ended: its stream does not say a timeout, a cancel or a rollback."""
    run_id = run.run_id
    if run_id is None:
        run.view.finish("gone")
        return
    try:
        row = run.session.connection().call(lambda sdk: sdk.runs.get(run.thread_id, run_id))
        run.status = str(row["status"])
    except NotFound:
        run.status = "gone"
    run.view.finish(run.status)
    if run.view.failure is None and run.status == "error":
        _take_stored_error(run)
    if run.view.values is None and run.status == "success":
        _ = run.values
    run.ended = time.monotonic()


def _take_stored_error(run: Run) -> None:
    row: Any = run.session.connection().call(lambda sdk: sdk.threads.get(run.thread_id))
    error = row.get("error")
    if isinstance(error, dict):
        run.view.feed("error", error)


def _cancel_interrupted(run: Run, rest: Iterable[StreamPart | None]) -> None:
    """Cancel the run of an interrupted cell; where its id is still under way, wait a moment for it."""
    deadline = time.monotonic() + 2
    for part in rest if run.run_id is None else ():
        if part is not None:
            run.view.feed(part.event, part.data)
        if run.view.run_id:
            accepted(run, run.view.run_id)
            break
        if time.monotonic() > deadline:
            break
    with contextlib.suppress(LgnbError, TimeoutError):
        run.cancel()
    run.view.active.clear()
    run.view.state, run.status = "cancelled", "interrupted"
    run.ended = time.monotonic()
