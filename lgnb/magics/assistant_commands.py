"""`%lg assistants`, `assistant create | edit | versions | use | delete`, and `graph`."""

from __future__ import annotations

import difflib
from typing import Any

from IPython.core.error import UsageError

from ..client import assistants as client
from ..client.session import current_session
from ..client.tables import Table
from ..errors import AssistantNotFound
from .flags import CONFIG, CONTEXT, METADATA, pairs, required
from .live import say
from .parsing import Arguments, Command, Flag, Group
from .views import drawn


def assistants(shell: Any, arguments: Arguments) -> Table:
    """What this server can run."""
    return client.search(graph=arguments.flag("graph"))


def assistant(shell: Any, arguments: Arguments) -> None:
    """Choose the current assistant."""
    name = required(_first(arguments), "Say which assistant: %lg assistant NAME; %lg assistants lists them")
    try:
        row = client.use(name)
    except AssistantNotFound:
        near = difflib.get_close_matches(name, _VERBS, n=1, cutoff=0.7)
        if not near:
            raise
        raise UsageError(f"There is no assistant {name!r}; did you mean %lg assistant {near[0]}?") from None
    say(f"The current assistant is {name} (graph {row['graph_id']}).")


def use(shell: Any, arguments: Arguments) -> None:
    """Choose the current assistant, and the version of it that the server uses."""
    name = _named(arguments, "use")
    version = arguments.flag("version")
    if version is not None and not str(version).isdigit():
        raise UsageError(f"--version takes a number of %lg assistant versions {name}, not {version!r}")
    row = client.use(name, version=None if version is None else int(version))
    of = f", version {row['version']}" if version is not None else ""
    say(f"The current assistant is {name} (graph {row['graph_id']}{of}).")


def create(shell: Any, arguments: Arguments) -> Table:
    """Create an assistant."""
    name = _named(arguments, "create")
    client.create(
        name,
        graph=arguments.flag("graph"),
        context=pairs(arguments, "context"),
        config=pairs(arguments, "config"),
        metadata=pairs(arguments, "metadata"),
        description=arguments.flag("description"),
    )
    return client.versions(name)


def edit(shell: Any, arguments: Arguments) -> Table:
    """Change an assistant, as a new version."""
    name = _named(arguments, "edit")
    changes: dict[str, Any] = {
        "context": pairs(arguments, "context"),
        "config": pairs(arguments, "config"),
        "metadata": pairs(arguments, "metadata"),
        "name": arguments.flag("name"),
        "description": arguments.flag("description"),
    }
    if not any(value is not None for value in changes.values()):
        raise UsageError(f"Say what to change: %lg assistant edit {name} --context KEY=VALUE, --name NAME, …")
    client.update(name, replace=bool(arguments.flag("replace")), **changes)
    return client.versions(str(changes["name"] or name))


def versions(shell: Any, arguments: Arguments) -> Table:
    """The versions of an assistant."""
    return client.versions(_first(arguments) or _current("versions"))


def delete(shell: Any, arguments: Arguments) -> None:
    """Delete an assistant."""
    name = _named(arguments, "delete")
    client.delete(name, delete_threads=bool(arguments.flag("threads")))
    say(f"Deleted {name} with all its versions.")


def graph(shell: Any, arguments: Arguments) -> Any:
    """The drawing of a graph."""
    name = _first(arguments) or current_session().assistant
    if name is None:
        raise UsageError("Say which graph: %lg graph NAME; %lg assistants lists them")
    return drawn(name, xray=bool(arguments.flag("xray")))


def _first(arguments: Arguments) -> str | None:
    return arguments.words[0] if arguments.words else None


def _named(arguments: Arguments, verb: str) -> str:
    return required(_first(arguments), f"Say which assistant: %lg assistant {verb} NAME")


def _current(verb: str) -> str:
    name = current_session().assistant
    if name is None:
        raise UsageError(f"Say which assistant: %lg assistant {verb} NAME; %lg assistants lists them")
    return name


_DESCRIPTION = Flag(name="description", value="TEXT", help="a sentence about it; quote it")

GROUP = Group(
    "Assistants",
    (
        Command(
            name="assistants",
            run=assistants,
            help="what this server can run",
            flags=(Flag(name="graph", value="GRAPH", help="only those of this graph", complete="graphs"),),
        ),
        Command(
            name="assistant",
            run=assistant,
            usage="NAME",
            words=1,
            complete="assistants",
            help="make NAME the current assistant, which runs without a name use",
        ),
        Command(
            name="assistant create",
            run=create,
            usage="NAME --graph GRAPH",
            words=1,
            help="a graph under a name of its own, with its own context and config",
            flags=(
                Flag(name="graph", value="GRAPH", help="the graph it is made of", complete="graphs"),
                CONTEXT,
                CONFIG,
                METADATA,
                _DESCRIPTION,
            ),
            examples=("%lg assistant create slow --graph agent --context token_delay=0.2",),
        ),
        Command(
            name="assistant edit",
            run=edit,
            usage="NAME",
            words=1,
            complete="assistants",
            help="change it, as a new version; values are merged into the old ones",
            flags=(
                CONTEXT,
                CONFIG,
                METADATA,
                Flag(name="name", value="NAME", help="another name"),
                _DESCRIPTION,
                Flag(name="replace", help="the given context or config replaces the old one"),
            ),
            examples=("%lg assistant edit slow --context token_delay=0.1",),
        ),
        Command(
            name="assistant versions",
            run=versions,
            usage="[NAME]",
            words=1,
            complete="assistants",
            help="every version, newest first",
        ),
        Command(
            name="assistant use",
            run=use,
            usage="NAME",
            words=1,
            complete="assistants",
            help="make it the current assistant, also at an older version",
            flags=(Flag(name="version", value="N", help="go back to this version, for every client of the server"),),
        ),
        Command(
            name="assistant delete",
            run=delete,
            usage="NAME",
            words=1,
            complete="assistants",
            help="delete it with all its versions",
            flags=(Flag(name="threads", help="also delete the threads made with it"),),
        ),
        Command(
            name="graph",
            run=graph,
            usage="[NAME]",
            words=1,
            complete="assistants",
            help="the nodes and edges of an assistant's graph",
            flags=(Flag(name="xray", help="open subgraphs"),),
        ),
    ),
)

_VERBS = [command.name.partition(" ")[2] for command in GROUP.commands if " " in command.name]
