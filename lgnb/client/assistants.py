"""`lgnb.assistants`: what this server can run, and how each graph looks."""

from __future__ import annotations

from typing import Any

from .drawing import Drawing
from .session import current_session
from .tables import Table


def list() -> Table:
    """Every assistant of the server, by graph and name."""
    session = current_session()
    columns = [
        ("assistant", lambda _, row: ("* " if row["name"] == session.assistant else "  ") + str(row["name"])),
        ("graph", lambda _, row: str(row["graph_id"])),
        ("version", lambda _, row: str(row.get("version") or "")),
        ("description", lambda _, row: str(row.get("description") or "")),
    ]
    return Table(session.assistants(refresh=True), columns=columns, empty="This server has no assistants.")


def get(assistant: str) -> dict[str, Any]:
    """The row of an assistant, found by its name, graph id or id."""
    return current_session().find_assistant(assistant)


def use(assistant: str) -> dict[str, Any]:
    """Make this the current assistant: the one a `%lg run` without a name uses."""
    session = current_session()
    row = session.find_assistant(assistant)
    session.assistant = assistant
    return row


def schemas(assistant: str) -> dict[str, Any]:
    """The JSON schemas of an assistant's graph: input, output, state, config, context."""
    session = current_session()
    assistant_id = session.find_assistant(assistant)["assistant_id"]
    found: Any = session.connection().call(lambda sdk: sdk.assistants.get_schemas(assistant_id))
    return dict(found)


def graph(assistant: str, *, xray: bool | int = False) -> Drawing:
    """The nodes and edges of an assistant's graph.

    Args:
        xray: whether, or how deep, subgraphs are opened.
    """
    session = current_session()
    row = session.find_assistant(assistant)
    found: Any = session.connection().call(lambda sdk: sdk.assistants.get_graph(row["assistant_id"], xray=xray))
    return Drawing(assistant, nodes=found["nodes"], edges=found["edges"])
