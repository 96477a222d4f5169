"""What conditions of access mean to Postgres, and that every statement with a place for one can be planned with it."""

from __future__ import annotations

import re
from typing import Any

import psycopg
import pytest
from psycopg import sql
from psycopg.types.json import Jsonb

from lgnb.db.conditions import guarded, satisfied
from lgnb.db.queries import queries
from lgnb.models.access import Condition, both

_GUARDED = sorted(name for name, text in queries().items() if "visible(" in text)
_PARAMETER = re.compile(r"%\((\w+)\)[sb]")
_UUIDS = ("assistant_id", "thread_id", "run_id", "cron_id")


def condition(filter: dict[str, Any]) -> Condition:
    parsed = Condition.parse(filter)
    assert parsed is not None
    return parsed


@pytest.mark.parametrize(
    ("filter", "metadata", "matches"),
    [
        ({"owner": "x"}, {"owner": "x", "more": 1}, True),
        ({"owner": "x"}, {"owner": "X"}, False),
        ({"owner": "x"}, {"owner": ["x"]}, False),
        ({"owner": "x"}, {}, False),
        ({"owner": {"$eq": "x"}}, {"owner": "x"}, True),
        ({"owner": None}, {}, False),
        ({"owner": None}, {"owner": None}, True),
        ({"level": 1}, {"level": 1.0}, True),
        ({"level": 1}, {"level": "1"}, False),
        ({"level": True}, {"level": 1}, False),
        ({"of": {"a": 1}}, {"of": {"a": 1}}, True),
        ({"of": {"a": 1}}, {"of": {"a": 1, "b": 2}}, False),
        ({"of": {"$eq": ["a"]}}, {"of": ["a", "b"]}, False),
        ({"tags": {"$contains": "a"}}, {"tags": ["b", "a"]}, True),
        ({"tags": {"$contains": "a"}}, {"tags": "a"}, False),
        ({"tags": {"$contains": "a"}}, {"tags": {"a": 1}}, False),
        ({"tags": {"$contains": ["a", "b"]}}, {"tags": ["b", "c", "a"]}, True),
        ({"tags": {"$contains": ["a", "b"]}}, {"tags": ["a"]}, False),
        ({"$or": [{"owner": "x"}, {"tags": {"$contains": "all"}}]}, {"tags": ["all"]}, True),
        ({"$or": [{"owner": "x"}, {"owner": "y"}]}, {"owner": "z"}, False),
        ({"$and": [{"a": 1}, {"$or": [{"b": 1}, {"b": 2}]}]}, {"a": 1, "b": 2}, True),
        ({"$and": [{"a": 1}, {"$or": [{"b": 1}, {"b": 2}]}]}, {"a": 1, "b": 3}, False),
        ({"a": 1, "$or": [{"b": 1}, {"b": 2}]}, {"b": 1}, False),
        ({"' OR true --": "%s %(x)s"}, {"' OR true --": "%s %(x)s"}, True),
        ({"' OR true --": "y"}, {"owner": "x"}, False),
    ],
)
def test_a_condition_means_in_postgres_what_it_says(
    filter: dict[str, Any], metadata: dict[str, Any], matches: bool, postgres_uri: str
) -> None:
    params: dict[str, Any] = {"metadata": Jsonb(metadata)}
    holds = satisfied(condition(filter), sql.SQL("m"), params)

    with psycopg.connect(postgres_uri) as connection:
        row = connection.execute(sql.SQL("SELECT count(*) FROM (SELECT %(metadata)s AS m) t WHERE ") + holds, params)

        assert row.fetchone() == (int(matches),)


def test_both_conditions_hold_or_the_one_that_is_there() -> None:
    one, other = condition({"a": 1}), condition({"b": 2})

    assert (both(None, None), both(one, None), both(None, other)) == (None, one, other)
    assert both(one, other) == Condition({"$and": [{"a": 1}, {"b": 2}]})


@pytest.mark.parametrize("name", _GUARDED)
def test_every_statement_with_a_place_can_be_planned_with_a_condition(name: str, database_uri: str) -> None:
    given = dict.fromkeys(_PARAMETER.findall(queries()[name]))
    statement, params = guarded(name, condition({"$or": [{"owner": "x"}, {"t": {"$contains": "y"}}]}), given)
    params |= {key: "00000000-0000-0000-0000-000000000001" for key in _UUIDS if key in params}
    text = statement.as_string(None)

    assert "visible(" not in text
    assert text.count("t.metadata") + text.count("metadata @>") >= queries()[name].count("visible(")
    with psycopg.connect(database_uri, autocommit=True) as connection:
        connection.execute(sql.SQL("EXPLAIN ") + statement, params)


def test_a_statement_without_a_place_is_never_run_with_a_condition() -> None:
    with pytest.raises(RuntimeError, match="no place"):
        guarded("run_delete", condition({"owner": "x"}), {})
