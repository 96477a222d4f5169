"""`%lg run`, `resume`, `cancel`, `runs`, `result`, `wait`."""

from __future__ import annotations

import difflib
from collections.abc import Callable
from typing import Any

from IPython.core.error import UsageError

from ..client import inputs
from ..client import runs as client
from ..client.cells import mark_shown
from ..client.inputs import answer, scalar
from ..client.render import is_live
from ..client.session import Session, current_session
from ..client.tables import Record, Table
from .live import open_output, say
from .parsing import Arguments, assignments
from .views import ask_below, follow_below


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
    one = _chosen(arguments)
    one.cancel()
    name = current_session().aliases.name("run", one.run_id) if one.run_id else "the run"
    say(f"Asked the server to stop {name}.")


def result(shell: Any, arguments: Arguments) -> client.Run:
    """A run as far as it came; one that still works is not waited for."""
    found = _chosen(arguments)
    found.refresh()
    return _kept(shell, arguments, found)


def wait(shell: Any, arguments: Arguments) -> client.Run:
    """Follow a run to its end."""
    found = _chosen(arguments)
    return _followed(shell, arguments, lambda changed: client.settled(found.wait(on_change=changed), raise_error=True))


def runs(shell: Any, arguments: Arguments) -> Table:
    """The runs of a thread."""
    session = current_session()
    thread_id = session.thread(arguments.words[0] if arguments.words else None)
    found: Any = session.connection().call(lambda sdk: sdk.runs.list(thread_id, limit=100))
    # Met oldest first, so that run#1 is the first one whatever was looked at before.
    for row in reversed(found):
        session.aliases.name("run", row["run_id"])
    names = {row["assistant_id"]: str(row["name"]) for row in session.assistants()}

    def assistant(_: int, row: Record) -> str:
        return names.get(row["assistant_id"], str(row["assistant_id"]))

    columns = [
        ("run", lambda _, row: session.aliases.name("run", row["run_id"])),
        ("assistant", assistant),
        ("status", lambda _, row: str(row["status"])),
    ]
    if is_live():
        columns.append(("created", lambda _, row: str(row["created_at"])[:19].replace("T", " ")))
        columns.append(("id", lambda _, row: str(row["run_id"])))
    title = session.aliases.name("thread", thread_id)
    return Table(found, columns=columns, title=title, empty="No run on this thread yet.")


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
    options: dict[str, Any] = {}
    for flag, name in (("interrupt-before", "interrupt_before"), ("interrupt-after", "interrupt_after")):
        nodes = arguments.flag(flag)
        if nodes:
            options[name] = "*" if nodes == "*" else [node.strip() for node in nodes.split(",") if node.strip()]
    if arguments.flag("strategy"):
        options["multitask_strategy"] = arguments.flag("strategy")
    for name in ("config", "context"):
        if arguments.flag(name):
            options[name] = assignments(arguments.flag(name), flag=name, read=scalar)
    return options


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


def _chosen(arguments: Arguments) -> client.Run:
    session = current_session()
    if arguments.words:
        return client.find_run(session, arguments.words[0])
    if session.last_run is None:
        raise UsageError("There is no run in this notebook yet; start one with %lg run.")
    return session.last_run
