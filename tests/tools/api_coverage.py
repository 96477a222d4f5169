"""Which operations of the API each test really calls, and with which client: noted while tests run.

    LGNB_TEST_API_COVERAGE=1 python -m pytest tests/acceptance

writes docs/api-coverage.md from what was seen; what tests of another run are said to call stays. A test that the
document names fails when it no longer calls what the document says of it, and a test over the route table fails where a
cell is empty.
"""

from __future__ import annotations

import os
import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest import mock
from urllib.parse import urlsplit

import httpx
import pytest
from lgnb_server.routes import MOUNT, ROUTES
from websockets.asyncio.client import ClientConnection
from websockets.sync.client import ClientConnection as SyncClientConnection

DOCUMENT = Path(__file__).parents[2] / "docs" / "api-coverage.md"
WRITES = os.environ.get("LGNB_TEST_API_COVERAGE", "") not in ("", "0")

ASYNC, SYNC, JS, OTHER = COLUMNS = ("Python SDK", "its sync client", "JS SDK", "other clients")
_MOST_NAMED = 2

Seen = dict[tuple[str, str], set[str]]
"""Operation and column to the tests."""

_seen: Seen = defaultdict(set)
_ran: set[str] = set()
_current: str | None = None
_patterns = [(route.method, re.compile(f".*/{MOUNT}{route.pattern}"), route) for route in ROUTES]


def name_of(route: Any) -> str:
    return f"{route.method} {route.public_path}"


def route_of(method: str, path: str) -> Any:
    """The route that answers a request."""
    if path.rstrip("/").endswith(f"/{MOUNT}"):
        path = f"{path.rstrip('/')}/"
    for its_method, pattern, route in _patterns:
        if its_method == method and pattern.fullmatch(path):
            return route
    return None


def note(column: str, method: str, path: str, status: int) -> None:
    """A test has called an operation; a refusal does not count, unless the operation is there to refuse."""
    if _current and (route := route_of(method, path)) and (status < 400 or status == route.status):
        operation = name_of(route)
        # A library that an SDK stands on may be used without it.
        _seen[operation, OTHER if operation in WITHOUT[column] else column].add(_current)


def _note_response(response: httpx.Response, sdk_column: str) -> None:
    request = response.request
    by_sdk = request.headers.get("user-agent", "").startswith("langgraph-sdk-py")
    path = urlsplit(str(request.url)).path
    note(sdk_column if by_sdk else OTHER, request.method, path, response.status_code)


def _note_socket(column: str, connection: Any) -> None:
    # Whoever uses this library does not say who it is.
    note(column, "GET", urlsplit(connection.request.path).path, connection.response.status_code)


def _watched() -> Iterator[Any]:
    send, sync_send = httpx.AsyncClient.send, httpx.Client.send
    handshake, sync_handshake = ClientConnection.handshake, SyncClientConnection.handshake

    async def watched_send(self: Any, *args: Any, **kwargs: Any) -> httpx.Response:
        response = await send(self, *args, **kwargs)
        _note_response(response, ASYNC)
        return response

    def watched_sync_send(self: Any, *args: Any, **kwargs: Any) -> httpx.Response:
        response = sync_send(self, *args, **kwargs)
        _note_response(response, SYNC)
        return response

    async def watched_handshake(self: Any, *args: Any, **kwargs: Any) -> None:
        await handshake(self, *args, **kwargs)
        _note_socket(ASYNC, self)

    def watched_sync_handshake(self: Any, *args: Any, **kwargs: Any) -> None:
        sync_handshake(self, *args, **kwargs)
        _note_socket(SYNC, self)

    yield mock.patch.object(httpx.AsyncClient, "send", watched_send)
    yield mock.patch.object(httpx.Client, "send", watched_sync_send)
    yield mock.patch.object(ClientConnection, "handshake", watched_handshake)
    yield mock.patch.object(SyncClientConnection, "handshake", watched_sync_handshake)


def key_of(item: pytest.Item) -> str:
    """A test without its parameters, as the document names it."""
    return f"{item.path.name}::{getattr(item, 'originalname', item.name)}"


# Hooks: conftest.py registers this module as a plugin.


