"""Every operation refuses what makes no sense, says what is wrong, and leaves the database as it was."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from typing import Any

import httpx
import pytest
from lgnb_server.route import UUID_PARAMETERS, Route
from lgnb_server.routes import ROUTES

_MISSING = "01980000-0000-7000-8000-000000000000"
_DEEP = 300
_ODD_NUMBERS = (0, -1, 1001, 10**30, 1.5, True, "10", [], {})
_HOSTILE_KEYS = {"'; DROP TABLE threads; --": 1, "%s": "%(x)s", "a.b[0]": {"$ne": None}, "": "", "__proto__": {"x": 1}}

# These answer in words of their own where they are malformed, and ignore limits they cannot read.
_PROTOCOL = ("/threads/{thread_id}/stream/events", "/threads/{thread_id}/commands")

_WITH_BODY = [route for route in ROUTES if route.body is not None]
_WITH_IDS = [route for route in ROUTES if set(route.parameters) & set(UUID_PARAMETERS)]


def _name(route: Route) -> str:
    return f"{route.method} {route.public_path}"


def _path(route: Route, value: str = _MISSING) -> str:
    path = route.public_path
    for name in route.parameters:
        path = path.replace(f"{{{name}}}", value if name in UUID_PARAMETERS else "x")
    return path


def _fields(route: Route) -> Iterator[tuple[str, dict[str, Any]]]:
    """Names and JSON Schemas of the fields of a body."""
    assert route.body is not None
    described = route.body.model_json_schema()
    for name, schema in described.get("properties", {}).items():
        options = [_resolved(one, described) for one in schema.get("anyOf", [schema])]
        yield name, {"anyOf": options}


def _resolved(schema: dict[str, Any], described: dict[str, Any]) -> dict[str, Any]:
    """A schema, or what it refers to."""
    while "$ref" in schema:
        schema = described["$defs"][schema["$ref"].rpartition("/")[2]]
    return schema


def _takes(schema: dict[str, Any], kind: str) -> bool:
    """Whether a field may be of this JSON type; one without a type takes everything."""
    return any(one.get("type", kind) == kind and "enum" not in one and "const" not in one for one in schema["anyOf"])


async def _send(jupyter: Any, route: Route, body: Any = None, *, content: bytes | None = None) -> httpx.Response:
    if content is None:
        content = json.dumps([body] if route.body_is_list else body).encode()
    return await jupyter.api.request(route.method, _path(route), content=content)


def _told(answer: httpx.Response) -> str:
    body = answer.json()
    return body.get("detail") or body["message"]


def _rightly(route: Route, body: dict[str, Any]) -> dict[str, Any]:
    """A body with what the model requires, so that only the field in question is wrong."""
    required: dict[str, Any] = {
        "assistant_id": _MISSING,
        "graph_id": "nobody",
        "thread_ids": [_MISSING],
        "checkpoint": {},
        "version": 1,
        "schedule": "@yearly",
        "namespace": ["a"],
        "key": "k",
        "value": {},
        "status": "all",
        "channels": ["values"],
        "id": 1,
        "method": "x",
    }
    assert route.body is not None
    names = {name for name, spec in route.body.model_fields.items() if spec.is_required()}
    names |= {"assistant_id"} & set(route.body.model_fields)
    return {name: required[name] for name in names} | body


async def _rows(jupyter: Any) -> dict[str, int]:
    tables = ("assistants", "assistant_versions", "threads", "runs", "crons", "store_items", "checkpoints")
    async with jupyter.extension.host.resources.system._database.connection() as connection:
        return {
            table: (await (await connection.execute(f"SELECT count(*) FROM {table}")).fetchone())[0]  # noqa: S608
            for table in tables
        }


@pytest.fixture
async def unchanged(jupyter: Any) -> AsyncIterator[None]:
    """A thread, a run of nobody and an item are there, and nothing else afterwards."""
    await jupyter.api.post("/threads", json={})
    await jupyter.api.put("/store/items", json={"namespace": ["here"], "key": "k", "value": {}})
    before = await _rows(jupyter)
    yield
    assert await _rows(jupyter) == before


@pytest.mark.usefixtures("unchanged")
async def test_a_body_that_is_no_object_is_refused(jupyter: Any) -> None:
    bodies = (b"", b" ", b"{", b"nothing", b'{"a": }', b"null", b"1", b'"text"', b"\xff\xfe", b'{"a": "\xff"}')
    for route in _WITH_BODY:
        for body in (*bodies, b"{}" if route.body_is_list else b"[]"):
            answer = await _send(jupyter, route, content=body)
            assert answer.status_code in (400, 422), (_name(route), body, answer.text)
            assert _told(answer), (_name(route), body)


@pytest.mark.usefixtures("unchanged")
async def test_what_is_nested_too_deeply_or_holds_a_nul_is_refused(jupyter: Any) -> None:
    for route in _WITH_BODY:
        deep = b'{"x":' * _DEEP + b"1" + b"}" * _DEEP
        nul = b'{"x": "a\\u0000b"}'
        for body in (deep, nul):
            answer = await _send(jupyter, route, content=b"[" + body + b"]" if route.body_is_list else body)
            assert answer.status_code in (400, 422), (_name(route), body[:20])
            assert _told(answer)


@pytest.mark.usefixtures("unchanged")
async def test_a_field_of_a_wrong_type_is_named(jupyter: Any) -> None:
    wrong: dict[str, Any] = {
        "object": {"x": 1},
        "array": [[1]],
        "string": "?",
        "integer": 7,
        "number": 7.5,
        "boolean": True,
    }
    for route in _WITH_BODY:
        if route.path in _PROTOCOL:
            continue
        for name, schema in _fields(route):
            kinds = [kind for kind in wrong if not _takes(schema, kind)]
            # A whole number is a number, and stands for an object where one is minutes to live.
            kinds = [kind for kind in kinds if kind != "integer" or not (_takes(schema, "number") or name == "ttl")]
            kinds = [kind for kind in kinds if kind != "number" or name != "ttl"]
            for kind in kinds[:3]:
                answer = await _send(jupyter, route, _rightly(route, {name: wrong[kind]}))
                assert answer.status_code == 422, (_name(route), name, kind, answer.text)
                told = _told(answer)
                assert name in told or "nobody" in told, (_name(route), name, told)


@pytest.mark.usefixtures("unchanged")
async def test_ids_that_are_none_are_422_and_those_of_nothing_are_404(jupyter: Any) -> None:
    for route in _WITH_IDS:
        for value in ("x", "%00", "%ff", "1" * 32, "..%2F..", _MISSING + "0"):
            answer = await jupyter.api.request(route.method, _path(route, value), content=b"{}")
            assert answer.status_code == 422, (_name(route), value, answer.status_code)
            assert _told(answer)


@pytest.mark.usefixtures("unchanged")
async def test_ids_of_nothing_are_told_as_such(jupyter: Any) -> None:
    for route in _WITH_IDS:
        if route.path in _PROTOCOL or route.path == "/threads/{thread_id}/stream":
            continue
        body = _rightly(route, {}) if route.body else {}
        answer = await _send(jupyter, route, body)
        assert 400 <= answer.status_code < 500, (_name(route), answer.status_code)
        assert _told(answer)


@pytest.mark.usefixtures("unchanged")
async def test_limits_and_offsets_are_checked(jupyter: Any) -> None:
    for route in _WITH_BODY:
        names = {name for name, _ in _fields(route)} & {"limit", "offset", "max_depth"}
        for name in names:
            for number in _ODD_NUMBERS:
                if (name == "offset" and number == 0) or (name != "limit" and number == 1001):
                    continue
                answer = await _send(jupyter, route, _rightly(route, {name: number}))
                assert answer.status_code == 422, (_name(route), name, number)
                assert name in _told(answer)
    for route in ROUTES:
        names = {query.name for query in route.queries} & {"limit", "offset"}
        for name in names:
            for number in ("-1", "1.5", "1e3", "ten", "9" * 30):
                answer = await jupyter.api.request(route.method, _path(route), params={name: number})
                assert answer.status_code == 422, (_name(route), name, number)


@pytest.mark.usefixtures("unchanged")
async def test_hostile_keys_are_only_keys(jupyter: Any) -> None:
    """In filters they find nothing; what may store them is tested where it can be looked at."""
    for route in _WITH_BODY:
        if not route.path.endswith(("/search", "/count", "/versions", "/history", "/namespaces")):
            continue
        for name in {name for name, _ in _fields(route)} & {"metadata", "values", "filter"}:
            answer = await _send(jupyter, route, _rightly(route, {name: _HOSTILE_KEYS}))
            assert answer.status_code < 500, (_name(route), name, answer.text)


async def test_fields_that_nobody_knows_are_named_in_a_header(jupyter: Any) -> None:
    named: set[str] = set()
    for route in _WITH_BODY:
        if route.path in _PROTOCOL:
            continue
        answer = await _send(jupyter, route, _rightly(route, {"never_heard_of": 1}))
        if answer.status_code < 400:
            assert answer.headers["x-lgnb-ignored-fields"] == "never_heard_of", _name(route)
            named.add(route.path)

    assert {"/threads", "/threads/search", "/store/items", "/runs/crons/count"} <= named


class TestWithASmallLimit:
    @pytest.fixture
    def lgnb_config(self, lgnb_config: dict[str, Any]) -> dict[str, Any]:
        return lgnb_config | {"max_body_bytes": 1024}

    async def test_a_body_that_is_too_large_is_413(self, jupyter: Any) -> None:
        large = json.dumps({"x": "y" * 2000}).encode()
        for route in _WITH_BODY:
            answer = await _send(jupyter, route, content=large)
            assert answer.status_code == 413, _name(route)
            assert _told(answer)
