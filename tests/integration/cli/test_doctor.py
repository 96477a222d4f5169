"""`lgnb doctor` and `lgnb migrate` against real servers, and without any."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import aclosing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import psycopg
import pytest
import redis
from redis_topologies import Cluster

from lgnb.cli.doctor import examine
from lgnb.cli.findings import Finding
from lgnb.cli.migration import migrate_database
from lgnb.cli.postgres_findings import examine_postgres
from lgnb.cli.redis_findings import findings_of
from lgnb.db.health import HealthRepository, ServerHealth
from lgnb.settings import Settings


def problems(findings: list[Finding]) -> list[str]:
    return [finding.as_text() for finding in findings if finding.is_problem]


@pytest.fixture
def settings(database_uri: str, redis_uri: str, data_dir: Path) -> Settings:
    return Settings(postgres_uri=database_uri, redis_uri=redis_uri, data_dir=data_dir)


async def test_a_sound_installation_has_no_problem(settings: Settings) -> None:
    findings = await examine(settings)

    assert problems(findings) == []
    said = "\n".join(finding.as_text() for finding in findings)
    assert "The server extension is enabled." in said
    assert "The database is up to date." in said
    assert "Redis answers" in said


async def test_it_starts_nothing(data_dir: Path) -> None:
    findings = await examine(Settings(data_dir=data_dir))

    assert problems(findings) == []
    assert os.listdir(data_dir) == []


async def test_each_fault_comes_with_its_fix(settings: Settings, tmp_path: Path) -> None:
    config = tmp_path / "langgraph.json"
    config.write_text('{"graphs": {"agent": "./missing.py:graph"}, "grafs": {}}')
    broken = settings.with_values(
        config=config, postgres_uri="postgresql://127.0.0.1:1/x", redis_uri="redis://127.0.0.1:1"
    )

    found = "\n".join(problems(await examine(broken)))

    for words in ("'agent' does not exist", "grafs", "Postgres did not answer", "correct LGNB_REDIS_URI"):
        assert words in found


async def test_a_file_that_is_no_json_is_told_with_its_line(settings: Settings, tmp_path: Path) -> None:
    config = tmp_path / "langgraph.json"
    config.write_text('{\n "graphs": {,}\n}')

    found = problems(await examine(settings.with_values(config=config)))

    assert len(found) == 1
    assert "2" in found[0]


async def test_a_graph_that_failed_is_named_with_the_reason(settings: Settings) -> None:
    async with await psycopg.AsyncConnection.connect(str(settings.postgres_uri), autocommit=True) as connection:
        await connection.execute(
            "INSERT INTO graphs (graph_id, descriptor, failure) VALUES ('agent', '{}', 'No module named torch')"
        )

    found = problems(await examine(settings))

    assert len(found) == 1
    assert "'agent' failed to load: No module named torch" in found[0]


async def test_migrate_brings_an_empty_database_up_to_date_once(settings: Settings, postgres_uri: str) -> None:
    async with await psycopg.AsyncConnection.connect(str(settings.postgres_uri), autocommit=True) as connection:
        await connection.execute("DROP SCHEMA public CASCADE; CREATE SCHEMA public")
    assert any("lgnb migrate" in problem for problem in problems(await examine(settings)))

    first = await migrate_database(settings)
    again: list[Any] = await migrate_database(settings)

    assert first[0] == "0001_initial.sql"
    assert again == []
    assert problems(await examine(settings)) == []


async def sql(settings: Settings, *statements: str) -> None:
    async with await psycopg.AsyncConnection.connect(str(settings.postgres_uri), autocommit=True) as connection:
        for statement in statements:
            await connection.execute(statement)  # type: ignore[arg-type]


_RUN = """
INSERT INTO runs (run_id, thread_id, assistant_id, graph_id, status, kwargs, multitask_strategy, created_at, started_at,
    updated_at, worker_id)
SELECT gen_random_uuid(), thread_id, gen_random_uuid(), '{graph}', '{status}', '{{}}', 'enqueue',
    now() - interval '1 hour',
    now() - interval '{age}', now() - interval '{age}', {worker}