def pytest_sessionstart(session: pytest.Session) -> None:
    for patch in _watched():
        patch.start()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Any:
    global _current
    _current = key_of(item)
    _ran.add(_current)
    try:
        result = yield
    finally:
        _current = None
    if not WRITES and DOCUMENT.exists() and not _has_parameters(item):
        missing = [
            f"{operation} ({column})"
            for (operation, column), tests in read().items()
            if key_of(item) in tests and key_of(item) not in _seen[operation, column]
        ]
        assert not missing, f"docs/api-coverage.md says that this test calls {', '.join(missing)}; write it anew."
    return result


def pytest_sessionfinish(session: pytest.Session) -> None:
    if WRITES:
        said = read() if DOCUMENT.exists() else {}
        # A part of the tests writes its part of the document.
        kept = {cell: {test for test in tests if test not in _ran} for cell, tests in said.items()}
        cells = kept.keys() | _seen.keys()
        DOCUMENT.write_text(rendered({cell: kept.get(cell, set()) | _seen[cell] for cell in cells}), encoding="utf-8")


def _has_parameters(item: pytest.Item) -> bool:
    # Each parameter may call something else.
    return hasattr(item, "callspec")


# The document


def rendered(seen: Seen) -> str:
    """The document; of several tests it names those that call the fewest operations, as they tell most."""
    breadth: dict[str, int] = defaultdict(int)
    for tests in seen.values():
        for test in tests:
            breadth[test] += 1
    lines = [
        "# Which tests call which operation",
        "",
        "Written from what the tests were seen to call, with `LGNB_TEST_API_COVERAGE=1`; a test that no longer calls",
        "what this table says fails. `none` stands where that client has no method for the operation. Other clients",
        "are plain HTTP, and those of MCP and A2A.",
        "",
        f"| operation | {' | '.join(COLUMNS)} |",
        f"|---{'|---' * len(COLUMNS)}|",
    ]
    for route in ROUTES:
        operation = name_of(route)
        cells: list[str] = []
        for column in COLUMNS:
            tests = sorted(seen.get((operation, column), ()), key=lambda test: (breadth[test], test))
            named = "<br>".join(f"`{test}`" for test in tests[:_MOST_NAMED])
            cells.append(named or ("none" if operation in WITHOUT[column] else ""))
        lines.append(f"| `{operation}` | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def empty_cells(said: Seen) -> list[str]:
    """What no test is named for; an operation that no SDK has must be called by another client."""
    empty: list[str] = []
    for operation in map(name_of, ROUTES):
        has_method = [column for column in (ASYNC, SYNC, JS) if operation not in WITHOUT[column]]
        empty += [f"{operation} ({column})" for column in has_method or [OTHER] if not said.get((operation, column))]
    return empty


def read() -> Seen:
    """What the document says."""
    said: Seen = defaultdict(set)
    for line in DOCUMENT.read_text(encoding="utf-8").splitlines():
        cells = [cell.strip() for cell in line.strip("|").split(" | ")]
        if len(cells) == 1 + len(COLUMNS) and cells[0].strip().startswith("`"):
            for column, cell in zip(COLUMNS, cells[1:], strict=True):
                said[cells[0].strip("` "), column] = set(re.findall(r"`([^`]+)`", cell))
    return said


_NO_SDK = {
    name_of(route)
    for route in ROUTES
    if route.public
    or route.path.startswith(("/mcp", "/a2a", "/.well-known", "/live"))
    or "webhooks" in route.path
    or (route.method, route.path)
    in {
        ("GET", "/changes"),
        ("GET", "/workers"),
        ("GET", "/threads/{thread_id}/history"),
        ("GET", "/threads/{thread_id}/storage"),
        ("GET", "/runs/crons/{cron_id}"),
        # Whoever follows a Location header is sent to the address with the thread.
        ("GET", "/runs/{run_id}/join"),
        ("GET", "/runs/{run_id}/stream"),
    }
}

WITHOUT: dict[str, set[str]] = {
    ASYNC: _NO_SDK,
    SYNC: _NO_SDK,
    JS: _NO_SDK
    | {
        "POST /threads/prune",
        "POST /runs/cancel",
        # It has one, for browsers; older releases of Node have no WebSocket of their own.
        "GET /threads/{thread_id}/stream/events",
    },
    OTHER: set(),
}
"""Operations for which a client has no method."""
