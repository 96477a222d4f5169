"""What `lgnb doctor` finds in Postgres: the server, the schema, and how the work on it stands."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime

import psycopg
from psycopg.conninfo import conninfo_to_dict

from ..db.address import connection_arguments
from ..db.database import Connection, Database
from ..db.health import HealthRepository, ServerHealth
from ..db.migrate import pending_migrations
from ..db.workers import WorkerRepository
from ..errors import DatabaseUnavailable
from ..settings import Settings
from .findings import Finding

_OLDEST_POSTGRES = 14
_ANSWER_SECONDS = 5
_CLOCK_SECONDS = 2.0
_WAITS_LONG_SECONDS = 60.0
_NEARLY_ALL = 0.9

_WHERE = "Start Postgres, or correct LGNB_POSTGRES_URI (host, port, user, password, database)."
# What Postgres or its library says, and what to do about it; the first that fits counts.
_REASONS = (
    ("password authentication failed", "Correct user and password in LGNB_POSTGRES_URI."),
    ("no password supplied", "Put the password into LGNB_POSTGRES_URI."),
    (
        "no pg_hba.conf entry",
        "Allow this machine, user and database in pg_hba.conf of Postgres, or add sslmode=require.",
    ),
    ("does not exist", "Create what is missing (createuser, createdb), or correct LGNB_POSTGRES_URI."),
    ("too many clients", "Raise max_connections of Postgres, or lower LGNB_POSTGRES_POOL_SIZE of hosts and workers."),
    ("remaining connection slots", "Raise max_connections of Postgres, or lower LGNB_POSTGRES_POOL_SIZE."),
    ("starting up", "Wait until Postgres has started, and run lgnb doctor again."),
    ("resolve", "Correct the host name in LGNB_POSTGRES_URI, or the DNS of this machine."),
    ("Connection refused", "Nothing listens there: start Postgres, or correct host and port in LGNB_POSTGRES_URI."),
    ("timeout", "Nothing answers there: look at host and port in LGNB_POSTGRES_URI, and at firewalls in between."),
)


async def examine_postgres(uri: str, settings: Settings, *, wants_vectors: bool) -> AsyncIterator[Finding]:
    """Everything about this Postgres; nothing in it is changed."""
    if (problem := await _why_not_reached(uri)) is not None:
        yield problem
        return
    database = Database(uri, pool_size=2, application_name="lgnb-doctor")
    try:
        await database.open(timeout_seconds=_ANSWER_SECONDS)
        async with database.connection() as connection:
            version = connection.info.server_version // 10000
            if version < _OLDEST_POSTGRES:
                yield Finding(f"Postgres {version} is too old.", f"Use Postgres {_OLDEST_POSTGRES} or newer.")
                return
            yield Finding(f"Postgres {version} answers.")
            server = await HealthRepository(connection).server()
            for finding in (*_server(server, wants_vectors=wants_vectors), *await _writing(connection, server)):
                yield finding
            missing = await pending_migrations(connection)
            if missing:
                yield Finding(
                    f"The database lacks {', '.join(missing)}.",
                    "Start a host, which brings it up to date, or: lgnb migrate",
                )
                return
            yield Finding("The database is up to date.")
            for finding in (*await _workers(connection), *await _work(connection, settings)):
                yield finding
    except DatabaseUnavailable as error:
        yield Finding(str(error), _WHERE)
    finally:
        await database.close()


async def _why_not_reached(uri: str) -> Finding | None:
    try:
        target, arguments = connection_arguments(uri)
        conninfo_to_dict(target)
        connection = await psycopg.AsyncConnection.connect(target, connect_timeout=_ANSWER_SECONDS, **arguments)
    except psycopg.ProgrammingError as error:
        return Finding(
            f"LGNB_POSTGRES_URI cannot be read: {_said(error)}", "Write postgresql://user:password@host:5432/name."
        )
    except psycopg.OperationalError as error:
        said = _said(error)
        fix = next((fix for words, fix in _REASONS if words in said), _WHERE)
        return Finding(f"Postgres did not answer: {said}", fix)
    await connection.close()
    return None


def _said(error: psycopg.Error) -> str:
    """The library's own words in one line. They name host and user, and never a password."""
    return " ".join(line.strip() for line in str(error).splitlines()) or type(error).__name__


