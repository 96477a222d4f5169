"""Two tenants, and every route of the table: nobody without credentials, and nobody else, sees or changes anything.

A route that the walk does not know makes it fail: add to `VISITS` what a stranger would try there.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest
from jupyter_server.auth import IdentityProvider, User
from lgnb_server.routes import ROUTES
from psycopg import sql
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from lgnb.graphs.descriptor_views import GraphDescriptor
from lgnb.loopback import RUN_HEADER

GRAPH = "sums"
SECRET = "what-only-alice-may-read"
_DESCRIPTOR = GraphDescriptor(graph_id=GRAPH, name=GRAPH, schemas={"input_schema": {"type": "object"}})
_MODULE = Path(__file__).with_name("tenants") / "langgraph.json"
_HIDDEN = frozenset((403, 404))


class TwoUsers(IdentityProvider):
    """Knows two people, as a JupyterHub does, and lets in nobody else."""

    def get_user(self, handler: Any) -> User | None:
        name = self.get_token(handler)
        if name not in ("alice", "bob"):
            return None
        handler._token_authenticated = True
        return User(username=name)


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
_CRON = {"schedule": "0 0 1 1 *", "assistant_id": "{assistant_id}"}
_SUBSCRIPTION = {"channels": ["values", "lifecycle", "input"]}
_MAKE_WHAT_IS_MISSING = (("POST", "/threads/{thread_id}/runs"), ("POST", "/threads/{thread_id}/commands"))
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
    ("POST", "/threads/{thread_id}/stream/events"): Visit(_OK, _SUBSCRIPTION, events=True),
    # Without an upgrade nothing can come of it; the socket has tests of its own below.
    ("GET", "/threads/{thread_id}/stream/events"): Visit(frozenset((400,))),
    ("POST", "/threads/{thread_id}/commands"): Visit(
        _OK, {"id": 1, "method": "run.start", "params": _RUN | {"input": {"x": 1}}}, empty=_COMMAND_REFUSED
    ),
    ("POST", "/runs/crons"): Visit(body=_CRON),
    ("POST", "/threads/{thread_id}/runs/crons"): Visit(body=_CRON | {"assistant_id": GRAPH}),
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
    """A server on which alice has one of everything."""

    jupyter: Any
    scheme: str
    ids: dict[str, str] = field(default_factory=dict)

    def headers(self, name: str) -> dict[str, str]:
        return {"Authorization": f"{self.scheme} {name}"}

    async def call(self, name: str, method: str, path: str, **given: Any) -> httpx.Response:
        return await self.jupyter.anonymous.request(method, path, headers=self.headers(name), **given)

    async def visit(self, headers: dict[str, str], method: str, path: str, visit: Visit) -> httpx.Response:
        address = path.replace(":path", "").replace("{assistant}", "{assistant_id}")
        given: dict[str, Any] = {} if visit.body is None else {"json": self._filled(visit.body)}
        async with self.jupyter.anonymous.stream(
            method, self._filled(address), headers=headers, params=self._filled(visit.query), **given
        ) as answer:
            await answer.aread()
        return answer

    def _filled(self, value: Any) -> Any:
        text = json.dumps(value)
        for name, known in self.ids.items():
            text = text.replace(f"{{{name}}}", known)
        return json.loads(text)

    def socket(self, headers: dict[str, str], path: str = "/threads/{thread_id}/stream/events") -> Any:
        address = f"{self.jupyter.url}{path}".format(**self.ids).replace("http", "ws", 1)
        return connect(address, additional_headers=headers, proxy=None)


@pytest.fixture(params=["an auth module", "the users of a hub"])
def keeper(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def lgnb_config(lgnb_config: dict[str, Any], keeper: str) -> dict[str, Any]:
    chosen = {"langgraph_json": str(_MODULE)} if keeper == "an auth module" else {"ownership": "always"}
    return lgnb_config | chosen | {"postgres_pool_size": 8}


@pytest.fixture
def jupyter_config(keeper: str) -> dict[str, Any]:
    return {} if keeper == "an auth module" else {"ServerApp": {"identity_provider_class": TwoUsers}}


@pytest.fixture
async def tenants(jupyter: Any, keeper: str, database_uri: str) -> Tenants:
    await jupyter.extension.host.resources.assistants.register(_DESCRIPTOR)
    tenants = Tenants(jupyter, "Bearer" if keeper == "an auth module" else "token")

    async def make(method: str, path: str, **body: Any) -> Any:
        answer = await tenants.call("alice", method, path, json=body)
        assert answer.is_success, answer.text
        return answer.json() if answer.content else None

    secret = {"secret": SECRET}
    assistant = await make("POST", "/assistants", graph_id=GRAPH, name="Alice's", description=SECRET, metadata=secret)
    thread = await make("POST", "/threads", metadata=secret)
    on_thread = f"/threads/{thread['thread_id']}/runs"
    run = await make("POST", on_thread, assistant_id=assistant["assistant_id"], input=secret)
    cron = await make("POST", f"{on_thread}/crons", **_CRON | {"assistant_id": GRAPH}, metadata=secret)
    await make("PUT", "/store/items", namespace=["alice", "diary"], key="k", value=secret)
    with psycopg.connect(database_uri, autocommit=True) as connection:
        connection.execute(
            "INSERT INTO webhook_deliveries (delivery_id, run_id, thread_id, url, payload, tries_left, status) "
            "VALUES (gen_random_uuid(), %s, %s, %s, '{}', 0, 'delivered')",
            (run["run_id"], thread["thread_id"], f"https://{SECRET}.example"),
        )
    tenants.ids = {
        "assistant_id": assistant["assistant_id"],
        "thread_id": thread["thread_id"],
        "run_id": run["run_id"],
        "cron_id": cron["cron_id"],
        "checkpoint_id": "1f0c2b1e-0000-6000-8000-000000000000",
        "namespace": "inner",
    }
    return tenants


def everything(uri: str) -> dict[str, list[Any]]:
    """All rows of alice's things, as the database has them."""
    tables = ("assistants", "assistant_versions", "threads", "runs", "crons", "store_items", "webhook_deliveries")
    rows = sql.SQL("SELECT to_jsonb(t) FROM {} t")
    with psycopg.connect(uri) as connection:
        return {
            table: sorted(str(row[0]) for row in connection.execute(rows.format(sql.Identifier(table))))
            for table in tables
        }


