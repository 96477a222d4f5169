"""Starting, following, answering and cancelling runs; the `Run` that a caller keeps.

A run is followed in the caller's thread: parts come from the runner's loop and are reduced to the view here, so an
interrupt of the kernel is seen at once, and everything that is drawn belongs to the cell that asked.
"""

from __future__ import annotations

import contextlib
import functools
import threading
import time
from collections.abc import AsyncIterator, Callable, Generator, Mapping
from typing import Any, Literal

from langgraph_sdk.client import LangGraphClient
from langgraph_sdk.schema import Command, StreamPart

from ..errors import InvalidRequest, NotFound
from . import checkpoints, inputs
from .cells import show_once
from .following import OnChange, Stopped, accepted, follow, settled
from .render import run_bundle, run_plain
from .run_view import STREAM_MODES, RunView
from .session import Session, current_session
from .thread_state import answers_by_id, interrupts_of
from .twins import awaitable, in_thread

CANCEL_SECONDS = 5.0

CancelAction = Literal["interrupt", "rollback"]

# Options of `run` that go to the server as they are, by the SDK's own names.
PASSED_ON = frozenset(
    {
        "after_seconds",
        "checkpoint",
        "checkpoint_id",
        "config",
        "context",
        "durability",
        "if_not_exists",
        "interrupt_after",
        "interrupt_before",
        "metadata",
        "multitask_strategy",
        "on_disconnect",
        "webhook",
    }
)

# Resumable, so that a broken connection continues without a gap and `%lg result` can replay a run.
STREAMED: dict[str, Any] = {"stream_mode": list(STREAM_MODES), "stream_subgraphs": True, "stream_resumable": True}


class Run:
    """One run of an assistant: what came so far and, once it has ended, its result.

    Attributes:
        assistant: the name it was started with.
        thread_id, run_id: ids on the server; `run_id` is None until the server accepted the run.
        view: everything that was seen of it.
    """

    def __init__(
        self, session: Session, *, assistant: str, assistant_id: str, thread_id: str, run_id: str | None = None
    ) -> None:
        self.session = session
        self.assistant = assistant
        self.assistant_id = assistant_id
        self.thread_id = thread_id
        self.run_id = run_id
        self.view = RunView(run_id=run_id)
        self.started = time.monotonic()
        self.ended: float | None = None
        self.status = "pending"
        self.show: str = "auto"
        self.shown_in: int | None = None
        self.is_raised = False  # its failure, with the traceback, has gone to the caller as an exception

    @property
    def values(self) -> dict[str, Any]:
        """The state's values after the run; asked from the server where the stream did not tell them."""
        if self.view.values is None:
            state = self.session.connection().call(lambda sdk: sdk.threads.get_state(self.thread_id))
            values: Any = state["values"]
            self.view.values = dict(values or {}) if not isinstance(values, list) else {"values": values}
        return self.view.values

    @property
    def messages(self) -> list[dict[str, Any]]:
        """The messages of the state, oldest first; empty where the graph keeps none."""
        found = self.values.get("messages")
        return list(found) if isinstance(found, list) else []

    @property
    def text(self) -> str:
        """What the model said last."""
        return self.view.text

    @property
    def interrupts(self) -> list[dict[str, Any]]:
        """The questions the graph waits with: `id`, `value` and the `node` that asked."""
        ordered = self.view.questions
        return [{"id": one.interrupt_id, "value": one.value, "node": one.node} for one in ordered]

    @property
    def error(self) -> dict[str, str] | None:
        """`{"error", "message"}` of the exception that ended the run, with its `traceback` where known."""
        failure = self.view.failure
        if failure is None:
            return None
        return {"error": failure.error, "message": failure.message, "traceback": failure.traceback}

    @property
    def elapsed_seconds(self) -> float:
        return (self.ended or time.monotonic()) - self.started

    def history(self, limit: int = 100) -> Any:
        """The checkpoints of the run's thread, newest first."""
        return checkpoints.history(self.thread_id, limit=limit)

    def resume(self, value: Any = None, *, interrupt_id: str | None = None, on_change: OnChange | None = None) -> Run:
        """Answer the interrupt and follow the run that continues; see `resume`."""
        return resume(
            value, interrupt_id=interrupt_id, thread=self.thread_id, session=self.session, on_change=on_change
        )

    def cancel(self, *, action: CancelAction = "interrupt") -> None:
        """Ask the server to stop the run; it does not wait for the worker. A rollback also takes back what it wrote."""
        if self.run_id is not None:
            run_id = self.run_id
            with contextlib.suppress(NotFound):  # it has ended in the meantime
                self.session.connection().call(
                    lambda sdk: sdk.runs.cancel(self.thread_id, run_id, wait=False, action=action),
                    timeout=CANCEL_SECONDS,
                )

    def wait(self, *, on_change: OnChange | None = None) -> Run:
        """Follow the run from its first event until it has ended.

        Raises:
            KeyboardInterrupt: the caller stopped waiting; the run goes on.
        """
        if self.ended is None and self.run_id is not None:
            run_id = self.run_id
            self.view = RunView(run_id=run_id, state="pending")
            follow(
                self,
                lambda sdk: sdk.runs.join_stream(self.thread_id, run_id, last_event_id="-1"),
                on_change=on_change,
                cancels=False,
            )
        return self

    def __await__(self) -> Generator[Any, None, Run]:
        """`await run` waits for its end, as `wait()` does; who stops waiting does not stop the run."""
        return _followed_in_thread(lambda seen: self.wait(on_change=seen), on_change=None).__await__()

    def refresh(self) -> None:
        """Ask the server how far the run is; one that has ended is read to its end."""
        if self.ended is not None or self.run_id is None:
            return
        run_id = self.run_id
        row = self.session.connection().call(lambda sdk: sdk.runs.get(self.thread_id, run_id))
        self.status = str(row["status"])
        if self.status in ("pending", "running"):
            self.view.state = self.status
        else:
            self.wait()

    def __repr__(self) -> str:
        return run_plain(self, self.session.aliases)

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        return run_bundle(self, self.session.aliases)

    def _ipython_display_(self) -> None:
        """Show the run, unless this very cell has already streamed it."""
        show_once(self, run_bundle(self, self.session.aliases))


