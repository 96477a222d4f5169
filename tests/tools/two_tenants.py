"""Two tenants and every route of the table: what alice has one of everything of, and what others may not learn of it.

A route that the walk does not know makes it fail: add to `VISITS` what a stranger would try there.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx
import psycopg
import pytest
from psycopg import sql
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

GRAPH = "sums"
SECRET = "what-only-alice-may-read"
_HIDDEN = frozenset((403, 404))


@dataclass(frozen=True)
class Visit:
    """What somebody tries at a route with the ids of another one's things.

    Args:
        statuses: the answers that hide them. With 200 the body must be one of `empty`, or hold as much as it.
        shows: the owner himself gets to see his secret here.
        events: the answer is a stream of events, which must end without one, or with an error.
    """

    statuses: frozenset[int] = _HIDDEN
    body: Any = None
    query: Any = None
    empty: tuple[Any, ...] = ()
    shows: bool = False
    events: bool = False


_RUN = {"assistant_id": "{assistant_id}", "input": {}}
_OK = frozenset((200,))
CRON = {"schedule": "0 0 1 1 *", "assistant_id": "{assistant_id}"}
SUBSCRIPTION = {"channels": ["values", "lifecycle", "input"]}
MAKE_WHAT_IS_MISSING = (("POST", "/threads/{thread_id}/runs"), ("POST", "/threads/{thread_id}/commands"))
_RPC = {"jsonrpc": "2.0", "id": 1, "params": {}}
_COMMAND_REFUSED = ({"type": "error", "error": "unknown_error"},)

VISITS: dict[tuple[str, str], Visit] = {
    ("POST", "/assistants"): Visit(frozenset((409,)), {"graph_id": GRAPH, "assistant_id": "{assistant_id}"}),
    ("POST", "/assistants/search"): Visit(_OK, {"name": "Alice"}, empty=([],), shows=True),
    ("POST", "/assistants/count"): Visit(_OK, {"name": "Alice"}, empty=(0,)),
    ("GET", "/assistants/{assistant_id}"): Visit(shows=True),
    ("PATCH", "/assistants/{assistant_id}"): Visit(body={"name": "Bob's"}),
    ("DELETE", "/assistants/{assistant_id}"): Visit(),
    ("POST", "/assistants/{assistant_id}/versions"): Visit(body={}, shows=True),
    ("POST", "/assistants/{assistant_id}/latest"): Visit(body={"version": 1}),
    ("GET", "/assistants/{assistant}/graph"): Visit(),
    ("GET", "/assistants/{assistant_id}/schemas"): Visit(),
    ("GET", "/assistants/{assistant_id}/subgraphs"): Visit(),
    ("GET", "/assistants/{assistant_id}/subgraphs/{namespace:path}"): Visit(),
    ("POST", "/threads"): Visit(frozenset((409,)), {"thread_id": "{thread_id}", "if_exists": "do_nothing"}),
    ("POST", "/threads/search"): Visit(_OK, {"ids": ["{thread_id}"]}, empty=([],), shows=True),
    ("POST", "/threads/count"): Visit(_OK, {"metadata": {"secret": SECRET}}, empty=(0,)),
    ("POST", "/threads/prune"): Visit(body={"thread_ids": ["{thread_id}"]}),
    ("GET", "/threads/{thread_id}"): Visit(shows=True),
    ("PATCH", "/threads/{thread_id}"): Visit(body={"metadata": {"owner": "bob"}}),
    ("DELETE", "/threads/{thread_id}"): Visit(),
    ("POST", "/threads/{thread_id}/copy"): Visit(frozenset((409,))),
    ("GET", "/threads/{thread_id}/storage"): Visit(),
    ("GET", "/threads/{thread_id}/state"): Visit(),
    ("POST", "/threads/{thread_id}/state"): Visit(body={"values": {}}),
    ("POST", "/threads/{thread_id}/state/checkpoint"): Visit(body={"checkpoint": {}}),
    ("GET", "/threads/{thread_id}/state/{checkpoint_id}"): Visit(),
    ("GET", "/threads/{thread_id}/history"): Visit(),
    ("POST", "/threads/{thread_id}/history"): Visit(body={}),
    ("POST", "/runs"): Visit(body=_RUN),
    ("POST", "/runs/stream"): Visit(body=_RUN),
    ("POST", "/runs/wait"): Visit(body=_RUN),
    ("POST", "/runs/batch"): Visit(body=[{"assistant_id": GRAPH, "input": {}}, _RUN]),
    ("POST", "/runs/cancel"): Visit(body={"status": "all"}),
    ("GET", "/runs/{run_id}/join"): Visit(),
    ("GET", "/runs/{run_id}/stream"): Visit(),
    ("POST", "/threads/{thread_id}/runs"): Visit(body={"assistant_id": GRAPH, "if_not_exists": "create"}),
    ("POST", "/threads/{thread_id}/runs/stream"): Visit(body={"assistant_id": GRAPH}),
    ("POST", "/threads/{thread_id}/runs/wait"): Visit(body={"assistant_id": GRAPH}),
    ("GET", "/threads/{thread_id}/runs"): Visit(shows=True),
    ("GET", "/threads/{thread_id}/runs/{run_id}"): Visit(shows=True),
    ("DELETE", "/threads/{thread_id}/runs/{run_id}"): Visit(),
    ("GET", "/threads/{thread_id}/runs/{run_id}/webhooks"): Visit(shows=True),
    ("POST", "/threads/{thread_id}/runs/{run_id}/webhooks/redeliver"): Visit(),
    ("POST", "/threads/{thread_id}/runs/{run_id}/cancel"): Visit(),
    ("GET", "/threads/{thread_id}/runs/{run_id}/join"): Visit(),
    ("GET", "/threads/{thread_id}/runs/{run_id}/stream"): Visit(),
    ("GET", "/threads/{thread_id}/stream"): Visit(_OK, events=True),
    ("POST", "/threads/{thread_id}/stream/events"): Visit(_OK, SUBSCRIPTION, events=True),
    # Without an upgrade nothing can come of it; the socket has tests of its own below.
    ("GET", "/threads/{thread_id}/stream/events"): Visit(frozenset((400,))),
    ("POST", "/threads/{thread_id}/commands"): Visit(
        _OK, {"id": 1, "method": "run.start", "params": _RUN | {"input": {"x": 1}}}, empty=_COMMAND_REFUSED
    ),
    ("POST", "/runs/crons"): Visit(body=CRON),
    ("POST", "/threads/{thread_id}/runs/crons"): Visit(body=CRON | {"assistant_id": GRAPH}),
    ("POST", "/runs/crons/search"): Visit(_OK, {"thread_id": "{thread_id}"}, empty=([],), shows=True),
    ("POST", "/runs/crons/count"): Visit(_OK, {"thread_id": "{thread_id}"}, empty=(0,)),
    ("GET", "/runs/crons/{cron_id}"): Visit(shows=True),
    ("PATCH", "/runs/crons/{cron_id}"): Visit(body={"enabled": False}),
    ("DELETE", "/runs/crons/{cron_id}"): Visit(),
    ("POST", "/mcp"): Visit(_OK, _RPC | {"method": "tools/list"}, empty=({"jsonrpc": "2.0"},), shows=True),
    ("DELETE", "/mcp"): Visit(),
    ("POST", "/a2a/{assistant_id}"): Visit(_OK, _RPC | {"method": "GetExtendedAgentCard"}, empty=({"error": {}},)),
    ("GET", "/a2a/{assistant_id}"): Visit(shows=True),
    ("GET", "/a2a/{assistant_id}/.well-known/agent-card.json"): Visit(shows=True),
    ("GET", "/a2a/{assistant_id}/.well-known/agent.json"): Visit(shows=True),
    ("GET", "/.well-known/agent-card.json"): Visit(query={"assistant_id": "{assistant_id}"}, shows=True),
    ("GET", "/changes"): Visit(),
    ("GET", "/workers"): Visit(),
    ("GET", "/live"): Visit(frozenset((400,))),
    ("GET", "/live/graphs"): Visit(),
    ("PUT", "/store/items"): Visit(body={"namespace": ["alice", "diary"], "key": "k", "value": {}}),
    ("GET", "/store/items"): Visit(query={"namespace": "alice.diary", "key": "k"}, shows=True),
    ("DELETE", "/store/items"): Visit(body={"namespace": ["alice", "diary"], "key": "k"}),
    ("POST", "/store/items/search"): Visit(_OK, {"namespace_prefix": []}, empty=({"items": []},), shows=True),
    ("POST", "/store/namespaces"): Visit(_OK, {"prefix": []}, empty=({"namespaces": []},)),
}


@dataclass
class Tenants:
    """Where alice has one of everything.

    Args:
        http: a client that brings no credentials and keeps no cookies.
        urls: the root of the API for each, which may be the same.
        tokens: what each sends; whoever is not named sends his name.
    """

    http: httpx.AsyncClient
    urls: Mapping[str, str]
    scheme: str = "token"
    tokens: Mapping[str, str] = field(default_factory=dict[str, str])
    ids: dict[str, str] = field(default_factory=dict[str, str])

    def headers(self, name: str) -> dict[str, str]:
        return {"Authorization": f"{self.scheme} {self.tokens.get(name, name)}"}

    async def call(self, name: str, method: str, path: str, **given: Any) -> httpx.Response:
        return await self.http.request(method, f"{self.urls[name]}{path}", headers=self.headers(name), **given)

    async def make(self, database_uri: str) -> None:
        """Give alice one of everything."""

        async def made(method: str, path: str, **body: Any) -> Any:
            answer = await self.call("alice", method, path, json=body)
            assert answer.is_success, answer.text
            return answer.json() if answer.content else None

        secret = {"secret": SECRET}
        assistant = await made(
            "POST", "/assistants", graph_id=GRAPH, name="Alice's", description=SECRET, metadata=secret
        )
        thread = await made("POST", "/threads", metadata=secret)
        on_thread = f"/threads/{thread['thread_id']}/runs"
        run = await made("POST", on_thread, assistant_id=assistant["assistant_id"], input=secret)
        cron = await made("POST", f"{on_thread}/crons", **CRON | {"assistant_id": GRAPH}, metadata=secret)
        await made("PUT", "/store/items", namespace=["alice", "diary"], key="k", value=secret)
        with psycopg.connect(database_uri, autocommit=True) as connection:
            connection.execute(
                "INSERT INTO webhook_deliveries (delivery_id, run_id, thread_id, url, payload, tries_left, status) "
                "VALUES (gen_random_uuid(), %s, %s, %s, '{}', 0, 'delivered')",
                (run["run_id"], thread["thread_id"], f"https://{SECRET}.example"),
            )
        self.ids = {
            "assistant_id": assistant["assistant_id"],
            "thread_id": thread["thread_id"],
            "run_id": run["run_id"],
            "cron_id": cron["cron_id"],
            "checkpoint_id": "1f0c2b1e-0000-6000-8000-000000000000",
            "namespace": "inner",
        }

    async def visit(
        self, headers: Mapping[str, str], method: str, path: str, visit: Visit, *, at: str = "alice"
    ) -> httpx.Response:
        """Try what a visit says at the API of `at`."""
        address = path.replace(":path", "").replace("{assistant}", "{assistant_id}")
        given: dict[str, Any] = {} if visit.body is None else {"json": self._filled(visit.body)}
        url = f"{self.urls[at]}{self._filled(address)}"
        query = self._filled(visit.query)
        async with self.http.stream(method, url, headers=headers, params=query, **given) as answer:
            await answer.aread()
        return answer

    def _filled(self, value: Any) -> Any:
        text = json.dumps(value)
        for name, known in self.ids.items():
            text = text.replace(f"{{{name}}}", known)
        return json.loads(text)

    def socket(
        self, headers: Mapping[str, str], path: str = "/threads/{thread_id}/stream/events", *, at: str = "alice"
    ) -> Any:
        address = f"{self.urls[at]}{path.format(**self.ids)}".replace("http", "ws", 1)
        return connect(address, additional_headers=headers, proxy=None)


def everything(uri: str) -> dict[str, list[Any]]:
    """All rows of alice's things, as the database has them."""
    tables = ("assistants", "assistant_versions", "threads", "runs", "crons", "store_items", "webhook_deliveries")
    rows = sql.SQL("SELECT to_jsonb(t) FROM {} t")
    with psycopg.connect(uri) as connection:
        return {
            table: sorted(str(row[0]) for row in connection.execute(rows.format(sql.Identifier(table))))
            for table in tables
        }


