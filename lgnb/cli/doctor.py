"""`lgnb doctor`: looks at everything a server needs, starts and changes nothing, and says in words what to do."""

from __future__ import annotations

import importlib.metadata
import os
import sys
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from jupyter_core.paths import jupyter_config_path
from jupyter_server.extension.config import ExtensionConfigManager
from packaging.requirements import Requirement

from .. import embedded
from ..db.database import Connection, Database
from ..db.migrate import pending_migrations
from ..db.workers import WorkerRepository
from ..errors import DatabaseUnavailable, EmbeddedError, QueueUnavailable, SettingsError
from ..graphs.configuration import configuration_of
from ..graphs.project import Project
from ..graphs.webhook_section import filled_headers
from ..queue import Queue
from ..settings import Settings

_DISTRIBUTION = "jupyter-lgnb"
_OLDEST_POSTGRES = 14
_OLDEST_REDIS = (6, 2)
_ANSWER_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Finding:
    """One sentence about one thing; with a `fix`, something is wrong."""

    text: str
    fix: str = ""

    @property
    def is_problem(self) -> bool:
        return bool(self.fix)

    def as_text(self) -> str:
        return f"PROBLEM  {self.text}\n         {self.fix}" if self.fix else f"ok       {self.text}"


@dataclass(frozen=True, slots=True)
class _Backends:
    postgres_uri: str | None
    redis_uri: str | None


async def examine(settings: Settings) -> list[Finding]:
    """Everything found, in the order in which a start needs it."""
    findings = [*_software(), *_extension(), *_project(settings)]
    async with _backends(settings, findings) as backends:
        if backends.postgres_uri:
            findings += [finding async for finding in _postgres(backends.postgres_uri)]
        if backends.redis_uri:
            findings.append(await _redis(backends.redis_uri, prefix=settings.redis_key_prefix))
    return findings


def _software() -> Iterator[Finding]:
    python = ".".join(str(part) for part in sys.version_info[:3])
    yield Finding(f"Python {python}, lgnb {importlib.metadata.version(_DISTRIBUTION)}, in {sys.prefix}.")
    wrong: list[str] = []
    for text in importlib.metadata.requires(_DISTRIBUTION) or ():
        requirement = Requirement(text)
        if requirement.marker and not requirement.marker.evaluate({"extra": ""}):
            continue
        try:
            version = importlib.metadata.version(requirement.name)
        except importlib.metadata.PackageNotFoundError:
            version = None
        if version is None or not requirement.specifier.contains(version, prereleases=True):
            wrong.append(f"{requirement.name}{requirement.specifier} (here: {version or 'missing'})")
    if wrong:
        fix = f"Install what fits: {sys.executable} -m pip install --upgrade {_DISTRIBUTION}"
        yield Finding(f"These packages do not fit: {', '.join(wrong)}.", fix)
    else:
        yield Finding(f"Jupyter Server {importlib.metadata.version('jupyter-server')} and all other packages fit.")


def _extension() -> Iterator[Finding]:
    enabled = ExtensionConfigManager(read_config_path=jupyter_config_path()).get_jpserver_extensions()
    if enabled.get("lgnb_server"):
        yield Finding("The server extension is enabled.")
    else:
        yield Finding("The server extension is not enabled.", "Run: jupyter server extension enable lgnb_server")


def _project(settings: Settings) -> Iterator[Finding]:
    if settings.config is None:
        yield Finding("No langgraph.json is named; the built-in example graphs are served.")
        return
    try:
        project = Project.load(settings.config)
        configuration = configuration_of(project, settings)
        filled_headers(configuration.webhooks.headers, {**project.env, **os.environ})
    except SettingsError as error:
        yield Finding(str(error), "Correct the file, and run lgnb doctor again.")
        return
    yield Finding(f"{settings.config} names {len(project.graphs)} graphs: {', '.join(project.graphs)}.")
    for spec in project.graphs.values():
        if spec.file is not None and not spec.file.is_file():
            yield Finding(f"The file of graph {spec.graph_id!r} does not exist.", f"Correct the path {spec.file}.")
    for warning in (*project.warnings, *configuration.warnings):
        yield Finding(warning, f"Correct {settings.config}, or ignore this.")


