"""Postgres itself plans every named statement against the migrated schema."""

from __future__ import annotations

import json
import re
from typing import Any

import psycopg
import pytest

from lgnb.db.queries import queries, query

_PARAMETER = re.compile(r"%\((\w+)\)[sb]")
_NOBODY = "00000000-0000-0000-0000-000000000001"
_GENERIC_PLAN_SINCE = 160000

# What psycopg tells Postgres about values of these names; of all others Postgres finds out by itself.
_TYPES = {
    "thread_id": "uuid",
    "new_thread_id": "uuid",
    "run_id": "uuid",
    "values": "json",
    "interrupts": "json",
    "state": "json",
    "has_state": "boolean",
    "status": "text",
    "error": "jsonb",
}


@pytest.mark.parametrize("name", sorted(queries()))
def test_every_named_query_can_be_planned(name: str, database_uri: str) -> None:
    numbers: dict[str, int] = {}
    statement = _PARAMETER.sub(lambda m: f"${numbers.setdefault(m[1], len(numbers) + 1)}", query(name))
    statement = statement.rstrip().rstrip(";").replace("%%", "%")

    with psycopg.connect(database_uri, autocommit=True) as connection:
        if connection.info.server_version >= _GENERIC_PLAN_SINCE and not (numbers.keys() & _TYPES.keys()):
            connection.execute(f"EXPLAIN (GENERIC_PLAN) {statement}".encode())
        else:
            types = ", ".join(_type(name, parameter) for parameter in numbers)
            connection.execute(f"PREPARE planned{f' ({types})' if types else ''} AS {statement}".encode())


def _type(name: str, parameter: str) -> str:
    return "unknown" if name.startswith("checkpoint_") else _TYPES.get(parameter, "unknown")


@pytest.fixture
def full_queue(database_uri: str) -> Any:
    """Ten thousand ended runs and a few that wait."""
    with psycopg.connect(database_uri, autocommit=True) as connection:
        connection.execute("INSERT INTO threads (thread_id) SELECT gen_random_uuid() FROM generate_series(1, 500)")
        connection.execute(
            "INSERT INTO runs (run_id, thread_id, assistant_id, graph_id, status, kwargs, multitask_strategy, "
            "created_at) "
            "SELECT gen_random_uuid(), t.thread_id, gen_random_uuid(), 'g', "
            "CASE WHEN n = 20 AND random() < 0.1 THEN 'pending' ELSE 'success' END, '{}', 'enqueue', "
            "now() - make_interval(secs => n) FROM threads t CROSS JOIN generate_series(1, 20) n"
        )
        connection.execute("ANALYZE")
        yield connection


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        (
            "run_claim",
            {"worker_id": _NOBODY, "graph_ids": ["g"], "limit": 8, "suspect": False, "suspect_after": 1},
        ),
        ("run_next_due_seconds", {"graph_ids": ["g"]}),
        ("run_expired", {"limit": 200}),
        ("run_in_flight", {"thread_id": _NOBODY}),
    ],
)
def test_ended_runs_cost_the_queue_nothing(name: str, parameters: dict[str, Any], full_queue: Any) -> None:
    cursor = full_queue.execute(f"EXPLAIN (FORMAT JSON) {query(name)}".encode(), parameters)

    plan = json.dumps(cursor.fetchone()[0])
    scanned = re.findall(r'"Node Type": "Seq Scan"[^{}]*?"Relation Name": "(\w+)"', plan)
    assert "runs" not in scanned


def test_a_query_is_known_by_its_name_only() -> None:
    with pytest.raises(KeyError):
        query("no_such_query")
