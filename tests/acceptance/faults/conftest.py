"""Real hosts and workers to harm: processes of a test's own, on a database and Redis keys of its own."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from inspect import isawaitable
from pathlib import Path
from typing import Any

import httpx
import psutil
import psycopg
import pytest
import redis
from langgraph_sdk import get_client
from langgraph_sdk.client import LangGraphClient
from psycopg.rows import dict_row

from lgnb import testing
from lgnb.embedded.binaries import valkey_server

logger = logging.getLogger(__name__)

GRAPHS = Path(testing.__file__).with_name("langgraph.json")
_LGNB = ("-m", "lgnb")
_START_SECONDS = 45.0
_STOP_SECONDS = 30.0


@pytest.fixture(scope="session")
def figure() -> Callable[[str, Any], None]:
    """Notes a measured figure, to be seen with --log-cli-level=info."""
    return lambda name, value: logger.info("%s: %s", name, value)


@pytest.fixture(scope="session")
def until() -> Callable[..., Awaitable[Any]]:
    """Wait until a condition holds and return what it said; asked again and again, it may be a coroutine function."""
    return _until


@pytest.fixture(scope="session")
def streamed() -> Callable[..., Awaitable[tuple[list[int], int]]]:
    """Stream a run of the counter: the steps that its stream told of, and how many gaps it admitted."""
    return _streamed


async def _streamed(client: LangGraphClient, request: dict[str, Any]) -> tuple[list[int], int]:
    seen: list[int] = []
    gaps = 0
    async for part in client.runs.stream(None, "counter", stream_mode="values", **request):
        if part.event == "values":
            seen.append(part.data["step"])
        gaps += part.event == "gap"
        assert part.event != "error", part.data
    return seen, gaps


async def _until(
    condition: Callable[[], Any], *, what: str, seconds: float = 15.0, period_seconds: float = 0.02
) -> Any:
    deadline = time.monotonic() + seconds
    while True:
        answer = condition()
        if isawaitable(answer):
            answer = await answer
        if answer:
            return answer
        assert time.monotonic() < deadline, f"{what}: not within {seconds:g} s"
        await asyncio.sleep(period_seconds)


class Process:
    """One `lgnb` process; what it says goes to a file."""

    def __init__(
        self,
        arguments: list[str],
        *,
        environment: dict[str, str],
        log: Path,
        program: tuple[str, ...] = _LGNB,
    ) -> None:
        self.log = log
        with log.open("wb") as output:
            self._popen = subprocess.Popen(
                [sys.executable, *program, *arguments],
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self.pid = self._popen.pid

    def said(self, text: str) -> bool:
        assert self._popen.poll() is None, f"the process ended:\n{self.log.read_text()}"
        return text in self.log.read_text()

    def signal(self, number: int) -> None:
        self._popen.send_signal(number)

    @property
    def is_alive(self) -> bool:
        return self._popen.poll() is None

    def kill(self) -> None:
        """As a crash: nothing in it gets a chance to clean up."""
        self._popen.kill()
        self._popen.wait()

    def terminate(self) -> int:
        """As an orderly stop; the exit code."""
        self._popen.terminate()
        return self._popen.wait(_STOP_SECONDS)

    def clean_up(self) -> None:
        """End it whatever state it is in, with all that it started."""
        if not self.is_alive:
            return
        family = self.family()
        self._popen.send_signal(signal.SIGCONT)
        self._popen.terminate()
        try:
            self._popen.wait(_STOP_SECONDS)
        finally:
            for member in family:
                if member.is_running():
                    member.kill()
            self._popen.wait()

    def family(self) -> list[psutil.Process]:
        """The process and all that descend from it."""
        root = psutil.Process(self.pid)
        return [root, *root.children(recursive=True)]


class Host(Process):
    """A host, with the official client for its API."""

    key = "secret"
    url: str
    client: LangGraphClient

    @property
    def worker_pids(self) -> list[int]:
        """The workers that this host keeps running, by process id."""
        children = psutil.Process(self.pid).children()
        return [child.pid for child in children if "worker" in _command(child)]

    async def started(self) -> Host:
        await _until(lambda: self.said("serves the LangGraph API at"), what="the host serves", seconds=_START_SECONDS)
        line = next(one for one in self.log.read_text().splitlines() if "serves the LangGraph API at" in one)
        self.url = line.split()[-1]
        self.client = get_client(url=self.url, api_key=self.key)
        async with httpx.AsyncClient() as http:

            async def ready() -> bool:
                return (await http.get(f"{self.url}/ok")).status_code == 200

            await _until(ready, what="the host is ready", seconds=_START_SECONDS)
        return self


def _command(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.Error:  # it has just ended
        return []


@dataclass
class Installation:
    """Hosts and workers on one Postgres and one Redis, and a look at the tables behind them."""

    directory: Path
    environment: dict[str, str]
    database_uri: str | None = None
    processes: list[Process] = field(default_factory=list[Process])

    async def host(
        self,
        *,
        workers: int = 1,
        config: Path = GRAPHS,
        program: tuple[str, ...] = _LGNB,
        environment: dict[str, str] | None = None,
        **settings: Any,
    ) -> Host:
        """A host that serves; settings as keyword arguments, named as in Settings."""
        arguments = ["serve", "--port", "0", "--token", Host.key, "--workers", str(workers), "-c", str(config)]
        return await self._begin(Host, arguments, program, environment, settings).started()

    async def worker(
        self,
        *,
        config: Path = GRAPHS,
        program: tuple[str, ...] = _LGNB,
        environment: dict[str, str] | None = None,
        **settings: Any,
    ) -> Process:
        """A worker with a lease; `program` is what Python runs instead of the installed command."""
        process = self._begin(Process, ["worker", "-c", str(config)], program, environment, settings)
        await _until(lambda: process.said("serves"), what="the worker serves", seconds=_START_SECONDS)
        await _until(lambda: self._has_lease(process.pid), what="the worker has a lease")
        return process

    def _begin(
        self,
        kind: type[Any],
        arguments: list[str],
        program: tuple[str, ...],
        environment: dict[str, str] | None,
        settings: dict[str, Any],
    ) -> Any:
        given = {f"LGNB_{name.upper()}": str(value) for name, value in settings.items()}
        log = self.directory / f"{arguments[0]}-{len(self.processes) + 1}.log"
        variables = {**os.environ, **self.environment, **given, **(environment or {})}
        process = kind(arguments, environment=variables, log=log, program=program)
        self.processes.append(process)
        return process

    def _has_lease(self, pid: int) -> bool:
        return bool(self.rows("SELECT 1 FROM workers WHERE pid = %s AND lease_expires_at > clock_timestamp()", pid))

    def rows(self, statement: Any, *parameters: Any) -> list[dict[str, Any]]:
        assert self.database_uri is not None
        with psycopg.connect(self.database_uri, autocommit=True, row_factory=dict_row) as connection:
            return connection.execute(statement, parameters).fetchall()

    def running(self) -> int:
        """How many runs work at the moment."""
        return self.rows("SELECT count(*) AS n FROM runs WHERE status = 'running'")[0]["n"]

    def run(self, run_id: str) -> dict[str, Any]:
        """The row of a run, with the process of the worker that holds it."""
        (row,) = self.rows(
            "SELECT r.status, r.attempt, r.returned, r.cancel_action, w.pid FROM runs r "
            "LEFT JOIN workers w USING (worker_id) WHERE r.run_id = %s",
            run_id,
        )
        return row

    def saved(self, thread_id: str) -> int:
        """How many checkpoints a thread has."""
        return self.rows("SELECT count(*) AS n FROM checkpoints WHERE thread_id = %s", thread_id)[0]["n"]

    def process(self, pid: int) -> Process:
        return next(process for process in self.processes if process.pid == pid)

    @staticmethod
    def lives(process: psutil.Process) -> bool:
        # The init process of a container may be slow to collect the dead, or never do it.
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE

    async def clean_up(self) -> None:
        """Stop what still runs, and forget it."""
        processes, self.processes = self.processes, []
        await asyncio.gather(*(asyncio.to_thread(process.clean_up) for process in processes))
        for process in processes:
            if isinstance(process, Host) and hasattr(process, "client"):
                await process.client.aclose()


@pytest.fixture
async def installation(
    database_uri: str, redis_uri: str, redis_prefix: str, tmp_path: Path
) -> AsyncIterator[Installation]:
    """Where to start hosts and workers that share a Postgres and a Redis."""
    environment = {
        "LGNB_POSTGRES_URI": database_uri,
        "LGNB_REDIS_URI": redis_uri,
        "LGNB_REDIS_KEY_PREFIX": redis_prefix,
        # 50 runs wait by as many requests, but the Postgres of the tests has only so many connections.
        "LGNB_POSTGRES_POOL_SIZE": "8",
    }
    installation = Installation(tmp_path, environment, database_uri)
    yield installation
    await installation.clean_up()


@pytest.fixture
async def lonely(data_dir: Path, tmp_path: Path) -> AsyncIterator[Installation]:
    """Where to start a host on embedded servers of its own."""
    installation = Installation(tmp_path, {"LGNB_DATA_DIR": str(data_dir)})
    yield installation
    await installation.clean_up()


class Valkey:
    """A Valkey that can be killed and started again at the same address."""

    def __init__(self, directory: Path) -> None:
        self._socket = directory / "valkey.sock"
        self._process: subprocess.Popen[bytes] | None = None
        self.uri = f"unix://{self._socket}?db=0"

    def start(self) -> None:
        arguments = ["--port", "0", "--unixsocket", str(self._socket), "--save", "", "--dir", str(self._socket.parent)]
        self._process = subprocess.Popen(
            [valkey_server(), *arguments], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        deadline = time.monotonic() + 10
        while True:
            try:
                with redis.Redis.from_url(self.uri) as connection:
                    connection.ping()
                return
            except redis.ConnectionError:
                assert time.monotonic() < deadline, "Valkey did not start"
                time.sleep(0.02)

    def flush(self) -> None:
        with redis.Redis.from_url(self.uri) as connection:
            connection.flushall()

    def clients(self, kind: str) -> list[Any]:
        with redis.Redis.from_url(self.uri) as connection:
            return connection.client_list(_type=kind)

    def signal(self, number: int) -> None:
        assert self._process is not None
        self._process.send_signal(number)

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None
            self._socket.unlink(missing_ok=True)


@pytest.fixture
def valkey(data_dir: Path) -> Iterator[Valkey]:
    """A running Valkey of this test alone."""
    valkey = Valkey(data_dir)
    valkey.start()
    yield valkey
    valkey.kill()


@pytest.fixture
def steps_log(tmp_path: Path) -> StepsLog:
    return StepsLog(tmp_path / "steps.log")


class StepsLog:
    """The file in which the graph `counter` notes each execution of a step."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def steps(self) -> list[int]:
        return [int(line) for line in self.path.read_text().splitlines()] if self.path.exists() else []


@pytest.fixture
async def http() -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(headers={"x-api-key": Host.key}, timeout=30) as client:
        yield client
