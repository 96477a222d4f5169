"""Two users of a real JupyterHub, on one shared service and on a server each with a common database: nothing crosses.

Both are configured by what docs/jupyterhub.md says, on one Hub and one database.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import urlsplit

import httpx
import psutil
import pytest
from langgraph_sdk import get_client
from playwright.async_api import async_playwright
from two_tenants import GRAPH, Tenants, everything, walk_as_another, walk_as_strangers, walk_as_the_owner

pytestmark = [pytest.mark.node, pytest.mark.timeout(240)]

_SHARED, _OWN = "one shared service", "a server for each"


@pytest.fixture
async def http() -> AsyncIterator[httpx.AsyncClient]:
    async def without_cookies(request: httpx.Request) -> None:
        request.headers.pop("cookie", None)

    async with httpx.AsyncClient(timeout=30, trust_env=False, event_hooks={"request": [without_cookies]}) as client:
        yield client


@pytest.fixture(params=[_SHARED, _OWN])
async def tenants(
    request: pytest.FixtureRequest, hub: Any, http: httpx.AsyncClient, database_of_module: str
) -> Tenants:
    """Alice has one of everything, and her run has ended."""
    names = ("alice", "bob")
    urls = {name: hub.service if request.param == _SHARED else hub.server(name) for name in names}
    tenants = Tenants(http, urls, tokens=hub.tokens)
    while not (await tenants.call("alice", "POST", "/assistants/search", json={"graph_id": GRAPH})).json():
        await asyncio.sleep(0.1)  # until the operator's worker has told which graphs there are
    await tenants.make(database_of_module)
    run = "/threads/{thread_id}/runs/{run_id}".format(**tenants.ids)
    while (await tenants.call("alice", "GET", run)).json()["status"] != "success":
        await asyncio.sleep(0.1)
    return tenants


async def test_strangers_and_users_without_access_are_told_nothing(
    tenants: Tenants, hub: Any, database_of_module: str
) -> None:
    before = everything(database_of_module)
    without_access = ["carol", "mallory"] + (["bob"] if tenants.urls["alice"] == hub.server("alice") else ["guest"])

    await walk_as_strangers(tenants, [{}, {"x-api-key": "wrong"}, *(tenants.headers(name) for name in without_access)])

    assert everything(database_of_module) == before


async def test_the_other_user_sees_and_changes_nothing(tenants: Tenants, database_of_module: str) -> None:
    before = everything(database_of_module)

    await walk_as_another(tenants)

    assert everything(database_of_module) == before


async def test_the_owner_sees_it_all_but_not_what_the_graph_is_told_of_her(tenants: Tenants) -> None:
    await walk_as_the_owner(tenants)


@pytest.mark.parametrize("tenants", [_OWN], indirect=True)
@pytest.mark.parametrize("name", ["guest", "admin"])
async def test_whoever_the_hub_lets_in_on_her_server_is_still_himself(
    tenants: Tenants, database_of_module: str, name: str
) -> None:
    before = everything(database_of_module)

    await walk_as_another(tenants, name, at="alice")

    assert everything(database_of_module) == before


@pytest.mark.parametrize("tenants", [_SHARED], indirect=True)
async def test_what_belongs_to_the_service_itself_opens_nothing(
    tenants: Tenants, hub: Any, database_of_module: str
) -> None:
    facts = hub.runtime_file()
    token = psutil.Process(facts["pid"]).environ()["JUPYTERHUB_API_TOKEN"]
    before = everything(database_of_module)

    await walk_as_strangers(tenants, [{"x-api-key": facts["key"]}, {"x-api-key": token}], status=403)
    await walk_as_strangers(tenants, [{"Authorization": f"token {token}"}])

    assert everything(database_of_module) == before


async def test_a_token_of_the_hub_is_its_user_however_it_is_sent(hub: Any, http: httpx.AsyncClient) -> None:
    for url, names in ((hub.service, ("alice", "bob", "admin")), (hub.server("alice"), ("alice", "guest", "admin"))):
        for name in names:
            token = hub.tokens[name]
            for headers in (
                {"x-api-key": token},
                {"Authorization": f"Bearer {token}"},
                {"Authorization": f"token {token}"},
                {"x-api-key": "of-langsmith", "Authorization": f"Bearer {token}"},
            ):
                made = await http.post(f"{url}/threads", json={"metadata": {"owner": "x"}}, headers=headers)
                assert made.json()["metadata"] == {"owner": name}, (url, name)
    made = await http.post(f"{hub.service}/threads", json={}, headers={"x-api-key": hub.tokens["robot"]})
    assert made.json()["metadata"] == {"owner": "service:robot"}


async def test_a_graph_works_for_whoever_called_it_and_both_ways_lead_to_the_same_rows(hub: Any) -> None:
    for name in ("alice", "bob"):
        for url, other in ((hub.service, hub.server(name)), (hub.server(name), hub.service)):
            async with (
                get_client(url=url, api_key=hub.tokens[name]) as here,
                get_client(url=other, api_key=hub.tokens[name]) as there,
            ):
                thread = (await here.threads.create())["thread_id"]
                parts = [part async for part in here.runs.stream(thread, GRAPH, input={}, stream_mode="updates")]
                assert {"tell": {"who": name}} in [part.data for part in parts]
                assert (await there.threads.get_state(thread))["values"] == {"who": name}


async def test_pages_lead_to_the_login_of_the_hub_or_refuse(hub: Any, http: httpx.AsyncClient) -> None:
    for root, without_access in ((hub.service, "carol"), (hub.server("alice"), "bob")):
        stranger = await http.get(f"{root}/studio")
        assert (stranger.status_code, "/hub/api/oauth2/authorize" in stranger.headers["location"]) == (302, True)
        headers = {"Authorization": f"token {hub.tokens[without_access]}"}
        assert (await http.get(f"{root}/studio", headers=headers)).status_code == 403


async def test_what_an_agent_says_of_its_address_is_what_the_proxy_serves(hub: Any, http: httpx.AsyncClient) -> None:
    for root in (hub.service, hub.server("alice")):
        headers = {"x-api-key": hub.tokens["alice"]}
        [row, *_] = (await http.post(f"{root}/assistants/search", json={"graph_id": GRAPH}, headers=headers)).json()
        card = (await http.get(f"{root}/a2a/{row['assistant_id']}", headers=headers)).json()
        assert card["url"] == f"{root}/a2a/{row['assistant_id']}"


async def test_the_service_serves_nothing_of_jupyter_that_is_not_everybodys(hub: Any, http: httpx.AsyncClient) -> None:
    root, headers = hub.service.removesuffix("/lgnb"), {"Authorization": f"token {hub.tokens['alice']}"}

    for method, path in (
        ("POST", "api/kernels"),
        ("POST", "api/terminals"),
        ("POST", "api/shutdown"),
        ("GET", "api/sessions"),
        ("GET", "api/contents"),
        ("GET", "api/config/x"),
        ("GET", "api/events/subscribe"),
        ("GET", "files/log"),
        ("GET", "view/log"),
        ("GET", "nbconvert/html/log"),
    ):
        answer = await http.request(method, f"{root}/{path}", headers=headers)
        # Jupyter wants its cookie before it says that there is no such thing.
        assert answer.status_code in (403, 404), (path, answer.status_code)
    assert (await http.get(f"{root}/api/me", headers=headers)).json()["identity"]["username"] == "alice"


_RUN_IT = """
import lgnb
run = lgnb.run("sums", {})
print(run.values["who"], lgnb.server().url)
"""
_FORGET_THE_SERVICE = "import os; del os.environ['LGNB_URL'], os.environ['LGNB_API_KEY']"
# As in a kernel that the server did not start itself.
_LOOK_AGAIN = """
os.environ["JPY_PARENT_PID"] = "0"
from langgraph_sdk import get_sync_client
from lgnb.client.discovery import find_server
found = find_server().server
print(get_sync_client(url=found.url, api_key=found.api_key).threads.create()["metadata"]["owner"], found.url)
"""


async def test_a_kernel_calls_as_the_user_of_its_server(hub: Any) -> None:
    """What the spawner says leads it to the service; without, it finds its own server, also by the Hub's variables."""

    async def told(name: str, *cells: str) -> list[str]:
        return (await asyncio.to_thread(hub.in_a_kernel_of, name, *cells)).split()

    who, where = await told("bob", _RUN_IT)
    assert (who, urlsplit(where).path) == ("bob", urlsplit(hub.service).path)
    who, where, owner, again = await told("alice", _FORGET_THE_SERVICE, _RUN_IT, _LOOK_AGAIN)
    assert (who, urlsplit(where).path) == ("alice", urlsplit(hub.server("alice")).path)
    assert (owner, again) == ("alice", where)