async def walk_as_strangers(
    tenants: Tenants, strangers: Iterable[Mapping[str, str]], *, at: str = "alice", status: int = 401
) -> None:
    """Nobody of them, by the headers that they send, is told anything."""
    strangers = list(strangers)
    for (method, path), visit in VISITS.items():
        for headers in strangers:
            answer = await tenants.visit(headers, method, path, visit, at=at)
            assert answer.status_code == status, (method, path, headers, answer.status_code, answer.text)
            assert SECRET not in answer.text
    for headers in strangers:
        with pytest.raises(InvalidStatus, match=str(status)):
            await tenants.socket(headers, at=at)


async def walk_as_another(tenants: Tenants, name: str = "bob", *, at: str = "bob") -> None:
    """Whoever may use the API at that place, but is not alice, sees and does nothing with her things."""
    headers = tenants.headers(name)
    for (method, path), visit in VISITS.items():
        answer = await tenants.visit(headers, method, path, visit, at=at)
        assert answer.status_code in visit.statuses, (method, path, answer.status_code, answer.text)
        assert SECRET not in answer.text, (method, path)
        if visit.events:
            frames = [frame for frame in answer.text.replace("\r", "").split("\n\n") if frame.strip()]
            assert all(frame.startswith("event: error\n") and "404" in frame for frame in frames), (path, frames)
        elif answer.status_code == 200:
            assert any(_holds(answer.json(), empty) for empty in visit.empty), (method, path, answer.text)
    async with tenants.socket(headers, at=at) as socket:
        told = json.loads(await socket.recv())
        assert (told["error"], told["message"][:3]) == ("unknown_error", "404")
        with pytest.raises(ConnectionClosed, match="4404"):
            await socket.recv()
    with pytest.raises(InvalidStatus, match="403"):
        await tenants.socket(headers, "/live", at=at)


async def walk_as_the_owner(tenants: Tenants) -> None:
    """Alice sees it all, but not what a graph is told of her."""
    for (method, path), visit in VISITS.items():
        if visit.shows:
            answer = await tenants.visit(tenants.headers("alice"), method, path, visit)
            assert answer.status_code == 200, (method, path, answer.text)
            assert SECRET in answer.text, (method, path)
            assert "langgraph_auth" not in answer.text, (method, path)
    async with tenants.socket(tenants.headers("alice")) as socket:
        await socket.send(json.dumps({"id": 1, "method": "subscription.subscribe", "params": SUBSCRIPTION}))
        told = json.loads(await socket.recv())
        assert told["type"] == "success", told
    with pytest.raises(InvalidStatus, match="403"):
        await tenants.socket(tenants.headers("alice"), "/live")


def _holds(told: Any, empty: Any) -> bool:
    """Whether an answer is as empty as that; of an object every key counts that is named, and `{}` is any."""
    if isinstance(told, dict) and isinstance(empty, dict):
        return all(key in told and _holds(told[key], value) for key, value in empty.items())
    return told == empty
