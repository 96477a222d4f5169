"""`%lg serve`, `unserve`, `export` and `replay`: graphs that live in this notebook."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from IPython.core.error import UsageError

from ..client.inputs import answer
from .live import say
from .parsing import Arguments, Command, Flag, Group

if TYPE_CHECKING:
    from ..kernel.exporting import Exported
    from ..kernel.replaying import Replay
    from ..kernel.serving import Live

# What executes graphs loads the graph library, so it is imported where it is used: %load_ext stays quick.

_SERVE = re.compile(r"(?P<graph>.+?)\s+as\s+(?P<name>\S+)")


def serve(shell: Any, arguments: Arguments) -> Live:
    """Serve a graph of this notebook under a name."""
    from ..kernel import following, serving

    match = _SERVE.fullmatch(arguments.text)
    if match is None:
        raise UsageError("Say which graph and its name: %lg serve graph as my-agent")
    live = serving.serve(
        evaluated(shell, match["graph"]),
        match["name"],
        description=arguments.flag("description"),
        take_over=bool(arguments.flag("take-over")),
    )
    following.follow(shell, match["graph"], live)
    return live


def unserve(shell: Any, arguments: Arguments) -> None:
    """Stop serving a graph."""
    from ..kernel import serving

    if not arguments.words:
        names = ", ".join(serving.served_names()) or "nothing"
        raise UsageError(f"Say which graph: %lg unserve NAME; this kernel serves {names}")
    serving.unserve(arguments.words[0])
    say(f"{arguments.words[0]} is no longer served; its new runs wait until somebody serves it again.")


def export(shell: Any, arguments: Arguments) -> Exported:
    """Write a live graph to a module, for a permanent worker."""
    from ..kernel import exporting, serving

    name, folder = (*arguments.words, None, None)[:2]
    if name is None:
        names = ", ".join(serving.served_names()) or "nothing"
        raise UsageError(f"Say which graph: %lg export NAME [FOLDER]; this kernel serves {names}")
    return exporting.export(
        serving.served(name),
        cells=shell.history_manager.input_hist_raw,
        values=shell.user_ns,
        directory=Path(folder) if folder else None,
    )


def replay(shell: Any, arguments: Arguments) -> Replay:
    """Run a graph of this notebook from a checkpoint of a thread, and compare."""
    from ..kernel import replaying

    graph = arguments.flag("graph") or "graph"
    variable = arguments.flag("key-env")
    if variable and not os.environ.get(variable):
        raise UsageError(f"The environment variable {variable} is not set; put the key of that server there")
    resume = arguments.flag("resume")
    return replaying.replay(
        evaluated(shell, graph),
        arguments.words[0] if arguments.words else None,
        start=arguments.flag("from") or 0,
        url=arguments.flag("url"),
        api_key=os.environ[variable] if variable else None,
        resume=None if resume is None else answer(resume),
    )


def evaluated(shell: Any, expression: str) -> Any:
    """The object that an expression of the notebook names.

    Raises:
        UsageError: there is no such thing.
    """
    try:
        return shell.ev(expression)
    except Exception as error:  # noqa: BLE001  it is the user's expression
        raise UsageError(f"{expression} is no graph of this notebook ({type(error).__name__}: {error})") from None


GROUP = Group(
    "Live graphs",
    (
        Command(
            name="serve",
            run=serve,
            usage="GRAPH as NAME",
            takes_text=True,
            help="serve a graph of this notebook as an assistant, while the kernel lives; again to swap it",
            flags=(
                Flag(name="description", value="TEXT", help="what assistants say about it"),
                Flag(name="take-over", help="also take a name that another kernel serves"),
            ),
            examples=("%lg serve graph as my-agent",),
        ),
        Command(
            name="unserve",
            run=unserve,
            usage="NAME",
            words=1,
            help="stop serving a graph; its threads and assistants stay",
        ),
        Command(
            name="export",
            run=export,
            usage="NAME [FOLDER]",
            words=2,
            help="write a live graph to a module and a langgraph.json, for a permanent worker",
        ),
        Command(
            name="replay",
            run=replay,
            usage="[THREAD]",
            words=1,
            complete="threads",
            help="run a graph of this notebook from a checkpoint, and compare it with what came of it on the server",
            flags=(
                Flag(name="from", value="N", help="which checkpoint, as %lg history counts them (0, the newest)"),
                Flag(name="graph", value="GRAPH", help="the variable that holds the graph (graph)"),
                Flag(name="resume", value="VALUE", help="the answer to interrupts that come up"),
                Flag(name="url", value="URL", help="the API root of another server that has the thread"),
                Flag(name="key-env", value="NAME", help="environment variable that holds the key of that server"),
            ),
            examples=("%lg replay --from 3", "%lg replay thread#1 --from 3 --graph better_graph"),
        ),
    ),
)
