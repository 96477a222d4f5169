"""`%lg threads`, `thread`, `history`, `state`."""

from __future__ import annotations

from typing import Any

from IPython.core.error import UsageError

from ..client import threads as client
from ..client.render import is_live
from ..client.session import current_session
from ..client.tables import Table
from ..client.thread_state import State
from .live import say
from .parsing import Arguments


def threads(shell: Any, arguments: Arguments) -> Table:
    """The newest threads of the server."""
    return client.list(limit=_number(arguments, "limit", 20), status=arguments.flag("status"))


def thread(shell: Any, arguments: Arguments) -> State | None:
    """Show or choose the current thread, begin a new one, copy or delete one."""
    session = current_session()
    first, second = (*arguments.words, None, None)[:2]
    if second is not None and first not in ("copy", "delete"):
        raise UsageError(f"%lg thread takes one id; {second!r} is too much")
    match first:
        case None:
            say(
                f"Current thread: {_name(session.thread_id)}"
                if session.thread_id
                else "There is no current thread yet."
            )
        case "new":
            session.choose_thread("new")
            say("The next run begins a new thread.")
        case "copy":
            copied = client.copy(second)
            say(f"Copied; the current thread is now {_name(copied)}.")
        case "delete":
            if second is None:
                raise UsageError("Say which thread to delete: %lg thread delete ID")
            name = _name(session.aliases.full_id("thread", second))
            client.delete(second)
            say(f"Deleted {name}.")
        case _:
            row = client.get(first)
            session.choose_thread(str(row["thread_id"]))
            return client.state()
    return None


def history(shell: Any, arguments: Arguments) -> Table:
    """The checkpoints of a thread."""
    return client.history(_first(arguments), limit=_number(arguments, "limit", 100))


def state(shell: Any, arguments: Arguments) -> State:
    """The latest state of a thread."""
    return client.state(_first(arguments))


def _first(arguments: Arguments) -> str | None:
    return arguments.words[0] if arguments.words else None


def _number(arguments: Arguments, flag: str, default: int) -> int:
    text = arguments.flag(flag)
    if text is None:
        return default
    if not str(text).isdigit() or not 1 <= int(text) <= 1000:
        raise UsageError(f"--{flag} takes a number from 1 to 1000, not {text!r}")
    return int(text)


def _name(thread_id: str) -> str:
    alias = current_session().aliases.name("thread", thread_id)
    return f"{alias} ({thread_id})" if is_live() else alias
