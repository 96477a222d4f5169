"""`%lg run`, `resume`, `cancel`, `runs`, `result`, `wait`, `logs`, `trace`."""

from __future__ import annotations

import difflib
from collections.abc import Callable
from typing import Any

from IPython.core.error import UsageError

from ..client import inputs, past_runs
from ..client import runs as client
from ..client.cells import mark_shown
from ..client.inputs import FORMATS, answer
from ..client.session import Session, current_session
from ..client.tables import Table
from ..client.trace import Log, Trace
from .flags import AFTER, BEFORE, CONFIG, CONTEXT, LIMIT, MODE, STRATEGIES, THREAD, VAR, nodes, number, pairs
from .live import open_output, say
from .parsing import Arguments, Command, Flag, Group
from .views import ask_below, follow_below

STATUSES = ("pending", "running", "success", "error", "timeout", "interrupted")


def run(shell: Any, arguments: Arguments) -> client.Run:
    """Run an assistant; the Run is also bound to `_lg`."""
    session = current_session()
    assistant, text = _assistant_and_text(session, arguments)
    options = _options(arguments)
    thread = "new" if arguments.flag("new") else arguments.flag("thread")
    row = session.find_assistant(assistant)
    form = arguments.flag("input") or "auto"
    schema = session.input_schema(row["assistant_id"]) if form in ("auto", "text") and text.strip() else None
    given = inputs.run_input(text, schema=schema, form=form)
    if arguments.flag("background"):
        started = client.start(assistant, given, thread=thread, **options)
        follow_below(started)
        return _kept(shell, arguments, started)
    return _followed(
        shell, arguments, lambda changed: client.run(assistant, given, thread=thread, on_change=changed, **options)
    )


def resume(shell: Any, arguments: Arguments) -> client.Run:
    """Answer an interrupt, or continue where the thread paused."""
    text = arguments.body if arguments.body is not None else arguments.text
    value = answer(text)
    return _followed(
        shell,
        arguments,
        lambda changed: client.resume(
            value,
            interrupt_id=arguments.flag("id"),
            thread=arguments.flag("thread"),
            on_change=changed,
            **_options(arguments),
        ),
    )


def cancel(shell: Any, arguments: Arguments) -> None:
    """Ask the server to stop a run."""
    one = client.find_run(current_session(), _first(arguments))
    one.cancel(action="rollback" if arguments.flag("rollback") else "interrupt")
    name = current_session().aliases.name("run", one.run_id) if one.run_id else "the run"
    undone = " and to take back what it wrote" if arguments.flag("rollback") else ""
    say(f"Asked the server to stop {name}{undone}.")


def result(shell: Any, arguments: Arguments) -> client.Run:
    """A run as far as it came; one that still works is not waited for."""
    found = client.find_run(current_session(), _first(arguments))
    found.refresh()
    return _kept(shell, arguments, found)


def wait(shell: Any, arguments: Arguments) -> client.Run:
    """Follow a run to its end."""
    found = client.find_run(current_session(), _first(arguments))
    return _followed(shell, arguments, lambda changed: client.settled(found.wait(on_change=changed), raise_error=True))


def runs(shell: Any, arguments: Arguments) -> Table:
    """The runs of a thread."""
    return past_runs.list(_first(arguments), status=arguments.flag("status"), limit=number(arguments, "limit", 100))


def trace(shell: Any, arguments: Arguments) -> Trace:
    """What a run did, node by node."""
    return past_runs.trace(_first(arguments))


def logs(shell: Any, arguments: Arguments) -> Log:
    """The events of a run."""
    return past_runs.log(_first(arguments))


def _assistant_and_text(session: Session, arguments: Arguments) -> tuple[str, str]:
    """The assistant is the first word; where that names none, the current assistant gets the whole text."""
    line = arguments.text
    first, rest = [*line.split(maxsplit=1), "", ""][:2]
    names = _names(session)
    if first in names:
        text = rest
    else:
        near = difflib.get_close_matches(first, names, n=1, cutoff=0.75) if first else []
        if near:
            raise UsageError(f"There is no assistant {first!r}; did you mean {near[0]}?")
        if session.assistant is None:
            known = ", ".join(sorted({str(row["graph_id"]) for row in session.assistants()})) or "none"
            raise UsageError(f"Name an assistant first: %lg run ASSISTANT TEXT. This server has: {known}.")
        first, text = session.assistant, line
    if arguments.body is not None:
        if text.strip():
            raise UsageError("Give the input on the line or in the cell's body, not in both.")
        text = arguments.body
    return first, text


