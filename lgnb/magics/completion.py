"""What Tab offers after `%lg`: subcommands, flags and their choices, assistants, threads, runs.

Completion must never hang or start anything: it asks only a server that is already connected, at most one second, and
believes an answer for a few seconds.
"""

from __future__ import annotations

import time
from typing import Any

from ..client.aliases import Kind
from ..client.session import Session, current_session
from .commands import COMMANDS
from .parsing import Command, Flag

ASK_SECONDS = 1.0
BELIEVE_SECONDS = 10.0

_threads: tuple[float, list[str]] = (float("-inf"), [])


def complete_event(shell: Any, event: Any) -> list[str]:
    """IPython's hook: the candidates for the word under the cursor."""
    return candidates(event.line[: len(event.line)], event.symbol)


def candidates(line: str, word: str) -> list[str]:
    """Everything that may stand where `word` begins, in a line that starts with `%lg` or `%%lg`."""
    before = line[: len(line) - len(word)] if word and line.endswith(word) else line
    done = before.split()[1:]
    if not done:
        return _fitting((name.partition(" ")[0] for name in COMMANDS), word)
    verbs = [name.partition(" ")[2] for name in COMMANDS if name.startswith(f"{done[0]} ")] if len(done) == 1 else []
    if " ".join(done[:2]) in COMMANDS:
        done = [" ".join(done[:2]), *done[2:]]
    command = COMMANDS.get(done[0])
    if command is None:
        return _fitting(verbs, word)
    flags = {name: flag for flag in command.flags for name in (f"--{flag.name}", f"-{flag.short}") if name != "-"}
    waiting = flags.get(done[-1])
    if waiting is not None and waiting.value:
        return _fitting(_values(waiting), word)
    if word.startswith("-"):
        return _fitting([f"--{flag.name}" for flag in command.flags], word)
    return _fitting([*verbs, *_words(command, len(done) - 1)], word)


def _values(flag: Flag) -> list[str]:
    if flag.complete == "threads" and flag.name == "thread":
        return ["new", *_known("threads")]
    return list(flag.choices) or _known(flag.complete)


def _words(command: Command, position: int) -> list[str]:
    if position >= max(command.words, 1):
        return []
    return _known(command.complete)


def _known(kind: str) -> list[str]:
    if kind == "commands":
        return [word for name in COMMANDS for word in name.split()]
    session = current_session()
    if kind in ("runs", "crons"):
        noun: Kind = "run" if kind == "runs" else "cron"
        return [session.aliases.name(noun, one) for one in session.aliases.known(noun)]
    if not kind or not session.is_connected:
        return []
    try:
        if kind == "threads":
            return _thread_names(session)
        return _assistants(session, graphs_only=kind == "graphs")
    except Exception:  # noqa: BLE001 - a Tab press must never raise into the editor
        return []


def _assistants(session: Session, *, graphs_only: bool) -> list[str]:
    rows = session.assistants(timeout=ASK_SECONDS)
    names = set[str]() if graphs_only else {str(row["name"]) for row in rows}
    return sorted(names | {str(row["graph_id"]) for row in rows})


def _thread_names(session: Session) -> list[str]:
    global _threads
    aliases = [session.aliases.name("thread", one) for one in session.aliases.known("thread")]
    if time.monotonic() - _threads[0] > BELIEVE_SECONDS:
        found = session.connection().call(
            lambda sdk: sdk.threads.search(limit=50, select=["thread_id"]), timeout=ASK_SECONDS
        )
        _threads = (time.monotonic(), [str(row["thread_id"]) for row in found])
    return [*aliases, *_threads[1]]


def _fitting(names: Any, word: str) -> list[str]:
    return sorted({name for name in names if name.startswith(word)})