FROM threads LIMIT 1
"""
_THREAD = "INSERT INTO threads (thread_id) VALUES (gen_random_uuid())"
_WORKER = """
INSERT INTO workers (worker_id, host_name, pid, graph_ids, jobs, lease_expires_at)
VALUES ('00000000-0000-4000-8000-000000000001', 'here', 1, '{{agent}}', 1, now() + interval '{lease}')
"""
_W1 = "'00000000-0000-4000-8000-000000000001'"


async def test_runs_that_nobody_can_execute_are_named_with_their_graph(settings: Settings) -> None:
    pending = {"status": "pending", "age": "1 hour", "worker": "NULL"}
    await sql(settings, _THREAD, _WORKER.format(lease="1 hour"), _RUN.format(graph="other", **pending))
    await sql(settings, _RUN.format(graph="agent", **pending))

    served, unserved = problems(await examine(settings))

    assert "1 runs of graph 'agent' wait, the oldest for 3600 s: its 1 workers are full." in served
    assert "no live worker serves it" in unserved
    assert "names 'other'" in unserved


async def test_leases_that_ended_and_runs_that_never_end_are_told(settings: Settings) -> None:
    await sql(settings, _THREAD, _WORKER.format(lease="-1 hour"))
    await sql(settings, _RUN.format(graph="agent", status="running", age="1 hour", worker=_W1))
    (lost,) = problems(await examine(settings))
    await sql(settings, "UPDATE workers SET lease_expires_at = now() + interval '1 hour'")
    assert problems(await examine(settings)) == []
    await sql(settings, "UPDATE runs SET started_at = now() - interval '2 days'")
    (overdue,) = problems(await examine(settings))

    assert "The leases of 1 runs have ended" in lost
    assert "LGNB_RUN_TIMEOUT_SECONDS" in overdue


async def test_webhooks_that_fail_are_told_with_what_the_receiver_said(settings: Settings) -> None:
    await sql(
        settings,
        """
        INSERT INTO webhook_deliveries (delivery_id, run_id, thread_id, url, payload, status, tries_left)
        VALUES ('00000000-0000-4000-8000-000000000001', gen_random_uuid(), gen_random_uuid(), 'x', '{}', 'failed', 0)
        """,
        """
        INSERT INTO webhook_attempts (delivery_id, started_at, seconds, response_status)
        VALUES ('00000000-0000-4000-8000-000000000001', now(), 1, 500)
        """,
    )

    (found,) = problems(await examine(settings))

    assert "1 webhooks were given up since yesterday" in found
    assert "status 500" in found
    assert "redeliver" in found


@pytest.mark.parametrize(
    ("uri", "words", "fix"),
    [
        ("postgresql://127.0.0.1:1/x", "Connection refused", "Nothing listens there"),
        ("postgresql://nowhere.invalid/x", "", "Correct the host name"),
        ("postgresql://127.0.0.1:port/x", "", "LGNB_POSTGRES_URI"),
        ("postgresql://127.0.0.1/x?what=1", "cannot be read", "Write postgresql://"),
    ],
)
async def test_a_postgres_that_cannot_be_reached_is_told_with_the_likely_cause(
    settings: Settings, uri: str, words: str, fix: str
) -> None:
    (found,) = problems(await examine(settings.with_values(postgres_uri=uri)))

    assert words in found
    assert fix in found


async def test_a_database_that_does_not_exist_is_told(settings: Settings, postgres_uri: str) -> None:
    missing = urlunsplit(urlsplit(postgres_uri)._replace(path="/not_there"))

    (found,) = problems(await examine(settings.with_values(postgres_uri=missing)))

    assert "does not exist" in found
    assert "createdb" in found


async def test_what_postgres_lacks_is_told(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    real = HealthRepository.server

    async def told(self: HealthRepository) -> ServerHealth:
        now = datetime.now(UTC) - timedelta(minutes=5)
        return replace(await real(self), has_vector=False, now=now, connections=99, most_connections=100)

    async def full(self: HealthRepository) -> None:
        raise psycopg.errors.DiskFull("could not extend file")

    monkeypatch.setattr(HealthRepository, "server", told)
    monkeypatch.setattr(HealthRepository, "try_writing", full)
    async with aclosing(examine_postgres(str(settings.postgres_uri), settings, wants_vectors=True)) as findings:
        found = "\n".join(problems([finding async for finding in findings]))

    for words in ("300 s apart", "99 of 100 connections", "lacks pgvector", "disk of Postgres is full"):
        assert words in found


async def test_a_standby_is_told(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    real = HealthRepository.server

    async def told(self: HealthRepository) -> ServerHealth:
        return replace(await real(self), is_standby=True)

    monkeypatch.setattr(HealthRepository, "server", told)
    (found,) = problems(await examine(settings))

    assert "Name the primary" in found


async def test_servers_that_are_too_old_are_told(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lgnb.cli.postgres_findings._OLDEST_POSTGRES", 99)
    monkeypatch.setattr("lgnb.cli.redis_findings._OLDEST_REDIS", (99, 0))

    found = "\n".join(problems(await examine(settings)))

    assert "Use Postgres 99 or newer" in found
    assert "is too old" in found


@pytest.mark.parametrize(
    ("facts", "words"),
    [
        ({"maxmemory": 100, "maxmemory_policy": "allkeys-lru"}, "maxmemory-policy noeviction"),
        ({"maxmemory": 2**30, "maxmemory_policy": "noeviction", "used_memory": 2**30 - 1}, "LGNB_STREAM_TTL_SECONDS"),
        ({"role": "slave"}, "Name the primary"),
        ({"cluster_state": "fail"}, "redis-cli --cluster check"),
    ],
)
def test_a_redis_that_loses_or_refuses_what_it_is_given_is_told(facts: dict[str, Any], words: str) -> None:
    (found,) = problems(list(findings_of({"redis_version": "8.0.0", **facts})))

    assert words in found


async def test_every_node_of_a_cluster_is_examined(settings: Settings, redis_cluster: Cluster) -> None:
    findings = await examine(settings.with_values(redis_uri=redis_cluster.uri))

    assert not problems(findings)
    for node in redis_cluster.nodes:
        assert any(f"Redis at {node.place} answers" in finding.text for finding in findings)


async def test_a_node_that_does_not_answer_is_told(settings: Settings, redis_cluster: Cluster) -> None:
    node = redis_cluster.nodes[2]
    with redis_cluster.without(node):
        found = "\n".join(problems(await examine(settings.with_values(redis_uri=redis_cluster.uri))))

    assert f"Redis at {node.place} does not answer" in found


async def test_a_redis_of_another_kind_than_its_address_says_is_told(
    settings: Settings, redis_cluster: Cluster
) -> None:
    (found,) = problems(await examine(settings.with_values(redis_uri=f"redis://{redis_cluster.nodes[0].place}")))

    assert "names a node of a Redis Cluster; write it as redis+cluster://" in found


@pytest.mark.parametrize(("command", "code"), [(("serve", "--port", "0", "--workers", "0"), 1), (("worker",), 2)])
def test_nothing_starts_with_a_redis_of_another_kind_than_its_address_says(
    redis_cluster: Cluster, database_uri: str, data_dir: Path, command: tuple[str, ...], code: int
) -> None:
    redis_uri = f"redis://{redis_cluster.nodes[0].place}"
    places = {"LGNB_POSTGRES_URI": database_uri, "LGNB_REDIS_URI": redis_uri, "LGNB_DATA_DIR": str(data_dir)}
    done = subprocess.run(
        [sys.executable, "-P", "-m", "lgnb", *command],
        cwd=data_dir,
        env=os.environ | places,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=60,
        check=False,
    )

    assert "names a node of a Redis Cluster; write it as redis+cluster://" in done.stdout.decode()
    assert done.returncode == code


async def test_a_redis_that_evicts_is_noticed_on_a_real_one(settings: Settings, redis_uri: str) -> None:
    with redis.Redis.from_url(redis_uri) as connection:
        before = connection.config_get("maxmemory*")
        connection.config_set("maxmemory", "1gb")
        connection.config_set("maxmemory-policy", "allkeys-lru")
        try:
            (found,) = problems(await examine(settings))
        finally:
            connection.config_set("maxmemory", before["maxmemory"])
            connection.config_set("maxmemory-policy", before["maxmemory-policy"])

    assert "allkeys-lru" in found