def _server(server: ServerHealth, *, wants_vectors: bool) -> Iterator[Finding]:
    if server.is_standby:
        yield Finding(
            "This Postgres is a standby, which cannot be written to.", "Name the primary in LGNB_POSTGRES_URI."
        )
    apart = abs((datetime.now(UTC) - server.now).total_seconds())
    if apart > _CLOCK_SECONDS:
        yield Finding(
            f"The clock of this machine is {apart:.0f} s apart from that of Postgres.",
            "Synchronise both (timedatectl set-ntp true). Leases go by Postgres; times in logs and answers disagree.",
        )
    if server.connections > server.most_connections * _NEARLY_ALL:
        yield Finding(
            f"{server.connections} of {server.most_connections} connections of Postgres are in use.",
            "Raise max_connections, lower LGNB_POSTGRES_POOL_SIZE, or put pgbouncer in between.",
        )
    if wants_vectors and not server.has_vector:
        yield Finding(
            "langgraph.json configures store.index, but this Postgres lacks pgvector; items are found, not ranked.",
            "Install pgvector for this Postgres (on Debian postgresql-NN-pgvector), or remove store.index.",
        )


async def _writing(connection: Connection, server: ServerHealth) -> list[Finding]:
    if server.is_standby:
        return []
    try:
        await HealthRepository(connection).try_writing()
    except psycopg.errors.DiskFull:
        return [Finding("The disk of Postgres is full: reading works, writing does not.", "Make room on its disk.")]
    except psycopg.Error as error:
        return [
            Finding(f"Postgres cannot be written to: {_said(error)}", "Give the user of LGNB_POSTGRES_URI the rights.")
        ]
    return []


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


async def _work(connection: Connection, settings: Settings) -> list[Finding]:
    """Runs that nobody executes, and webhooks that nobody takes."""
    health = HealthRepository(connection)
    findings: list[Finding] = []
    for waiting in await health.waiting():
        runs = (
            f"{waiting.number} runs of graph {waiting.graph_id!r} wait, the oldest for {waiting.oldest_seconds:.0f} s"
        )
        if not waiting.workers:
            fix = f"Start a host or lgnb worker whose langgraph.json names {waiting.graph_id!r}, or cancel the runs."
            findings.append(Finding(f"{runs}, and no live worker serves it.", fix))
        elif waiting.oldest_seconds > _WAITS_LONG_SECONDS:
            fix = "Start more workers, or raise LGNB_JOBS where they have CPU to spare."
            findings.append(Finding(f"{runs}: its {waiting.workers} workers are full.", fix))
    # A live worker looks every second; twice the lease is long after that.
    if lost := await health.lost(seconds=2 * settings.lease_seconds):
        fix = "Start a host or a worker: any of them takes over what others have left."
        findings.append(Finding(f"The leases of {lost} runs have ended, and nobody takes them over.", fix))
    if overdue := await health.overdue(seconds=settings.run_timeout_seconds + _WAITS_LONG_SECONDS):
        fix = "Cancel them (POST /runs/cancel), and restart the worker that holds them."
        findings.append(Finding(f"{overdue} runs are executed for longer than LGNB_RUN_TIMEOUT_SECONDS allows.", fix))
    webhooks = await health.webhooks()
    if webhooks.given_up or webhooks.failing:
        findings.append(
            Finding(
                f"{webhooks.given_up} webhooks were given up since yesterday and {webhooks.failing} fail so far; "
                f"the last try said: {webhooks.last_error}",
                "Mend the receiver, then POST …/runs/RUN/webhooks/redeliver; GET …/runs/RUN/webhooks shows every try.",
            )
        )
    return findings
