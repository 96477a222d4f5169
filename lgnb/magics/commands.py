"""The table of subcommands of `%lg`: name, grammar, help and the function behind each."""

from __future__ import annotations

from ..client.inputs import FORMATS
from ..client.render import MODES
from . import run_commands, server_commands, thread_commands, views
from .parsing import Arguments, Command, Flag, find_command

STRATEGIES = ("enqueue", "reject", "interrupt", "rollback")

_THREAD = Flag(name="thread", short="t", value="ID", help="thread id or alias, or new", complete="threads")
_MODE = Flag(name="mode", value="MODE", choices=MODES, help="what the output shows: " + ", ".join(MODES))
_VAR = Flag(name="var", value="NAME", help="bind the Run to this variable, besides _lg")
_BEFORE = Flag(name="interrupt-before", value="NODES", help="pause before these nodes: a,b or *")
_AFTER = Flag(name="interrupt-after", value="NODES", help="pause after these nodes")
_CONFIG = Flag(name="config", value="KEY=VALUE", is_repeated=True, help="a value of config, such as recursion_limit=5")
_CONTEXT = Flag(name="context", value="KEY=VALUE", is_repeated=True, help="a value of the graph's context")


def _help(shell: object, arguments: Arguments) -> object:
    if not arguments.words:
        return server_commands.Help(overview())
    return server_commands.Help(find_command(COMMANDS, arguments.words[0]).describe())


COMMANDS: dict[str, Command] = {
    command.name: command
    for command in (
        Command(
            name="status",
            run=server_commands.status,
            help="where am I: server, assistants, current thread",
            flags=(Flag(name="verbose", short="v", help="also say where the server was looked for"),),
        ),
        Command(
            name="connect",
            run=server_commands.connect,
            usage="[URL]",
            words=1,
            help="use the server at this address; without one, search again",
            flags=(Flag(name="key-env", value="NAME", help="environment variable that holds the key (LGNB_API_KEY)"),),
        ),
        Command(name="assistants", run=server_commands.assistants, help="what this server can run"),
        Command(
            name="assistant",
            run=server_commands.assistant,
            usage="NAME",
            words=1,
            complete="assistants",
            help="make NAME the current assistant, which runs without a name use",
        ),
        Command(
            name="graph",
            run=server_commands.graph,
            usage="[NAME]",
            words=1,
            complete="assistants",
            help="the nodes and edges of an assistant's graph",
            flags=(Flag(name="xray", help="open subgraphs"),),
        ),
        Command(
            name="run",
            run=run_commands.run,
            usage="ASSISTANT [TEXT]",
            takes_text=True,
            takes_body=True,
            complete="assistants",
            help="run an assistant and stream it into this cell; the text, or the cell's body, is the input",
            flags=(
                _THREAD,
                Flag(name="new", help="on a new thread"),
                _MODE,
                _VAR,
                Flag(
                    name="input", value="FORMAT", choices=FORMATS, help="how to read the input: " + ", ".join(FORMATS)
                ),
                Flag(name="background", help="start it and return; see result and wait"),
                _BEFORE,
                _AFTER,
                Flag(
                    name="strategy",
                    value="STRATEGY",
                    choices=STRATEGIES,
                    help="when the thread is busy: " + ", ".join(STRATEGIES),
                ),
                _CONFIG,
                _CONTEXT,
            ),
            examples=(
                "%lg run agent Why is the sky blue?",
                '%lg run steps {"count": 3} --new',
                "%%lg run agent --thread thread#1",
            ),
        ),
        Command(
            name="resume",
            run=run_commands.resume,
            usage="[VALUE]",
            takes_text=True,
            takes_body=True,
            help="answer the interrupt of the current thread (JSON or text), or continue where it paused",
            flags=(
                Flag(name="id", value="N", help="which interrupt, where several wait"),
                _THREAD,
                _MODE,
                _VAR,
                _BEFORE,
                _AFTER,
            ),
            examples=("%lg resume yes", '%lg resume {"type": "approve"}', '%lg resume {"1": "yes", "2": "no"}'),
        ),
        Command(
            name="cancel",
            run=run_commands.cancel,
            usage="[RUN]",
            words=1,
            complete="runs",
            help="stop a run; the last one when none is named",
        ),
        Command(
            name="runs",
            run=run_commands.runs,
            usage="[THREAD]",
            words=1,
            complete="threads",
            help="the runs of a thread, newest first",
        ),
        Command(
            name="result",
            run=run_commands.result,
            usage="[RUN]",
            words=1,
            complete="runs",
            help="a run as far as it came",
        ),
        Command(
            name="wait",
            run=run_commands.wait,
            usage="[RUN]",
            words=1,
            complete="runs",
            help="follow a background run to its end; interrupting stops the waiting, not the run",
        ),
        Command(
            name="threads",
            run=thread_commands.threads,
            help="the newest threads of the server",
            flags=(
                Flag(name="limit", value="N", help="at most this many (20)"),
                Flag(
                    name="status",
                    value="STATUS",
                    choices=("idle", "busy", "interrupted", "error"),
                    help="only idle, busy, interrupted or error ones",
                ),
            ),
        ),
        Command(
            name="thread",
            run=thread_commands.thread,
            usage="[ID | new | copy [ID] | delete ID]",
            words=2,
            complete="threads",
            choices=("new", "copy", "delete"),
            help="show or choose the current thread, begin a new one, copy or delete one",
        ),
        Command(
            name="history",
            run=thread_commands.history,
            usage="[THREAD]",
            words=1,
            complete="threads",
            help="the checkpoints of a thread, newest first",
            flags=(Flag(name="limit", value="N", help="at most this many (100)"),),
        ),
        Command(
            name="state",
            run=thread_commands.state,
            usage="[THREAD]",
            words=1,
            complete="threads",
            help="the latest state of a thread",
        ),
        Command(name="studio", run=views.studio, help="the whole workbench as a widget"),
        Command(
            name="help", run=_help, usage="[COMMAND]", words=1, complete="commands", help="this list, or one command"
        ),
    )
}


def overview() -> str:
    """The help of the magic as a whole."""
    usages = [f"%lg {command.name} {command.usage}".rstrip() for command in COMMANDS.values()]
    width = max(len(usage) for usage in usages)
    lines = [
        f"  {usage.ljust(width)}  {command.help}" for usage, command in zip(usages, COMMANDS.values(), strict=True)
    ]
    return "\n".join(
        ["LangGraph in this notebook.", "", *lines, "", "  %lg help COMMAND tells more, %lg COMMAND? as well."]
    )
