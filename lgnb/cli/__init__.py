"""The command `lgnb`: parse, build, run. Every option is also a variable of the environment."""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any, NoReturn

from .._version import __version__
from ..errors import LgnbError, SettingsError
from ..log_format import log_to_stderr
from ..parent_watch import watch_parent
from ..settings import Settings

_WRONG_USE = 2
# What the rest of a server may need beside the drain time of its workers.
_STOP_SECONDS = 30.0

# The settings each command offers, with the short names they have there.
_SHARED = ("config", "data_dir", "postgres_uri", "redis_uri", "redis_key_prefix")
_OPTIONS: dict[str, tuple[str, ...]] = {
    "serve": (*_SHARED, "workers", "jobs", "isolated_loops", "drain_seconds", "run_timeout_seconds"),
    "dev": (*_SHARED, "workers", "jobs", "isolated_loops", "drain_seconds", "run_timeout_seconds"),
    "worker": (*_SHARED, "jobs", "isolated_loops", "drain_seconds", "run_timeout_seconds"),
    "migrate": ("data_dir", "postgres_uri"),
    "doctor": _SHARED,
}
_SHORT = {"config": "-c"}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; the exit code is 2 for a wrong option, 1 for a failure."""
    parsed = _parser().parse_args(arguments)
    given = {spec.name: getattr(parsed, spec.name, None) for spec in fields(Settings)}
    run: Callable[[argparse.Namespace, Settings, dict[str, Any]], int] = parsed.run
    try:
        settings = Settings.from_environment(overrides=given).with_config_of(Path.cwd())
    except SettingsError as error:
        return _complain(error, code=_WRONG_USE)
    try:
        return run(parsed, settings, {name: value for name, value in given.items() if value is not None})
    except SettingsError as error:
        return _complain(error, code=_WRONG_USE)
    except LgnbError as error:
        return _complain(error, code=1)
    except KeyboardInterrupt:
        return 130


def _serve(parsed: argparse.Namespace, settings: Settings, given: dict[str, Any]) -> int:
    from lgnb_server.headless import Address, serve  # deferred: the other commands need no Jupyter

    token = parsed.token or os.environ.get("LGNB_TOKEN")
    watch_parent(grace_seconds=settings.drain_seconds + _STOP_SECONDS)
    return serve(Address(host=parsed.host, port=parsed.port, token=token), settings=given, reloads=parsed.reloads)


def _worker(parsed: argparse.Namespace, settings: Settings, given: dict[str, Any]) -> int:
    from ..worker.main import run_worker  # deferred: it brings LangGraph

    log_to_stderr(settings.log_format)
    return run_worker(settings)


def _migrate(parsed: argparse.Namespace, settings: Settings, given: dict[str, Any]) -> int:
    from .migration import migrate_database  # deferred: it brings psycopg

    applied = asyncio.run(migrate_database(settings))
    _say(f"Applied {', '.join(applied)}." if applied else "The database is up to date.")
    return 0


def _doctor(parsed: argparse.Namespace, settings: Settings, given: dict[str, Any]) -> int:
    from .doctor import examine  # deferred: it looks at everything

    findings = asyncio.run(examine(settings))
    for finding in findings:
        _say(finding.as_text())
    return 1 if any(finding.is_problem for finding in findings) else 0


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="lgnb", description="The LangGraph workbench for Jupyter.")
    parser.add_argument("--version", action="version", version=f"lgnb {__version__}")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND", parser_class=_Parser)
    serve = _command(commands, "serve", _serve, "Serve the API without notebooks, at http://HOST:PORT/lgnb.")
    dev = _command(commands, "dev", _serve, "The same, and new workers take over when a file of the project changes.")
    for command in (serve, dev):
        command.set_defaults(reloads=command is dev)
        command.add_argument(
            "--host", default=os.environ.get("LGNB_HOST"), help="Where to listen; by default 127.0.0.1."
        )
        command.add_argument(
            "--port",
            type=_port,
            default=os.environ.get("LGNB_PORT") or None,
            help="Port to listen on, by default 8123; 0 takes a free one.",
        )
        command.add_argument("--token", help="What clients send as x-api-key; by default a random one, or LGNB_TOKEN.")
    _command(commands, "worker", _worker, "Execute runs, on this or any other machine.")
    _command(commands, "migrate", _migrate, "Bring the database up to date.")
    _command(commands, "doctor", _doctor, "Say what is wrong with this installation, and how to mend it.")
    return parser


def _command(
    commands: Any, name: str, run: Callable[[argparse.Namespace, Settings, dict[str, Any]], int], about: str
) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = commands.add_parser(name, help=about, description=about)
    parser.set_defaults(run=run)
    for spec in fields(Settings):
        if spec.name not in _OPTIONS[name]:
            continue
        names = [_SHORT[spec.name]] if spec.name in _SHORT else []
        names.append(f"--{spec.name.replace('_', '-')}")
        about = f"{spec.metadata['help']} Also LGNB_{spec.name.upper()}."
        parser.add_argument(*names, dest=spec.name, help=about.replace("%", "%%"))
    return parser


class _Parser(argparse.ArgumentParser):
    """One clear sentence instead of a page of usage."""

    def error(self, message: str) -> NoReturn:
        self.exit(_WRONG_USE, f"{self.prog}: {message}. See {self.prog} --help.\n")


def _port(text: str) -> int:
    if not text.isdigit() or int(text) > 65535:
        raise argparse.ArgumentTypeError(f"{text!r} is no port; give a number from 0 to 65535")
    return int(text)


def _complain(error: LgnbError, *, code: int) -> int:
    sys.stderr.write(f"lgnb: {error}\n")
    return code


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
