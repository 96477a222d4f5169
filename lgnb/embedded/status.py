"""Looking at a pair from outside, and deleting what it has stored."""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from lgnb.errors import EmbeddedError

from .binaries import postgres_bin, valkey_server
from .holders import Holder, living
from .layout import Layout, find
from .locks import is_held
from .state import read_state


@dataclass(frozen=True, slots=True, kw_only=True)
class EmbeddedStatus:
    """What there is to know about the pair of one data directory.

    Attributes:
        location: where the cluster and the logs are; None when nothing was ever started here.
        running: both servers live.
        supervisor_pid, postgres_pid, valkey_pid: the processes that live, else None.
        holders: who uses the pair now.
        postgres_version, valkey_version: of the installed programs; None where there are none.
        problem: why the embedded servers cannot be used here, else None.
        size_bytes: what they occupy on disk.
        logs: the log files that exist.
    """

    data_dir: Path
    location: Path | None
    running: bool
    supervisor_pid: int | None
    postgres_pid: int | None
    valkey_pid: int | None
    holders: tuple[Holder, ...]
    postgres_version: str | None
    valkey_version: str | None
    problem: str | None
    size_bytes: int
    logs: tuple[Path, ...]


def inspect_pair(data_dir: Path) -> EmbeddedStatus:
    """See `lgnb.embedded.inspect`."""
    try:
        return _inspect(data_dir)
    except OSError as error:
        raise EmbeddedError(f"The data directory {data_dir} cannot be read: {error}.") from error


def remove_pair(data_dir: Path) -> None:
    """See `lgnb.embedded.remove`."""
    layout = find(data_dir)
    if layout is None:
        return
    if is_held(layout.supervisor_lock) or any(is_held(lock) for lock in layout.base.glob("*.lock")):
        raise EmbeddedError(f"The embedded servers of {data_dir} are running; stop what uses them first.")
    try:
        shutil.rmtree(layout.base)
        layout.pointer.unlink(missing_ok=True)
    except OSError as error:
        raise EmbeddedError(f"{layout.base} cannot be deleted: {error}.") from error


def _inspect(data_dir: Path) -> EmbeddedStatus:
    layout = find(data_dir)
    pids = {} if layout is None else _living_pids(layout)
    postgres_version, valkey_version, problem = _versions()
    return EmbeddedStatus(
        data_dir=data_dir,
        location=layout and layout.base,
        running="Postgres" in pids and "Valkey" in pids,
        supervisor_pid=pids.get("supervisor"),
        postgres_pid=pids.get("Postgres"),
        valkey_pid=pids.get("Valkey"),
        holders=() if layout is None else tuple(living(layout.holders)),
        postgres_version=postgres_version,
        valkey_version=valkey_version,
        problem=problem,
        size_bytes=0 if layout is None else _size(layout.base),
        logs=() if layout is None else tuple(sorted(layout.base.glob("*.log"))),
    )


def _living_pids(layout: Layout) -> dict[str, int]:
    state = read_state(layout)
    if state is None:
        return {}
    marks = {"supervisor": state.supervisor, **state.servers}
    return {name: mark.pid for name, mark in marks.items() if mark.is_alive()}


def _versions() -> tuple[str | None, str | None, str | None]:
    postgres: str | None = None
    try:
        postgres = _version_of(postgres_bin(None) / "postgres")
        return postgres, _version_of(valkey_server()), None
    except (EmbeddedError, OSError) as error:
        return postgres, None, str(error)


def _version_of(program: Path) -> str:
    said = subprocess.run([program, "--version"], capture_output=True, text=True, check=False, timeout=10).stdout
    # "postgres (PostgreSQL) 18.4", "Valkey server v=9.1.2 sha=..."
    return next((word.removeprefix("v=") for word in said.split() if word.removeprefix("v=")[:1].isdigit()), said)


def _size(directory: Path) -> int:
    total = 0
    for parent, _, names in os.walk(directory):
        for name in names:
            try:
                total += os.lstat(os.path.join(parent, name)).st_size
            except FileNotFoundError:
                continue  # Postgres removes files of its own all the time
    return total
