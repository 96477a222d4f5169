"""Data directories of a test's own, processes that hold a pair, and a look at what runs."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest
import redis

from lgnb import embedded
from lgnb.embedded.layout import Sockets, find
from lgnb.embedded.processes import ProcessMark
from lgnb.embedded.state import State, read_state
from lgnb.embedded.supervisor import pair as pair_of

HOLD = Path(__file__).with_name("hold.py")


class HoldingProcess:
    """One process that holds the pair, `hold.py`."""

    def __init__(self, command: list[str], **how: Any) -> None:
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, **how)
        self._said: dict[str, Any] | None = None

    @property
    def said(self) -> dict[str, Any]:
        """Its first line; waits for it."""
        if self._said is None:
            assert self.process.stdout is not None
            self._said = json.loads(self.process.stdout.readline() or "{}")
        return self._said

    @property
    def postgres_uri(self) -> str:
        return self.said["postgres_uri"]

    def release(self) -> None:
        """Tell it to leave; returns when it has."""
        assert "postgres_uri" in self.said, self.said
        answer, _ = self.process.communicate("leave\n", timeout=60)
        assert json.loads(answer) == {"released": True}

    def kill(self) -> None:
        self.process.kill()
        self.process.communicate()


@dataclass(frozen=True)
class Pair:
    """The pair of one data directory, seen from outside."""

    data_dir: Path

    @property
    def state(self) -> State:
        layout = find(self.data_dir)
        state = layout and read_state(layout)
        assert state is not None
        return state

    @property
    def postgres(self) -> ProcessMark:
        return self.state.servers["Postgres"]

    @property
    def valkey(self) -> ProcessMark:
        return self.state.servers["Valkey"]

    @property
    def supervisor(self) -> ProcessMark:
        return self.state.supervisor

    def processes(self) -> list[int]:
        """Every living process of the two servers, backends included."""
        layout = find(self.data_dir)
        assert layout is not None
        return [pid for server in pair_of(layout, Sockets(layout.base), None) for pid in server.processes()]


@pytest.fixture
def make_data_dir() -> Iterator[Callable[[Path | None], Path]]:
    """Makes data directories; in the end nothing of them is left, whatever the test did."""
    made: list[Path] = []

    def make(parent: Path | None = None) -> Path:
        data_dir = Path(tempfile.mkdtemp(prefix="lgnb-test-", dir=parent))
        if os.geteuid() == 0:
            data_dir.chmod(0o711)
        made.append(data_dir)
        return data_dir

    yield make
    for data_dir in made:
        clean_up(data_dir)
        shutil.rmtree(data_dir, ignore_errors=True)


def clean_up(data_dir: Path) -> None:
    """Stop and delete the pair, also when the test has failed half way."""
    layout = find(data_dir)
    state = layout and read_state(layout)
    if state is not None:
        for mark in (state.supervisor, *state.servers.values()):
            mark.send(signal.SIGTERM)
        until(lambda: not state.supervisor.is_alive() and not any(m.is_alive() for m in state.servers.values()))
    embedded.remove(data_dir)


@pytest.fixture
def data_dir(make_data_dir: Callable[[Path | None], Path]) -> Path:
    return make_data_dir(None)


@pytest.fixture
def pair(data_dir: Path) -> Pair:
    return Pair(data_dir)


@pytest.fixture
def hold() -> Iterator[Callable[..., HoldingProcess]]:
    """Starts processes that hold a pair; those still there in the end are killed."""
    started: list[HoldingProcess] = []

    def start(
        data_dir: Path,
        *,
        python: str = sys.executable,
        script: Path = HOLD,
        wrapper: Sequence[str] = (),
        **how: Any,
    ) -> HoldingProcess:
        started.append(HoldingProcess([*wrapper, python, str(script), str(data_dir)], **how))
        return started[-1]

    yield start
    for holder in started:
        holder.kill()


def until(claim: Callable[[], bool], *, seconds: float = 20.0) -> None:
    """Wait until the claim holds."""
    deadline = time.monotonic() + seconds
    while not claim():
        assert time.monotonic() < deadline, f"still not true after {seconds} s"
        time.sleep(0.02)


def names_in(directory: Path) -> set[str]:
    return {path.name for path in directory.iterdir()}


def open_files(pid: int) -> set[str]:
    """What the process has open, in the words of the system; nothing where it does not tell."""
    try:
        return {os.readlink(fd) for fd in Path(f"/proc/{pid}/fd").iterdir() if fd.is_symlink()}
    except (FileNotFoundError, PermissionError):
        return set()


def status_of(pid: int) -> dict[str, str]:
    return dict(line.split(":\t", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())


async def eventually(claim: Callable[[], bool], *, seconds: float = 20.0) -> None:
    """The same without blocking the loop."""
    await asyncio.to_thread(until, claim, seconds=seconds)


def write_row(uri: str, text: str) -> None:
    with psycopg.connect(uri, autocommit=True) as connection:
        connection.execute("CREATE TABLE IF NOT EXISTS kept (said text)")
        connection.execute("INSERT INTO kept VALUES (%s)", (text,))


def read_rows(uri: str) -> list[str]:
    with psycopg.connect(uri) as connection:
        return [said for (said,) in connection.execute("SELECT said FROM kept ORDER BY said")]


def ping(uri: str) -> bool:
    with redis.Redis.from_url(uri) as client:
        return bool(client.ping())
