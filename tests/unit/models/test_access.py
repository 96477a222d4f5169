"""Filters that an operator writes, and what is said of those that cannot be used."""

from __future__ import annotations

import uuid
from typing import Any

import pytest

from lgnb.json_encoding import encode
from lgnb.models.access import UNRESTRICTED, Condition
from lgnb.models.identity import Caller


@pytest.mark.parametrize(
    "filter",
    [
        {"owner": "x"},
        {"owner": {"$eq": None}},
        {"tags": {"$contains": ["a", 1]}},
        {"$or": [{"a": 1}, {"$and": [{"b": 1}, {"c": 1}]}], "d": 1},
    ],
)
def test_a_filter_is_kept_as_it_is(filter: dict[str, Any]) -> None:
    assert Condition.parse(filter) == Condition(filter)


def test_an_empty_filter_is_no_condition() -> None:
    assert Condition.parse({}) is None


@pytest.mark.parametrize(
    ("filter", "problem"),
    [
        ({1: "x"}, "must be a text"),
        ({"$not": {"a": 1}}, "no operator '\\$not'"),
        ({"a": {"$gt": 1}}, "operator '\\$gt'"),
        ({"a": uuid.UUID(int=1)}, "UUID, which JSON cannot hold"),
        ({"a": float("nan")}, "JSON cannot hold"),
        ({"a": {"$contains": []}}, "one of them or a list"),
        ({"a": {"$contains": [{"b": 1}]}}, "one of them or a list"),
        ({"$or": [{"a": 1}]}, "at least two"),
        ({"$or": {"a": 1}}, "at least two"),
        ({"$or": [{"a": 1}, {}]}, "at least two"),
        ({"$or": [{"a": 1}, {"$and": [{"b": 1}, {"$or": [{"c": 1}, {"d": 1}]}]}]}, "more than 2 deep"),
    ],
)
def test_a_filter_that_cannot_be_used_is_refused_with_the_reason(filter: dict[Any, Any], problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        Condition.parse(filter)


async def test_without_a_rule_every_question_is_answered_with_yes() -> None:
    value = {"thread_id": 1}

    assert await UNRESTRICTED.ask("threads", "delete", value) is None
    assert (value, UNRESTRICTED.caller, UNRESTRICTED.restricts) == ({"thread_id": 1}, None, False)


def test_a_caller_is_read_by_attribute_and_by_key_and_comes_back_from_storage() -> None:
    caller = Caller("alice", permissions=["p"], extras={"org": "x"})

    assert (caller.identity, caller["identity"], caller.org, caller["org"]) == ("alice", "alice", "x", "x")
    assert ("org" in caller, "other" in caller, list(caller)) == (True, False, caller.keys())
    assert Caller.from_dict(caller.as_dict()) == caller
    with pytest.raises(AttributeError):
        _ = caller.unknown


def test_no_json_and_no_log_tells_more_of_a_caller_than_the_name() -> None:
    caller = Caller("alice", extras={"token": "hush"})

    assert encode({"user": caller}) == b'{"user":null}'
    assert "hush" not in repr(caller)
