"""Two tenants, and every route of the table: nobody without credentials, and nobody else, sees or changes anything."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import psycopg
import pytest
from jupyter_server.auth import IdentityProvider, User
from lgnb_server.routes import ROUTES
from two_tenants import (
    CRON,
    GRAPH,
    MAKE_WHAT_IS_MISSING,
    SECRET,
    VISITS,
    Tenants,
    everything,
    walk_as_another,
    walk_as_strangers,
    walk_as_the_owner,
)

from lgnb.graphs.descriptor_views import GraphDescriptor
from lgnb.loopback import RUN_HEADER

_DESCRIPTOR = GraphDescriptor(graph_id=GRAPH, name=GRAPH, schemas={"input_schema": {"type": "object"}})
_MODULE = Path(__file__).with_name("tenants") / "langgraph.json"


class TwoUsers(IdentityProvider):
    """Knows two people, as a JupyterHub does, and lets in nobody else."""

    def get_user(self, handler: Any) -> User | None:
        name = self.get_token(handler)
        if name not in ("alice", "bob"):
            return None
        handler._token_authenticated = True
        return User(username=name)


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
    scheme = "Bearer" if keeper == "an auth module" else "token"
    tenants = Tenants(jupyter.anonymous, {"alice": jupyter.url, "bob": jupyter.url}, scheme)
    await tenants.make(database_uri)
    return tenants


def test_the_walk_knows_every_route() -> None:
    assert set(VISITS) == {(route.method, route.path) for route in ROUTES if not route.public}


async def test_a_stranger_is_told_nothing_anywhere(tenants: Tenants, database_uri: str) -> None:
    before = everything(database_uri)

    await walk_as_strangers(tenants, [{}, {"x-api-key": "wrong"}, tenants.headers("mallory")])

    assert everything(database_uri) == before


async def test_another_tenant_sees_and_changes_nothing(tenants: Tenants, database_uri: str) -> None:
    before = everything(database_uri)

    await walk_as_another(tenants)

    assert everything(database_uri) == before


async def test_the_owner_sees_it_all_but_not_what_the_graph_is_told_of_him(tenants: Tenants) -> None:
    await walk_as_the_owner(tenants)


async def test_a_missing_thing_looks_like_a_hidden_one(tenants: Tenants) -> None:
    known = dict(tenants.ids)
    for (method, path), visit in VISITS.items():
        if "{" not in path or "graph" in path or (method, path) in MAKE_WHAT_IS_MISSING:
            continue
        tenants.ids = known
        hidden = await tenants.visit(tenants.headers("bob"), method, path, visit)
        tenants.ids = {name: _other(text) for name, text in known.items()}
        missing = await tenants.visit(tenants.headers("bob"), method, path, visit)
        assert missing.status_code == hidden.status_code, (method, path)


async def test_whoever_makes_a_thing_owns_it_whatever_he_says(tenants: Tenants) -> None:
    foreign = {"owner": "alice"}
    thread = (await tenants.call("bob", "POST", "/threads", json={"metadata": foreign})).json()
    cron = await tenants.call("bob", "POST", "/runs/crons", json=CRON | {"assistant_id": GRAPH, "metadata": foreign})
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


async def test_a_graph_acts_with_the_rights_of_whoever_started_its_run(tenants: Tenants, jupyter: Any) -> None:
    keys = jupyter.extension.host.keys
    of_bob = (await tenants.call("bob", "POST", "/runs", json={"assistant_id": GRAPH})).json()["run_id"]
    thread = "/threads/{thread_id}".format(**tenants.ids)

    async def status(key: str, run_id: str | None) -> int:
        headers = {"x-api-key": key} | ({RUN_HEADER: run_id} if run_id else {})
        return (await jupyter.anonymous.get(thread, headers=headers)).status_code

    assert await status(keys.worker, tenants.ids["run_id"]) == 200
    assert await status(keys.worker, of_bob) == 404
    assert await status(keys.worker, _other(of_bob)) == 401
    assert await status(keys.worker, None) == 401
    # The operator's application is code of this process, and decides for itself.
    assert await status(keys.application, None) == 200


async def test_deleting_an_assistant_with_its_threads_spares_those_of_others(
    tenants: Tenants, database_uri: str
) -> None:
    assistant = (await tenants.call("alice", "POST", "/assistants", json={"graph_id": GRAPH})).json()["assistant_id"]
    thread = (await tenants.call("bob", "POST", "/threads", json={})).json()["thread_id"]
    with psycopg.connect(database_uri, autocommit=True) as connection:
        connection.execute(
            "UPDATE threads SET metadata = metadata || %s::jsonb WHERE thread_id = %s",
            (json.dumps({"assistant_id": assistant}), thread),
        )

    deleted = await tenants.call("alice", "DELETE", f"/assistants/{assistant}", params={"delete_threads": "true"})

    assert deleted.status_code == 204
    assert (await tenants.call("bob", "GET", f"/threads/{thread}")).status_code == 200


def _other(text: str) -> str:
    return text[:-1] + ("1" if text[-1] == "0" else "0")
