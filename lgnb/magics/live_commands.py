"""`%lg serve` and `unserve`: graphs that live in this notebook."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from IPython.core.error import UsageError

from .live import say
from .parsing import Arguments, Command, Flag

if TYPE_CHECKING:
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


def evaluated(shell: Any, expression: str) -> Any:
    """The object that an expression of the notebook names.

    Raises:
        UsageError: there is no such thing.
    """
    try:
        return shell.ev(expression)
    except Exception as error:  # noqa: BLE001  it is the user's expression
        raise UsageError(f"{expression} is no graph of this notebook ({type(error).__name__}: {error})") from None


COMMANDS = (
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
        name="unserve", run=unserve, usage="NAME", words=1, help="stop serving a graph; its threads and assistants stay"
    ),
)
