"""`%lg threads`, `thread …`, `state`, `history`, `fork`, `diff`, `update`, `interrupts`."""

from __future__ import annotations

from typing import Any

from IPython.core.error import UsageError

from ..client import threads as client
from ..client.differences import Difference
from ..client.render import is_live
from ..client.session import current_session
from ..client.tables import Table
from ..client.thread_state import State
from .flags import LIMIT, METADATA, OF_THREAD, number, pairs, required, values_of
from .live import say
from .parsing import Arguments, Command, Flag, Group

STATUSES = ("idle", "busy", "interrupted", "error")


def threads(shell: Any, arguments: Arguments) -> Table:
    """The newest threads of the server."""
    return client.search(
        limit=number(arguments, "limit", 20), status=arguments.flag("status"), metadata=pairs(arguments, "metadata")
    )


def thread(shell: Any, arguments: Arguments) -> State | None:
    """Show or choose the current thread."""
    session = current_session()
    if arguments.words:
        row = client.get(arguments.words[0])
        session.choose_thread(str(row["thread_id"]))
        return client.state()
    known = session.thread_id is not None
    say(f"Current thread: {_name(session.thread_id)}" if known else "There is no current thread yet.")
    return None


def new(shell: Any, arguments: Arguments) -> None:
    """Let the next run begin a new thread."""
    current_session().choose_thread("new")
    say("The next run begins a new thread.")


def copy(shell: Any, arguments: Arguments) -> None:
    """Copy a thread."""
    say(f"Copied; the current thread is now {_name(client.copy(_first(arguments)))}.")


def delete(shell: Any, arguments: Arguments) -> None:
    """Delete a thread."""
    wanted = required(_first(arguments), "Say which thread to delete: %lg thread delete ID")
    name = _name(current_session().thread(wanted))
    client.delete(wanted)
    say(f"Deleted {name}.")


def export(shell: Any, arguments: Arguments) -> None:
    """Write a thread to a file."""
    path = arguments.words[1] if len(arguments.words) > 1 else None
    try:
        file = client.export(_first(arguments), path)
    except FileExistsError as error:
        raise UsageError(
            f"There is a file {error.filename} already; name another one: %lg thread export ID FILE"
        ) from None
    except OSError as error:
        raise UsageError(f"{error.filename} cannot be written: {error.strerror}") from None
    say(f"Wrote the thread with its runs and checkpoints to {file if is_live() or path else 'a JSON file'}.")


def state(shell: Any, arguments: Arguments) -> State:
    """The state of a thread."""
    return client.state(_first(arguments), at=arguments.flag("at"))


def history(shell: Any, arguments: Arguments) -> Table:
    """The checkpoints of a thread."""
    return client.history(_first(arguments), limit=number(arguments, "limit", 100))


def fork(shell: Any, arguments: Arguments) -> State:
    """Branch from a checkpoint."""
    at = required(_first(arguments), "Say where: %lg fork N, with a number of %lg history")
    return client.fork(at, thread=arguments.flag("thread"))


def diff(shell: Any, arguments: Arguments) -> Difference:
    """Compare two checkpoints, or two threads."""
    before = required(_first(arguments), "Say what to compare: %lg diff A B, with numbers of %lg history")
    after = arguments.words[1] if len(arguments.words) > 1 else "0"
    return client.diff(before, after, thread=arguments.flag("thread"))


def update(shell: Any, arguments: Arguments) -> State:
    """Write to the state."""
    text = (arguments.body if arguments.body is not None else arguments.text).strip()
    example = '%lg update {"topic": "snow"} --as-node plan'
    if not text and not arguments.flag("as-node"):
        raise UsageError(f"Say what to write, as an object: {example}")
    values = values_of(text, example=example) if text else None
    return client.update_state(
        values, thread=arguments.flag("thread"), as_node=arguments.flag("as-node"), at=arguments.flag("at")
    )


def interrupts(shell: Any, arguments: Arguments) -> Table:
    """Everything that waits for a person."""
    return client.interrupts()


def _first(arguments: Arguments) -> str | None:
    return arguments.words[0] if arguments.words else None


def _name(thread_id: str | None) -> str:
    assert thread_id is not None
    alias = current_session().aliases.name("thread", thread_id)
    return f"{alias} ({thread_id})" if is_live() else alias


_AT = Flag(name="at", value="N", help="at this checkpoint: a number of %lg history, or an id")

GROUP = Group(
    "Threads",
    (
        Command(
            name="threads",
            run=threads,
            help="the newest threads of the server",
            flags=(
                Flag(name="limit", value="N", help="at most this many (20)"),
                Flag(name="status", value="STATUS", choices=STATUSES, help="only " + ", ".join(STATUSES) + " ones"),
                METADATA,
            ),
        ),
        Command(
            name="thread",
            run=thread,
            usage="[ID]",
            words=1,
            complete="threads",
            help="show the current thread, or choose another one for the next run",
        ),
        Command(name="thread new", run=new, help="the next run begins a new thread"),
        Command(
            name="thread copy",
            run=copy,
            usage="[ID]",
            words=1,
            complete="threads",
            help="copy it with its history, and continue on the copy",
        ),
        Command(
            name="thread delete",
            run=delete,
            usage="ID",
            words=1,
            complete="threads",
            help="delete it with its runs and checkpoints",
        ),
        Command(
            name="thread export",
            run=export,
            usage="[ID [FILE]]",
            words=2,
            complete="threads",
            help="write it with its runs and checkpoints to a JSON file",
        ),
        Command(
            name="state",
            run=state,
            usage="[THREAD]",
            words=1,
            complete="threads",
            help="the latest state of a thread, or the one at a checkpoint",
            flags=(_AT,),
        ),
        Command(
            name="history",
            run=history,
            usage="[THREAD]",
            words=1,
            complete="threads",
            help="the checkpoints of a thread, newest first",
            flags=(LIMIT,),
        ),
        Command(
            name="fork",
            run=fork,
            usage="N",
            words=1,
            help="branch from a checkpoint; the next run or resume continues there",
            flags=(OF_THREAD,),
            examples=("%lg fork 3", "%lg resume        # takes the step after it once more"),
        ),
        Command(
            name="diff",
            run=diff,
            usage="A [B]",
            words=2,
            complete="threads",
            help="what changed from checkpoint A to B (the latest), or between two threads",
            flags=(OF_THREAD,),
            examples=("%lg diff 3 1", "%lg diff thread#1 thread#2"),
        ),
        Command(
            name="update",
            run=update,
            usage="OBJECT",
            takes_text=True,
            takes_body=True,
            help="write to the state, as if a node had returned the object (JSON or YAML)",
            flags=(
                Flag(name="as-node", value="NODE", help="the node; what comes next follows from it"),
                Flag(name="at", value="N", help="branch from this checkpoint: a number of %lg history, or an id"),
                OF_THREAD,
            ),
            examples=('%lg update {"topic": "snow"}', "%lg update --at 3 --as-node plan {...}"),
        ),
        Command(name="interrupts", run=interrupts, help="everything that waits for a person, across threads"),
    ),
)
