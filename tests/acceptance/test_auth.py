"""The auth module of the documentation on a real server: who gets in, who sees what, and what a graph is told."""

from __future__ import annotations

import asyncio
import json
import re
import shutil
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from langgraph_sdk import get_client
from langgraph_sdk.client import LangGraphClient
from langgraph_sdk.errors import AuthenticationError, NotFoundError, PermissionDeniedError

_PROJECT = Path(__file__).with_name("projects") / "tenants"
_DOCUMENT = Path(__file__).parents[2] / "docs" / "auth.md"


def _documented() -> str:
    (module,) = re.findall(r"^```python\n(.*?)^```", _DOCUMENT.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    # The example names a caller and his rights; this server also wants to know a team.
    return module.replace('{"identity": name,', '{"identity": name, "team": "red",')


@pytest.fixture(scope="module")
def server(make_server: Any, tmp_path_factory: pytest.TempPathFactory) -> Any:
    project = tmp_path_factory.mktemp("tenants")
    shutil.copytree(_PROJECT, project, dirs_exist_ok=True)
    (project / "auth.py").write_text(_documented())
    return make_server(graphs=project / "langgraph.json")


@pytest.fixture
async def clients(server: Any) -> AsyncIterator[Callable[[str], LangGraphClient]]:
    """The official client of somebody, by the key that he sends."""
    opened: list[LangGraphClient] = []

    def open_client(key: str) -> LangGraphClient:
        opened.append(get_client(url=server.url, api_key=key))
        return opened[-1]

    yield open_client
    for client in opened:
        await client.aclose()


@pytest.fixture
def alice(clients: Callable[[str], LangGraphClient]) -> LangGraphClient:
    return clients("alices-key")


@pytest.fixture
def bob(clients: Callable[[str], LangGraphClient]) -> LangGraphClient:
    return clients("bobs-key")


async def test_only_the_module_lets_anybody_in(clients: Callable[[str], LangGraphClient], server: Any) -> None:
    """The keys of the server and Jupyter's token are not credentials where a module decides."""
    for key in ("nobodys-key", server.own_key, server.token):
        with pytest.raises(AuthenticationError, match="Send your key"):
            await clients(key).threads.search()

    async with httpx.AsyncClient(base_url=server.url, trust_env=False) as http:
        refused = await http.get("/threads/x", headers={"Authorization": f"Bearer {server.token}"})
        assert (refused.status_code, refused.json()["detail"]) == (401, "Send your key as x-api-key.")
        assert (await http.get("/info")).status_code == 200


async def test_a_graph_knows_who_started_it_and_no_client_is_shown_more_than_the_name(alice: LangGraphClient) -> None:
    """The caller reaches the node as an object; rows, states and events do not carry it."""
    thread = await alice.threads.create()
    modes = ["values", "updates", "debug", "checkpoints", "tasks", "events", "messages-tuple"]
    parts = [
        part
        async for part in alice.runs.stream(
            thread["thread_id"], "whoami", input={}, stream_mode=modes, stream_resumable=True
        )
    ]

    state = await alice.threads.get_state(thread["thread_id"])
    assert state["values"]["told"] == {
        "identity": "alice",
        "as_a_key": "alice",
        "of_server": "alice",
        "user_id": "alice",
        "auth_user_id": "alice",
        "permissions": ["admin"],
        "extra": "red",
    }
    (run,) = await alice.runs.list(thread["thread_id"])
    shown = json.dumps([[part.data for part in parts], run, state, await alice.threads.get(thread["thread_id"])])
    shown = shown.replace(json.dumps(state["values"]["told"]), "")
    assert 'langgraph_auth_user"' not in shown
    assert "langgraph_auth_permissions" not in shown
    assert '"red"' not in re.sub(r'"told": \{[^}]*\}', "", shown)


async def test_what_one_makes_the_other_does_not_find(alice: LangGraphClient, bob: LangGraphClient) -> None:
    """Every way to a thread that is somebody else's ends as if there were none."""
    thread_id = (await alice.threads.create(metadata={"topic": "taxes"}))["thread_id"]
    await alice.runs.wait(thread_id, "whoami", input={})
    (run,) = await alice.runs.list(thread_id)

    assert await bob.threads.search(metadata={"topic": "taxes"}) == []
    for attempt in (
        bob.threads.get(thread_id),
        bob.threads.get_state(thread_id),
        bob.threads.get_history(thread_id),
        bob.threads.update_state(thread_id, {"told": {}}),
        bob.runs.create(thread_id, "whoami", input={}),
        bob.runs.create(thread_id, "whoami", input={}, if_not_exists="create"),
    ):
        with pytest.raises(NotFoundError):
            await attempt
    with pytest.raises(httpx.HTTPStatusError, match="404"):
        await bob.runs.join(thread_id, run["run_id"])
    assert [part.event async for part in await bob.threads.join_stream(thread_id)] == ["error"]
    await alice.threads.update_state(thread_id, {"told": {}})
    assert (await alice.threads.get_state(thread_id))["values"] == {"told": {}}


async def test_rights_decide_beside_ownership(alice: LangGraphClient, bob: LangGraphClient) -> None:
    """A handler for one action may ask for a permission."""
    mine = (await bob.threads.create())["thread_id"]

    with pytest.raises(PermissionDeniedError):
        await bob.threads.delete(mine)
    with pytest.raises(NotFoundError):
        await alice.threads.delete(mine)
    assert await bob.threads.get(mine)


async def test_everybody_has_a_store_of_his_own(alice: LangGraphClient, bob: LangGraphClient) -> None:
    """The module puts each caller's items under his name."""
    await alice.store.put_item(["diary"], key="monday", value={"text": "rain"})

    assert (await alice.store.get_item(["diary"], key="monday"))["namespace"] == ["alice", "diary"]
    assert await bob.store.get_item(["diary"], key="monday") is None
    assert (await bob.store.search_items([]))["items"] == []
    assert (await bob.store.list_namespaces([]))["namespaces"] == []


async def test_a_cron_runs_as_who_made_it(alice: LangGraphClient, bob: LangGraphClient) -> None:
    """Nobody is asked when it fires; the run and its thread are its maker's."""
    cron = await alice.crons.create("whoami", schedule="* * * * * *", input={}, on_run_completed="keep")
    assert cron["user_id"] == "alice"
    try:
        async with asyncio.timeout(30):
            # Of its maker a cron keeps the name, and nothing of his rights.
            while not (fired := await alice.threads.search(values={"told": {"permissions": []}})):
                await asyncio.sleep(0.1)
        assert fired[0]["values"]["told"]["of_server"] == "alice"
        assert fired[0]["metadata"]["owner"] == "alice"
        assert await bob.crons.search() == []
    finally:
        await alice.crons.delete(cron["cron_id"])


async def test_the_thread_protocol_serves_the_owner_and_ends_at_once_for_others(
    alice: LangGraphClient, bob: LangGraphClient
) -> None:
    """`threads.stream` works with a module; another's thread is refused in the protocol's own words."""
    thread_id = (await alice.threads.create())["thread_id"]
    async with alice.threads.stream(thread_id, assistant_id="whoami") as thread:
        await thread.run.start(input={})
        assert (await thread.output)["told"]["identity"] == "alice"

    answer = await bob.http.post(
        f"/threads/{thread_id}/commands",
        json={"id": 1, "method": "run.start", "params": {"assistant_id": "whoami", "input": {"told": {}}}},
    )
    assert (answer["type"], answer["message"][:3]) == ("error", "404")


async def test_a_module_that_does_not_load_stops_the_server(make_server: Any, tmp_path: Path) -> None:
    """Nobody is served without the check that the operator asked for."""
    shutil.copytree(_PROJECT, tmp_path, dirs_exist_ok=True)
    (tmp_path / "auth.py").write_text("import a_package_that_is_missing\n")

    server = make_server(graphs=tmp_path / "langgraph.json", ready=False)

    assert server.process.wait(timeout=60) == 1
    assert "auth.path './auth.py:auth' cannot be loaded: ModuleNotFoundError" in server.log
