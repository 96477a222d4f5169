"""`%lg status` and `connect`, and the help texts."""

from __future__ import annotations

import html
import os
from typing import Any

from IPython.core.error import UsageError

from ..client.connect import connect as use_server
from ..client.render import is_live
from ..client.session import current_session
from ..client.tables import Table
from ..errors import LgnbError
from .parsing import Arguments, Command, Flag, Group


class Help:
    """A help text that keeps its columns."""

    def __init__(self, text: str) -> None:
        self.text = text

    def __repr__(self) -> str:
        return self.text

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        return {"text/plain": self.text, "text/html": f"<pre>{html.escape(self.text)}</pre>"}


def status(shell: Any, arguments: Arguments) -> Table:
    """Where this notebook stands; with `-v` also where the server was looked for."""
    session = current_session()
    rows: list[dict[str, str]] = []
    try:
        connection = session.connection()
        info = connection.call(lambda sdk: sdk.http.get("/info"))
        names = [str(row["name"]) for row in session.assistants(refresh=True)]
    except LgnbError as error:
        if not arguments.flag("verbose"):
            raise
        rows = [_row("server", f"none: {error}")]
    else:
        where = f"{connection.server.url} ({connection.server.found_by})" if is_live() else "connected"
        rows.append(_row("server", where))
        if is_live():
            rows.append(_row("version", f"{info.get('version')}, langgraph {info.get('langgraph_py_version')}"))
        rows.extend(_workers(connection))
        rows.append(_row("assistants", ", ".join(names) or "none"))
        rows.extend(_row("failed graph", f"{one.get('graph_id')}: {one.get('error')}") for one in _failed(info))
        rows.append(_row("assistant", session.assistant or "none chosen yet"))
        thread = session.aliases.name("thread", session.thread_id) if session.thread_id else "none yet"
        rows.append(_row("thread", thread))
    if arguments.flag("verbose"):
        rows.extend(_row(f"looked at {step.place}", step.outcome) for step in session.steps)
    return Table(rows, columns=[("", lambda _, row: row["what"]), ("lgnb", lambda _, row: row["value"])])


def connect(shell: Any, arguments: Arguments) -> Table:
    """Use a named server, or search again."""
    if not arguments.words:
        use_server()
    else:
        variable = arguments.flag("key-env") or "LGNB_API_KEY"
        if arguments.flag("key-env") and not os.environ.get(variable):
            raise UsageError(f"The environment variable {variable} is not set; put the key of the server there")
        use_server(arguments.words[0], api_key=os.environ.get(variable) or None)
    return status(shell, Arguments((), "", {}))


def _row(what: str, value: str) -> dict[str, str]:
    return {"what": what, "value": value}


def _workers(connection: Any) -> list[dict[str, str]]:
    """How many runs work and wait; a server that tells no metrics leaves the line out."""
    if not is_live():
        return []
    try:
        found = connection.call(lambda sdk: sdk.http.get("/metrics", params={"format": "json"}))
        workers, queue = found["workers"], found["queue"]
        text = f"{workers['active']} of {workers['max']} slots work, {queue['n_pending']} runs wait"
    except (LgnbError, ValueError, KeyError, TypeError):
        return []
    return [_row("workers", text)]


def _failed(info: Any) -> list[dict[str, Any]]:
    own = info.get("lgnb") if isinstance(info, dict) else None
    return list(own.get("failed_graphs") or []) if isinstance(own, dict) else []


GROUP = Group(
    "Where am I",
    (
        Command(
            name="status",
            run=status,
            help="where am I: server, assistants, current thread; also %lg alone",
            flags=(Flag(name="verbose", short="v", help="also say where the server was looked for"),),
        ),
        Command(
            name="connect",
            run=connect,
            usage="[URL]",
            words=1,
            help="use the server at this address; without one, search again",
            flags=(Flag(name="key-env", value="NAME", help="environment variable that holds the key (LGNB_API_KEY)"),),
        ),
    ),
)