def _names(session: Session) -> list[str]:
    rows = session.assistants()
    return list({str(row[key]) for row in rows for key in ("name", "graph_id", "assistant_id")})


def _options(arguments: Arguments) -> dict[str, Any]:
    options = {
        "interrupt_before": nodes(arguments, "interrupt-before"),
        "interrupt_after": nodes(arguments, "interrupt-after"),
        "multitask_strategy": arguments.flag("strategy"),
        "webhook": arguments.flag("webhook"),
        "config": pairs(arguments, "config"),
        "context": pairs(arguments, "context"),
    }
    return {name: value for name, value in options.items() if value is not None}


def _followed(shell: Any, arguments: Arguments, follow: Callable[[client.OnChange], client.Run]) -> client.Run:
    """Follow a run with a live output; whatever happens, what came is shown and bound."""
    output = open_output(current_session().aliases)
    followed: list[client.Run] = []

    def changed(one: client.Run) -> None:
        one.show = arguments.flag("mode") or one.show
        followed[:] = [one]
        output.changed(one)

    try:
        ended = follow(changed)
    finally:
        output.close()
        if followed:
            mark_shown(followed[0])
            _kept(shell, arguments, followed[0])
    ask_below(ended)
    return ended


def _kept(shell: Any, arguments: Arguments, one: client.Run) -> client.Run:
    names = {"_lg": one}
    if arguments.flag("var"):
        if not str(arguments.flag("var")).isidentifier():
            raise UsageError(f"--var takes a variable's name, not {arguments.flag('var')!r}")
        names[str(arguments.flag("var"))] = one
    shell.push(names)
    return one


def _first(arguments: Arguments) -> str | None:
    return arguments.words[0] if arguments.words else None


_RUN_USAGE: dict[str, Any] = {"usage": "[RUN]", "words": 1, "complete": "runs"}

GROUP = Group(
    "Runs",
    (
        Command(
            name="run",
            run=run,
            usage="ASSISTANT [TEXT]",
            takes_text=True,
            takes_body=True,
            complete="assistants",
            help="run an assistant and stream it into this cell; the text, or the cell's body, is the input",
            flags=(
                THREAD,
                Flag(name="new", help="on a new thread"),
                MODE,
                VAR,
                Flag(
                    name="input", value="FORMAT", choices=FORMATS, help="how to read the input: " + ", ".join(FORMATS)
                ),
                Flag(name="background", help="start it and return; see result and wait"),
                BEFORE,
                AFTER,
                Flag(
                    name="strategy",
                    value="STRATEGY",
                    choices=STRATEGIES,
                    help="when the thread is busy: " + ", ".join(STRATEGIES),
                ),
                CONFIG,
                CONTEXT,
                Flag(name="webhook", value="URL", help="is told how the run ended"),
            ),
            examples=(
                "%lg run agent Why is the sky blue?",
                '%lg run steps {"topic": "rain"} --new',
                "%%lg run agent --thread thread#1",
            ),
        ),
        Command(
            name="resume",
            run=resume,
            usage="[VALUE]",
            takes_text=True,
            takes_body=True,
            help="answer the interrupt of the current thread (JSON or text), or continue where it paused",
            flags=(
                Flag(name="id", value="N", help="which interrupt, where several wait"),
                THREAD,
                MODE,
                VAR,
                BEFORE,
                AFTER,
                CONTEXT,
            ),
            examples=("%lg resume yes", '%lg resume {"type": "approve"}', '%lg resume {"1": "yes", "2": "no"}'),
        ),
        Command(
            name="cancel",
            run=cancel,
            help="stop a run; the last one when none is named",
            flags=(Flag(name="rollback", help="also take back what the run has written"),),
            **_RUN_USAGE,
        ),
        Command(
            name="runs",
            run=runs,
            usage="[THREAD]",
            words=1,
            complete="threads",
            help="the runs of a thread, newest first",
            flags=(
                Flag(name="status", value="STATUS", choices=STATUSES, help="only those: " + ", ".join(STATUSES)),
                LIMIT,
            ),
        ),
        Command(name="result", run=result, help="a run as far as it came", flags=(VAR,), **_RUN_USAGE),
        Command(
            name="wait",
            run=wait,
            help="follow a background run to its end; interrupting stops the waiting, not the run",
            flags=(MODE, VAR),
            **_RUN_USAGE,
        ),
        Command(name="trace", run=trace, help="what a run did, node by node, with times", **_RUN_USAGE),
        Command(name="logs", run=logs, help="the events of a run, line by line, with times", **_RUN_USAGE),
    ),
)
