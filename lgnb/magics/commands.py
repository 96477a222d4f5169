"""The table of subcommands of `%lg`. Each module of commands adds its group; another one needs only a line here."""

from __future__ import annotations

from . import (
    assistant_commands,
    live_commands,
    memory_commands,
    run_commands,
    schedule_commands,
    server_commands,
    thread_commands,
    views,
)
from .parsing import Arguments, Command, Group, find_command


def _help(shell: object, arguments: Arguments) -> object:
    if not arguments.words:
        return server_commands.Help(overview())
    return server_commands.Help(describe(" ".join(arguments.words)))


HELP = Group(
    "Help",
    (
        Command(
            name="help", run=_help, usage="[COMMAND]", words=2, complete="commands", help="this list, or one command"
        ),
    ),
)

GROUPS: tuple[Group, ...] = (
    server_commands.GROUP,
    assistant_commands.GROUP,
    run_commands.GROUP,
    thread_commands.GROUP,
    memory_commands.GROUP,
    schedule_commands.GROUP,
    live_commands.GROUP,
    views.GROUP,
    HELP,
)

COMMANDS: dict[str, Command] = {command.name: command for group in GROUPS for command in group.commands}


def describe(name: str) -> str:
    """The help of a subcommand, or of all that begin with a word such as `cron`."""
    family = [command for command in COMMANDS.values() if command.name.startswith(f"{name} ")]
    if name not in COMMANDS and family:
        return "\n".join(_listed(tuple(family)))
    command, rest = find_command(COMMANDS, name)
    text = command.describe()
    return "\n".join([text, "", *_listed(tuple(family))]) if family and not rest else text


def overview() -> str:
    """The help of the magic as a whole."""
    lines = ["LangGraph in this notebook."]
    for group in GROUPS:
        lines += ["", group.title, *_listed(group.commands)]
    return "\n".join([*lines, "", "  %lg help COMMAND tells more, %lg COMMAND? as well."])


def _listed(commands: tuple[Command, ...]) -> list[str]:
    usages = [f"%lg {command.name} {command.usage}".rstrip() for command in commands]
    width = min(max(len(usage) for usage in usages), 44)
    return [f"  {usage.ljust(width)}  {command.help}" for usage, command in zip(usages, commands, strict=True)]
