"""Real hosts and workers on a private Postgres and Valkey, each behind a proxy: what a run of chaos works on."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, quote, unquote, urlsplit

import httpx
import psycopg
import redis
from psycopg.rows import dict_row

from lgnb import embedded
from lgnb.embedded import EmbeddedServers

from .proxy import Proxy

KEY = "secret"
HERE = Path(__file__).parent
LEASE_SECONDS = 2.0
# Long, so that a start which had to wait for a poll shows.
POLL_SECONDS = 4.0
_START_SECONDS = 60.0
_STOP_SECONDS = 30.0


class Member:
    """One host or worker that is started again after it was killed."""

    def __init__(self, cluster: Cluster, name: str, arguments: list[str]) -> None:
        self._cluster = cluster
        self._arguments = arguments
        self._log = cluster.directory / f"{name}.log"
        self._process: subprocess.Popen[bytes] | None = None
        self.name = name
        self.url: str | None = None

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    @property
    def is_alive(self) -> bool:
        return self._process is not None and self._process.poll() is None

    async def start(self) -> None:
        """Return when it serves; Postgres must be up."""
        offset = self._log.stat().st_size if self._log.exists() else 0
        self._begin()
        async with asyncio.timeout(_START_SECONDS):
            while not (line := self._serving(offset)):
                if not self.is_alive:
                    raise RuntimeError(f"{self.name} did not start:\n{self._log.read_text()[offset:][-2000:]}")
                await asyncio.sleep(0.05)
        self.url = line.split()[-1] if "API at" in line else None

    def _begin(self) -> None:
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [*self._cluster.program, *self._arguments],
                cwd=self._cluster.directory,
                env=self._cluster.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def _serving(self, offset: int) -> str | None:
        lines = self._log.read_text(errors="replace")[offset:].splitlines()
        return next((line for line in lines if "serves" in line), None)

    def signal(self, number: int) -> None:
        assert self._process is not None
        self._process.send_signal(number)

    def kill(self) -> None:
        self.signal(signal.SIGKILL)
        assert self._process is not None
        self._process.wait()

    async def terminate(self) -> None:
        """Stop it in good order."""
        assert self._process is not None
        if not self.is_alive:
            return
        self.signal(signal.SIGCONT)
        self.signal(signal.SIGTERM)
        try:
            await asyncio.to_thread(self._process.wait, _STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()
            raise RuntimeError(f"{self.name} did not stop in good order.") from None


class Cluster:
    """Two hosts and some workers. `rows` looks past the proxies."""

    def __init__(
        self, directory: Path, servers: EmbeddedServers, *, workers: int, broken: str | None, calm: bool
    ) -> None:
        self.directory = directory
        self.book = directory / "book"
        self.book.mkdir()
        self._servers = servers
        sockets = directory / "proxies"
        # The name of the socket in its directory is how libpq finds it.
        real_postgres = Path(parse_qs(urlsplit(servers.postgres_uri).query)["host"][0]) / ".s.PGSQL.5432"
        real_redis = Path(unquote(urlsplit(servers.redis_uri).path))
        self.postgres = Proxy(sockets / ".s.PGSQL.5432", real_postgres)
        self.redis = Proxy(sockets / "redis.sock", real_redis)
        self.program = [sys.executable, *(["-m", "lgnb"] if broken is None else [str(HERE / "broken.py"), broken])]
        self.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith(("LGNB_", "JUPYTER", "JPY_"))},
            "LGNB_POSTGRES_URI": f"postgresql://lgnb@/lgnb?host={quote(str(sockets), safe='')}",
            "LGNB_REDIS_URI": f"unix://{sockets / 'redis.sock'}",
            "LGNB_CONFIG": str(HERE / "langgraph.json"),
            "LGNB_LEASE_SECONDS": str(LEASE_SECONDS),
            "LGNB_POLL_SECONDS": str(POLL_SECONDS),
            # No run is to end because it was there whenever something happened.
            "LGNB_MAX_ATTEMPTS": "3" if calm else "50",
            "LGNB_DRAIN_SECONDS": "2",
            "LGNB_JOBS": "20",
            "LGNB_POSTGRES_POOL_SIZE": "8",
            "JUPYTER_CONFIG_DIR": str(directory / "jupyter-config"),
            "JUPYTER_DATA_DIR": str(directory / "jupyter-data"),
            "JUPYTER_RUNTIME_DIR": str(directory / "jupyter-runtime"),
            "LANGSMITH_TRACING": "false",
        }
        serve = ["serve", "--port", "0", "--token", KEY, "--workers", "0"]
        self.hosts = [Member(self, f"host-{number}", serve) for number in (1, 2)]
        self.workers = [Member(self, f"worker-{number}", ["worker"]) for number in range(1, workers + 1)]

    async def start(self) -> None:
        await self.postgres.start()
        await self.redis.start()
        await self.hosts[0].start()
        await self._wait_until_ready(self.hosts[0])
        with psycopg.connect(self._servers.postgres_uri) as connection:
            connection.execute((HERE / "audit.sql").read_bytes())
        await asyncio.gather(self.hosts[1].start(), *(worker.start() for worker in self.workers))
        await self._wait_until_ready(self.hosts[1])

    async def stop(self) -> None:
        for member in (*self.hosts, *self.workers):
            if member.is_alive:
                await member.terminate()
        await self.postgres.stop()
        await self.redis.stop()

    async def heal(self) -> None:
        """Undo whatever fault is in force: everything flows, runs and answers."""
        self.postgres.resume()
        self.redis.resume()
        for member in (*self.hosts, *self.workers):
            if member.is_alive:
                member.signal(signal.SIGCONT)
        await self.wait_for_postgres()
        for member in (*self.hosts, *self.workers):
            if not member.is_alive:
                await member.start()
        for host in self.hosts:
            await self._wait_until_ready(host)

    async def wait_for_postgres(self) -> None:
        async with asyncio.timeout(_START_SECONDS):
            while True:
                try:
                    await asyncio.to_thread(self.rows, "SELECT 1")
                    return
                except psycopg.Error:
                    await asyncio.sleep(0.1)

    def server_pid(self, name: str) -> int | None:
        """The living process of "postgres" or "valkey"; whoever watches over the pair starts a killed one again."""
        status = embedded.inspect(self.directory / "servers")
        return status.postgres_pid if name == "postgres" else status.valkey_pid

    def flush_redis(self) -> None:
        with redis.Redis.from_url(self._servers.redis_uri) as connection:
            connection.flushall()

    def rows(self, statement: Any, *parameters: Any) -> list[dict[str, Any]]:
        with psycopg.connect(self._servers.postgres_uri, autocommit=True, row_factory=dict_row) as connection:
            return connection.execute(statement, parameters).fetchall()

    @staticmethod
    async def _wait_until_ready(host: Member) -> None:
        async with asyncio.timeout(_START_SECONDS), httpx.AsyncClient(trust_env=False) as http:
            while True:
                try:
                    if (await http.get(f"{host.url}/ok")).status_code == httpx.codes.OK:
                        return
                except httpx.HTTPError:
                    pass
                await asyncio.sleep(0.1)


@asynccontextmanager
async def running_cluster(*, workers: int, broken: str | None, calm: bool) -> AsyncGenerator[Cluster]:
    """A cluster on data of its own, all of which is gone afterwards; with `calm`, nothing will be done to it."""
    with tempfile.TemporaryDirectory(prefix="lgnb-chaos-", ignore_cleanup_errors=True) as name:
        directory = Path(name)
        directory.chmod(0o711)  # as root, Postgres runs as another user
        data_dir = directory / "servers"
        data_dir.mkdir(mode=0o711)
        servers = await embedded.acquire(data_dir)
        try:
            cluster = Cluster(directory, servers, workers=workers, broken=broken, calm=calm)
            try:
                await cluster.start()
                yield cluster
            finally:
                await cluster.stop()
        finally:
            await servers.release()
            embedded.remove(data_dir)