def run(
    assistant: str,
    text: Any = None,
    *,
    thread: str | None = None,
    raise_error: bool = True,
    on_change: OnChange | None = None,
    session: Session | None = None,
    **options: Any,
) -> Run:
    """Run an assistant and wait for its end.

    Args:
        assistant: a graph id, or the name or id of an assistant.
        text: a text for the model, or the graph's input as an object.
        thread: an id or alias, "new", or None to continue the thread this assistant used last.
        raise_error: raise when the run ends in an error, instead of only noting it in `error`.
        on_change: called in this thread, often, while the run works.
        options: what else the SDK's `runs.stream` takes, such as `config`, `context` or `interrupt_before`.

    Raises:
        RunFailed: a node raised, or the run took too long.
        LgnbError: the server refused the run or cannot be reached.
        KeyboardInterrupt: the kernel was interrupted; the run has been cancelled, what came is kept.
    """
    session = session or current_session()
    started, request = prepared(session, assistant, text, thread=thread, options=options)
    follow(started, functools.partial(_create_stream, started, request), on_change=on_change)
    return settled(started, raise_error=raise_error)


async def arun(assistant: str, text: Any = None, *, on_change: OnChange | None = None, **options: Any) -> Run:
    """`run` for code that awaits; cancelling the task, or interrupting the kernel, cancels the run.

    Args and errors are those of `run`; `on_change` is called in another thread.
    """
    return await _followed_in_thread(lambda seen: run(assistant, text, on_change=seen, **options), on_change=on_change)


def start(assistant: str, text: Any = None, *, thread: str | None = None, **options: Any) -> Run:
    """Start a run in the background and return at once; follow it with `Run.wait()`."""
    session = current_session()
    started, request = prepared(session, assistant, text, thread=thread, options=options)
    created = session.connection().call(
        lambda sdk: sdk.runs.create(started.thread_id, started.assistant_id, **STREAMED, **request)
    )
    accepted(started, str(created["run_id"]))
    started.view.state = "pending"
    return started


def resume(
    value: Any = None,
    *,
    interrupt_id: str | None = None,
    thread: str | None = None,
    raise_error: bool = True,
    on_change: OnChange | None = None,
    session: Session | None = None,
    **options: Any,
) -> Run:
    """Continue a thread that waits: with the answer to its interrupt, or from where it paused.

    Args:
        value: the answer, or a map from interrupt numbers or ids to answers; ignored where nothing is asked.
        interrupt_id: the number or id of the interrupt this answers, where several wait.
        thread: an id or alias; None means the current one.

    Raises:
        InvalidRequest: nothing waits there, or several interrupts wait and the answer names none.
    """
    session = session or current_session()
    thread_id = session.thread(thread)
    thread_row: Any = session.connection().call(lambda sdk: sdk.threads.get(thread_id))
    assistant = _assistant_of(session, thread_row)
    state: Any = session.connection().call(lambda sdk: sdk.threads.get_state(thread_id))
    waiting = interrupts_of(state)
    if not waiting and not state.get("next"):
        name = session.aliases.name("thread", thread_id)
        raise InvalidRequest(f"Nothing waits on {name}; start a run with %lg run.")
    row = session.find_assistant(assistant)
    started = Run(session, assistant=assistant, assistant_id=row["assistant_id"], thread_id=thread_id)
    command = Command(resume=answers_by_id(value, interrupt_id, waiting)) if waiting else None
    request = {**_checked(options), "command": command} if waiting else {**_checked(options), "input": None}
    follow(started, functools.partial(_create_stream, started, request), on_change=on_change)
    return settled(started, raise_error=raise_error)


