"""`lgnb.assistants`: what this server can run: search, create, edit and version assistants; how each graph looks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..errors import InvalidRequest
from .drawing import Drawing
from .render import brief, is_live
from .session import current_session
from .tables import Record, Table, moment
from .twins import awaitable


def search(*, graph: str | None = None, name: str | None = None, metadata: Mapping[str, Any] | None = None) -> Table:
    """The assistants of the server, by graph and name.

    Args:
        graph: only assistants of this graph id.
        name: only assistants whose name contains this text.
        metadata: only assistants whose metadata has these values.
    """
    session = current_session()
    rows = session.assistants(refresh=True)
    if graph is not None:
        rows = [row for row in rows if row["graph_id"] == graph]
    if name is not None:
        rows = [row for row in rows if name.lower() in str(row["name"]).lower()]
    if metadata is not None:
        rows = [row for row in rows if metadata.items() <= (row.get("metadata") or {}).items()]
    columns = [
        ("assistant", lambda _, row: ("* " if row["name"] == session.assistant else "  ") + str(row["name"])),
        ("graph", lambda _, row: str(row["graph_id"])),
        ("version", lambda _, row: str(row.get("version") or "")),
        ("context", lambda _, row: _told(row)),
        ("description", lambda _, row: str(row.get("description") or "")),
    ]
    if not any(_told(row) for row in rows):
        del columns[3]
    return Table(rows, columns=columns, empty="This server has no such assistant.")


def get(assistant: str) -> dict[str, Any]:
    """The row of an assistant, found by its name, graph id or id."""
    return current_session().find_assistant(assistant)


def use(assistant: str, *, version: int | None = None) -> dict[str, Any]:
    """Make this the current assistant: the one a `%lg run` without a name uses.

    Args:
        version: also go back (or forward) to this version, for every client of the server.
    """
    session = current_session()
    row = session.find_assistant(assistant)
    if version is not None:
        assistant_id = row["assistant_id"]
        session.connection().call(lambda sdk: sdk.assistants.set_latest(assistant_id, version))
        row = _fresh(assistant_id)
    session.assistant = assistant
    return row


def create(
    name: str,
    *,
    graph: str | None = None,
    context: Mapping[str, Any] | None = None,
    config: Mapping[str, Any] | None = None,
    metadata: Mapping[str, Any] | None = None,
    description: str | None = None,
) -> dict[str, Any]:
    """Create an assistant: a graph under a name of its own, with its own context and config.

    Args:
        graph: the graph id; may be left out where the server has one graph, or where `name` is one.

    Raises:
        InvalidRequest: the name is taken, or it is not clear which graph is meant.
    """
    session = current_session()
    rows = session.assistants(refresh=True)
    if any(row["name"] == name for row in rows):
        raise InvalidRequest(f"There is an assistant {name!r} already; change it with %lg assistant edit {name}.")
    graphs = sorted({str(row["graph_id"]) for row in rows})
    if graph is None:
        if len(graphs) != 1:
            raise InvalidRequest(f"Say which graph {name!r} is made of: {', '.join(graphs) or 'none is served'}.")
        graph = graphs[0]
    elif graphs and graph not in graphs:
        raise InvalidRequest(f"There is no graph {graph!r}; this server has {', '.join(graphs)}.")
    created: Any = session.connection().call(
        lambda sdk: sdk.assistants.create(
            graph,
            config=_any(config),
            context=_any(context),
            metadata=_any(metadata),
            name=name,
            description=description,
        )
    )
    return _fresh(str(created["assistant_id"]))


def update(
    assistant: str,
    *,
    context: Mapping[str, Any] | None = None,
    config: Mapping[str, Any] | None = None,
    metadata: Mapping[str, Any] | None = None,
    name: str | None = None,
    description: str | None = None,
    graph: str | None = None,
    replace: bool = False,
) -> dict[str, Any]:
    """Change an assistant, as a new version.

    Args:
        replace: whether `context` and `config` replace the old ones; otherwise their keys are merged in.
    """
    session = current_session()
    row = session.find_assistant(assistant)
    assistant_id = str(row["assistant_id"])
    if not replace:
        context = {**(row.get("context") or {}), **context} if context else None
        config = _merged(row.get("config") or {}, config) if config else None
    session.connection().call(
        lambda sdk: sdk.assistants.update(
            assistant_id,
            graph_id=graph,
            config=_any(config),
            context=_any(context),
            metadata=_any(metadata),
            name=name,
            description=description,
        )
    )
    if name is not None and session.assistant == assistant:
        session.assistant = name
    return _fresh(assistant_id)


def versions(assistant: str) -> Table:
    """Every version of an assistant, newest first; the one in use is marked."""
    session = current_session()
    row = session.find_assistant(assistant)
    found: Any = session.connection().call(lambda sdk: sdk.assistants.get_versions(row["assistant_id"], limit=1000))
    latest = _fresh(str(row["assistant_id"])).get("version")
    columns = [
        ("version", lambda _, one: ("* " if one.get("version") == latest else "  ") + str(one.get("version"))),
        ("name", lambda _, one: str(one.get("name") or "")),
        ("context", lambda _, one: _told(one)),
        ("config", lambda _, one: _config_line(one)),
        ("description", lambda _, one: str(one.get("description") or "")),
    ]
    columns = [one for one in columns if one[0] == "version" or any(one[1](0, row) for row in found)]
    if is_live():
        columns.append(("created", lambda _, one: moment(one.get("created_at"))))
    return Table(found, columns=columns, title=f"{row['name']} (graph {row['graph_id']})")


def delete(assistant: str, *, delete_threads: bool = False) -> None:
    """Delete an assistant with all its versions.

    Args:
        delete_threads: also delete the threads that were made with it.
    """
    session = current_session()
    row = session.find_assistant(assistant)
    session.connection().call(lambda sdk: sdk.assistants.delete(row["assistant_id"], delete_threads=delete_threads))
    session.assistants(refresh=True)
    if session.assistant == assistant:
        session.assistant = None


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


def _fresh(assistant_id: str) -> dict[str, Any]:
    """The row as it is now, also for whatever asks the session's list next."""
    rows = current_session().assistants(refresh=True)
    return next(row for row in rows if row["assistant_id"] == assistant_id)


def _told(row: Record) -> str:
    """What the graph is told by this assistant."""
    return ", ".join(f"{key}={brief(value, 40)}" for key, value in (row.get("context") or {}).items())


def _config_line(row: Record) -> str:
    """The config apart from what only repeats the context."""
    config = dict(row.get("config") or {})
    if config.get("configurable") == (row.get("context") or {}):
        config.pop("configurable", None)
    return brief(config) if config else ""


def _merged(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    both = {**old, **new}
    if isinstance(old.get("configurable"), dict) and isinstance(new.get("configurable"), dict):
        both["configurable"] = {**old["configurable"], **new["configurable"]}
    return both


def _any(value: Mapping[str, Any] | None) -> Any:
    return None if value is None else dict(value)


asearch = awaitable(search)
aget = awaitable(get)
ause = awaitable(use)
acreate = awaitable(create)
aupdate = awaitable(update)
aversions = awaitable(versions)
adelete = awaitable(delete)
aschemas = awaitable(schemas)
agraph = awaitable(graph)