async def test_a_server_with_a_database_of_its_own_serves_live_graphs(hub: Any) -> None:
    printed = await asyncio.to_thread(
        hub.in_a_kernel_of,
        "dora@home",
        "%load_ext lgnb",
        """
from langgraph.graph import END, START, MessagesState, StateGraph
mine = StateGraph(MessagesState).add_node("say", lambda state: {"messages": [("ai", "from my notebook")]})
mine = mine.add_edge(START, "say").add_edge("say", END).compile()
%lg serve mine as mine
""",
        "import lgnb; print(lgnb.run('mine', 'Hello').values['messages'][-1]['content'])",
    )

    assert "from my notebook" in printed
    async with httpx.AsyncClient(base_url=hub.server("dora@home"), trust_env=False, timeout=30) as http:
        headers = {"x-api-key": hub.tokens["dora@home"]}
        assert len((await http.post("/threads/search", json={}, headers=headers)).json()) == 1
        assert (
            await http.post("/threads/search", json={}, headers={"x-api-key": hub.tokens["bob"]})
        ).status_code == 401


@pytest.mark.chromium
async def test_pages_of_the_service_show_each_what_is_his(hub: Any, chromium: str, http: httpx.AsyncClient) -> None:
    for name in ("alice", "bob"):
        headers = {"x-api-key": hub.tokens[name]}
        body = {"graph_id": GRAPH, "name": f"the agent of {name}"}
        (await http.post(f"{hub.service}/assistants", json=body, headers=headers)).raise_for_status()

    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        try:
            for name, other in (("alice", "bob"), ("bob", "alice")):
                page = await (await browser.new_context()).new_page()
                answers: list[tuple[int, str]] = []
                page.on("response", lambda answer, answers=answers: answers.append((answer.status, answer.url)))
                await page.goto(f"{hub.service}/studio")
                await page.fill("input[name=username]", name)
                await page.fill("input[name=password]", "any")
                await page.click("input[type=submit]")
                await page.wait_for_url(f"{hub.service}/studio")
                answers.clear()
                for address in (f"{hub.service}/studio", f"{hub.server(name)}/studio"):
                    await page.goto(f"{address}#/assistants")
                    await page.get_by_text(f"the agent of {name}").first.wait_for(state="attached", timeout=20_000)
                    assert f"the agent of {other}" not in await page.content()
                # News of everybody are for nobody here.
                refused = {urlsplit(url).path.rsplit("/", 1)[1] for status, url in answers if status >= 400}
                assert refused <= {"changes", "favicon.ico"}
                assert 401 not in [status for status, _ in answers]
        finally:
            await browser.close()