async def aresume(value: Any = None, *, on_change: OnChange | None = None, **options: Any) -> Run:
    """`resume` for code that awaits; cancelling the task, or interrupting the kernel, cancels the run."""
    return await _followed_in_thread(lambda seen: resume(value, on_change=seen, **options), on_change=on_change)


def prepared(
    session: Session, assistant: str, text: Any, *, thread: str | None, options: Mapping[str, Any]
) -> tuple[Run, dict[str, Any]]:
    """The run to be started and its request, with text turned into the graph's input."""
    row = session.find_assistant(assistant)
    request = _checked(options)
    if isinstance(text, str):
        schema = session.input_schema(row["assistant_id"])
        text = inputs.run_input(text, schema=schema)
    request["input"] = {} if text is None else text
    thread_id, is_new = session.thread_for(assistant, thread)
    if is_new:
        request.setdefault("if_not_exists", "create")
    started = Run(session, assistant=assistant, assistant_id=row["assistant_id"], thread_id=thread_id)
    session.assistant = assistant
    return started, request


def find_run(session: Session, text: str | None) -> Run:
    """The run with this id or alias, on the current thread if it is not one of this notebook's; or the last one.

    Raises:
        InvalidRequest: none is named, and there was none yet.
        NotFound: the server knows no such run there.
    """
    if text is None:
        if session.last_run is None:
            raise InvalidRequest("There is no run in this notebook yet; start one with %lg run.")
        return session.last_run
    run_id = session.aliases.full_id("run", text)
    if session.last_run is not None and session.last_run.run_id == run_id:
        return session.last_run
    known = session.runs.get(run_id)
    if known is not None:
        return known
    thread_id = session.thread()
    row: Any = session.connection().call(lambda sdk: sdk.runs.get(thread_id, run_id))
    names = {one["assistant_id"]: str(one["name"]) for one in session.assistants()}
    assistant_id = str(row["assistant_id"])
    return Run(
        session,
        assistant=names.get(assistant_id, assistant_id),
        assistant_id=assistant_id,
        thread_id=thread_id,
        run_id=run_id,
    )


async def _followed_in_thread(follow_it: Callable[[OnChange], Run], *, on_change: OnChange | None) -> Run:
    """Follow a run in a thread; when its caller is cancelled, following ends as an interrupt would end it."""
    stop = threading.Event()

    def seen(one: Run) -> None:
        if stop.is_set():
            raise Stopped
        if on_change is not None:
            on_change(one)

    def work() -> Run | None:
        # A KeyboardInterrupt must not leave this thread: it would end the caller's whole event loop.
        with contextlib.suppress(Stopped):
            return follow_it(seen)
        return None

    ended = await in_thread(work, on_cancel=stop.set)
    assert ended is not None
    return ended


def _create_stream(run: Run, request: dict[str, Any], sdk: LangGraphClient) -> AsyncIterator[StreamPart]:
    # Its id comes before its first event, which may be far away: the thread may be busy.
    return sdk.runs.stream(
        run.thread_id,
        run.assistant_id,
        on_run_created=lambda created: run.view.accepted(created["run_id"]),
        **STREAMED,
        **request,
    )


def _checked(options: Mapping[str, Any]) -> dict[str, Any]:
    unknown = sorted(set(options) - PASSED_ON)
    if unknown:
        raise InvalidRequest(f"There is no option {unknown[0]!r}; known are {', '.join(sorted(PASSED_ON))}.")
    return {name: value for name, value in options.items() if value is not None}


def _assistant_of(session: Session, row: Mapping[str, Any]) -> str:
    metadata = row.get("metadata") or {}
    for key in ("graph_id", "assistant_id"):
        if metadata.get(key):
            known = {one["assistant_id"]: one for one in session.assistants()}
            stored = known.get(str(metadata.get("assistant_id")))
            if stored is not None and (stored.get("metadata") or {}).get("created_by") != "system":
                return str(stored["name"])
            return str(metadata[key])
    if session.assistant is None:
        raise InvalidRequest("No run has used this thread yet; start one with %lg run.")
    return session.assistant


astart = awaitable(start)
