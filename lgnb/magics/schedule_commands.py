"""`%lg crons`, `cron …`, `webhooks`, `webhook …`."""

from __future__ import annotations

import re
from typing import Any

from IPython.core.error import UsageError

from ..client import crons as client
from ..client import webhooks as deliveries
from ..client.session import current_session
from ..client.tables import Table
from .flags import CONFIG, CONTEXT, OF_THREAD, pairs, required
from .live import say
from .parsing import Arguments, Command, Flag, Group

_EXAMPLE = '%lg cron create agent "0 9 * * 1-5" Good morning'
_SCHEDULE = re.compile(r"""\s*(?:"([^"]*)"|'([^']*)'|(@\w+))""")


def crons(shell: Any, arguments: Arguments) -> Table:
    """The schedules of the server."""
    return client.search()


def create(shell: Any, arguments: Arguments) -> Table:
    """Run an assistant by a schedule."""
    name = required(arguments.words[0] if arguments.words else None, f"Say what to run, and when: {_EXAMPLE}")
    match = _SCHEDULE.match(arguments.text)
    if match is None:
        raise UsageError(f"Put the schedule in quotes, or use one such as @daily: {_EXAMPLE}")
    schedule = next(part for part in match.groups() if part is not None)
    text = arguments.text[match.end() :].strip()
    if arguments.body is not None:
        if text:
            raise UsageError("Give the input on the line or in the cell's body, not in both.")
        text = arguments.body
    client.create(
        name,
        schedule,
        text or None,
        thread=arguments.flag("thread"),
        timezone=arguments.flag("timezone"),
        webhook=arguments.flag("webhook"),
        context=pairs(arguments, "context"),
        config=pairs(arguments, "config"),
    )
    return client.search()


def pause(shell: Any, arguments: Arguments) -> None:
    """Let a cron rest."""
    client.pause(_named(arguments, "pause"))
    say(f"Paused {_alias(arguments)}; %lg cron resume {_alias(arguments)} lets it run again.")


def resume(shell: Any, arguments: Arguments) -> None:
    """Let a paused cron run again."""
    client.resume(_named(arguments, "resume"))
    say(f"{_alias(arguments)} runs again.")


def delete(shell: Any, arguments: Arguments) -> None:
    """Delete a cron."""
    client.delete(_named(arguments, "delete"))
    say(f"Deleted {_alias(arguments)}.")


def webhooks(shell: Any, arguments: Arguments) -> Table:
    """What webhooks were told."""
    return deliveries.list(arguments.words[0] if arguments.words else None, thread=arguments.flag("thread"))


def attempts(shell: Any, arguments: Arguments) -> Table:
    """Every try of a run's webhook."""
    return deliveries.attempts(_run(arguments, "attempts"))


def send(shell: Any, arguments: Arguments) -> Table:
    """Tell a run's webhook once more."""
    return deliveries.redeliver(_run(arguments, "send"))


def _named(arguments: Arguments, verb: str) -> str:
    return required(arguments.words[0] if arguments.words else None, f"Say which one: %lg cron {verb} cron#1")


def _run(arguments: Arguments, verb: str) -> str:
    return required(arguments.words[0] if arguments.words else None, f"Say which run: %lg webhook {verb} run#1")


def _alias(arguments: Arguments) -> str:
    aliases = current_session().aliases
    return aliases.name("cron", aliases.full_id("cron", arguments.words[0]))


GROUP = Group(
    "Schedules and webhooks",
    (
        Command(name="crons", run=crons, help="the schedules that start runs"),
        Command(
            name="cron create",
            run=create,
            usage='ASSISTANT "SCHEDULE" [TEXT]',
            words=1,
            takes_text=True,
            takes_body=True,
            complete="assistants",
            help="run an assistant by a schedule: five fields, six with seconds at the end, or @daily",
            flags=(
                Flag(
                    name="thread",
                    short="t",
                    value="ID",
                    help="on this thread, not on a new one each time",
                    complete="threads",
                ),
                Flag(name="timezone", value="ZONE", help="such as Europe/Berlin, not UTC"),
                Flag(name="webhook", value="URL", help="is told how each run ended"),
                CONTEXT,
                CONFIG,
            ),
            examples=(_EXAMPLE, "%lg cron create agent @daily Good morning --timezone Europe/Berlin"),
        ),
        Command(
            name="cron pause",
            run=pause,
            usage="CRON",
            words=1,
            complete="crons",
            help="let it rest until it is resumed",
        ),
        Command(name="cron resume", run=resume, usage="CRON", words=1, complete="crons", help="let it run again"),
        Command(name="cron delete", run=delete, usage="CRON", words=1, complete="crons", help="delete it"),
        Command(
            name="webhooks",
            run=webhooks,
            usage="[RUN]",
            words=1,
            complete="runs",
            help="what the webhooks of a run, or of all runs of the thread, were told",
            flags=(OF_THREAD,),
        ),
        Command(
            name="webhook attempts",
            run=attempts,
            usage="RUN",
            words=1,
            complete="runs",
            help="every try, and its answer",
        ),
        Command(name="webhook send", run=send, usage="RUN", words=1, complete="runs", help="tell it once more"),
    ),
)