def test_the_walk_knows_every_route() -> None:
    assert set(VISITS) == {(route.method, route.path) for route in ROUTES if not route.public}


async def test_a_stranger_is_told_nothing_anywhere(tenants: Tenants, database_uri: str) -> None:
    before = everything(database_uri)

    for (method, path), visit in VISITS.items():
        for headers in ({}, {"x-api-key": "wrong"}, tenants.headers("mallory")):
            answer = await tenants.visit(headers, method, path, visit)
            assert answer.status_code == 401, (method, path, headers)
            assert SECRET not in answer.text
    for headers in ({}, tenants.headers("mallory")):
        with pytest.raises(InvalidStatus, match="401"):
            await tenants.socket(headers)

    assert everything(database_uri) == before


async def test_another_tenant_sees_and_changes_nothing(tenants: Tenants, database_uri: str) -> None:
    before = everything(database_uri)

    for (method, path), visit in VISITS.items():
        answer = await tenants.visit(tenants.headers("bob"), method, path, visit)
        assert answer.status_code in visit.statuses, (method, path, answer.status_code, answer.text)
        assert SECRET not in answer.text, (method, path)
        if visit.events:
            frames = [frame for frame in answer.text.replace("\r", "").split("\n\n") if frame.strip()]
            assert all(frame.startswith("event: error\n") and "404" in frame for frame in frames), (path, frames)
        elif answer.status_code == 200:
            assert any(_holds(answer.json(), empty) for empty in visit.empty), (method, path, answer.text)

    async with tenants.socket(tenants.headers("bob")) as socket:
        told = json.loads(await socket.recv())
        assert (told["error"], told["message"][:3]) == ("unknown_error", "404")
        with pytest.raises(ConnectionClosed, match="4404"):
            await socket.recv()
    for name in ("alice", "bob"):
        with pytest.raises(InvalidStatus, match="403"):
            await tenants.socket(tenants.headers(name), "/live")
    assert everything(database_uri) == before


async def test_the_owner_sees_it_all_but_not_what_the_graph_is_told_of_him(tenants: Tenants) -> None:
    for (method, path), visit in VISITS.items():
        if visit.shows:
            answer = await tenants.visit(tenants.headers("alice"), method, path, visit)
            assert answer.status_code == 200, (method, path, answer.text)
            assert SECRET in answer.text, (method, path)
            assert "langgraph_auth" not in answer.text, (method, path)
    async with tenants.socket(tenants.headers("alice")) as socket:
        await socket.send(json.dumps({"id": 1, "method": "subscription.subscribe", "params": _SUBSCRIPTION}))
        assert json.loads(await socket.recv())["type"] == "success"