@asynccontextmanager
async def _backends(settings: Settings, findings: list[Finding]) -> AsyncGenerator[_Backends]:
    """The servers to look at: those that were named, or the embedded pair while somebody else keeps it running."""
    if settings.postgres_uri and settings.redis_uri:
        yield _Backends(settings.postgres_uri, settings.redis_uri)
        return
    fix = "Set LGNB_POSTGRES_URI and LGNB_REDIS_URI to servers of your own, or mend this."
    try:
        status = embedded.inspect(settings.data_dir)
        if status.problem:
            findings.append(Finding(f"The embedded servers cannot be used: {status.problem}", fix))
        elif not status.running:
            findings.append(Finding(f"The embedded servers of {settings.data_dir} start with the next host."))
        else:
            findings.append(Finding(f"The embedded servers of {settings.data_dir} are running."))
            pair = await embedded.acquire(settings.data_dir)
            try:
                yield _Backends(settings.postgres_uri or pair.postgres_uri, settings.redis_uri or pair.redis_uri)
            finally:
                await pair.release()
            return
    except EmbeddedError as error:
        findings.append(Finding(str(error), fix))
    yield _Backends(settings.postgres_uri, settings.redis_uri)


async def _postgres(uri: str) -> AsyncIterator[Finding]:
    database = Database(uri, pool_size=2, application_name="lgnb-doctor")
    try:
        await database.open(timeout_seconds=_ANSWER_SECONDS)
    except DatabaseUnavailable as error:
        yield Finding(
            str(error), "Start Postgres, or correct LGNB_POSTGRES_URI (host, port, user, password, database)."
        )
        return
    try:
        async with database.connection() as connection:
            version = connection.info.server_version // 10000
            if version < _OLDEST_POSTGRES:
                yield Finding(f"Postgres {version} is too old.", f"Use Postgres {_OLDEST_POSTGRES} or newer.")
                return
            yield Finding(f"Postgres {version} answers.")
            missing = await pending_migrations(connection)
            if missing:
                yield Finding(
                    f"The database lacks {', '.join(missing)}.",
                    "Start a host, which brings it up to date, or: lgnb migrate",
                )
                return
            yield Finding("The database is up to date.")
            for finding in await _workers(connection):
                yield finding
    finally:
        await database.close()


async def _workers(connection: Connection) -> list[Finding]:
    repository = WorkerRepository(connection)
    workers = await repository.live()
    findings: list[Finding] = []
    if workers:
        places = ", ".join(f"{worker.host_name}:{worker.pid}" for worker in workers)
        findings.append(Finding(f"{len(workers)} workers are alive: {places}."))
    else:
        findings.append(Finding("No worker is alive now; a host starts its own, or run lgnb worker."))
    for graph in await repository.graphs():
        failure = await repository.graph_failure(graph.graph_id)
        if failure:
            findings.append(Finding(f"Graph {graph.graph_id!r} failed to load: {failure}", "Correct the graph's code."))
    return findings


async def _redis(uri: str, *, prefix: str) -> Finding:
    fix = "Start Redis or Valkey, or correct LGNB_REDIS_URI."
    queue = Queue(uri, prefix=prefix, max_connections=2)
    try:
        await queue.ping()
        version = str((await queue.redis.info("server"))["redis_version"])
    except QueueUnavailable as error:
        return Finding(str(error), fix)
    finally:
        await queue.close()
    if tuple(int(part) for part in version.split(".")[:2]) < _OLDEST_REDIS:
        return Finding(f"Redis {version} is too old.", "Use Redis 6.2, Valkey 7.2 or newer.")
    return Finding(f"Redis answers as version {version}.")