async def test_a_missing_thing_looks_like_a_hidden_one(tenants: Tenants) -> None:
    known = dict(tenants.ids)
    for (method, path), visit in VISITS.items():
        if "{" not in path or "graph" in path or (method, path) in _MAKE_WHAT_IS_MISSING:
            continue
        tenants.ids = known
        hidden = await tenants.visit(tenants.headers("bob"), method, path, visit)
        tenants.ids = {name: _other(text) for name, text in known.items()}
        missing = await tenants.visit(tenants.headers("bob"), method, path, visit)
        assert missing.status_code == hidden.status_code, (method, path)


async def test_whoever_makes_a_thing_owns_it_whatever_he_says(tenants: Tenants) -> None:
    foreign = {"owner": "alice"}
    thread = (await tenants.call("bob", "POST", "/threads", json={"metadata": foreign})).json()
    cron = await tenants.call("bob", "POST", "/runs/crons", json=_CRON | {"assistant_id": GRAPH, "metadata": foreign})
    run = await tenants.call(
        "bob",
        "POST",
        "/runs",
        json={"assistant_id": GRAPH, "metadata": foreign, "config": {"metadata": foreign}, "on_completion": "keep"},
    )
    born = await tenants.call("bob", "GET", f"/threads/{run.json()['thread_id']}")
    copied = await tenants.call("alice", "POST", "/threads/{thread_id}/copy".format(**tenants.ids))

    assert thread["metadata"]["owner"] == "bob"
    assert (cron.json()["metadata"]["owner"], cron.json()["payload"]["metadata"]["owner"]) == ("bob", "bob")
    assert (run.json()["metadata"]["owner"], born.json()["metadata"]["owner"]) == ("bob", "bob")
    assert copied.json()["metadata"].items() >= {"secret": SECRET, "owner": "alice"}.items()
    assert (await tenants.call("alice", "POST", "/threads/count", json={})).json() == 2


async def test_a_graph_acts_with_the_rights_of_whoever_started_its_run(tenants: Tenants) -> None:
    keys = tenants.jupyter.extension.host.keys
    of_bob = (await tenants.call("bob", "POST", "/runs", json={"assistant_id": GRAPH})).json()["run_id"]
    thread = "/threads/{thread_id}".format(**tenants.ids)

    async def status(key: str, run_id: str | None) -> int:
        headers = {"x-api-key": key} | ({RUN_HEADER: run_id} if run_id else {})
        return (await tenants.jupyter.anonymous.get(thread, headers=headers)).status_code

    assert await status(keys.worker, tenants.ids["run_id"]) == 200
    assert await status(keys.worker, of_bob) == 404
    assert await status(keys.worker, _other(of_bob)) == 401
    assert await status(keys.worker, None) == 401
    # The operator's application is code of this process, and decides for itself.
    assert await status(keys.application, None) == 200


async def test_deleting_an_assistant_with_its_threads_spares_those_of_others(tenants: Tenants) -> None:
    assistant = (await tenants.call("alice", "POST", "/assistants", json={"graph_id": GRAPH})).json()["assistant_id"]
    thread = (await tenants.call("bob", "POST", "/threads", json={})).json()["thread_id"]
    with psycopg.connect(tenants.jupyter.extension.host.settings.postgres_uri, autocommit=True) as connection:
        connection.execute(
            "UPDATE threads SET metadata = metadata || %s::jsonb WHERE thread_id = %s",
            (json.dumps({"assistant_id": assistant}), thread),
        )

    deleted = await tenants.call("alice", "DELETE", f"/assistants/{assistant}", params={"delete_threads": "true"})

    assert deleted.status_code == 204
    assert (await tenants.call("bob", "GET", f"/threads/{thread}")).status_code == 200


def _holds(told: Any, empty: Any) -> bool:
    """Whether an answer is as empty as that; of an object every key counts that is named, and `{}` is any."""
    if isinstance(told, dict) and isinstance(empty, dict):
        return all(key in told and _holds(told[key], value) for key, value in empty.items())
    return told == empty


def _other(text: str) -> str:
    return text[:-1] + ("1" if text[-1] == "0" else "0")
