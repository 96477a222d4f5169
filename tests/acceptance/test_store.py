"""The store through the official client, and the same store inside graphs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from langgraph_sdk import get_client
from langgraph_sdk.client import LangGraphClient

_PROJECT = Path(__file__).with_name("projects") / "memory" / "langgraph.json"


@pytest.fixture(scope="module")
def server(make_server: Any) -> Any:
    return make_server(graphs=_PROJECT)


@pytest.fixture
async def client(server: Any) -> AsyncIterator[LangGraphClient]:
    async with get_client(url=server.url, api_key=server.api_key) as client:
        yield client


async def test_an_item_is_put_read_found_and_deleted(client: LangGraphClient) -> None:
    """The four calls of a usual program."""
    await client.store.put_item(["users", "ada"], key="note", value={"text": "a cat", "n": 1})

    item = await client.store.get_item(["users", "ada"], key="note")
    found = await client.store.search_items(["users"], filter={"n": {"$gte": 1}})
    await client.store.delete_item(["users", "ada"], key="note")

    assert item["namespace"] == ["users", "ada"]
    assert item["value"] == {"text": "a cat", "n": 1}
    assert item["created_at"].endswith("+00:00")
    assert [(one["key"], one["score"]) for one in found["items"]] == [("note", None)]
    assert await client.store.get_item(["users", "ada"], key="note") is None


async def test_a_search_by_similarity_ranks(client: LangGraphClient) -> None:
    """The embedding is a function beside the configuration file."""
    for text in ("cat cat", "dog", "cat dog"):
        await client.store.put_item(["rank"], key=text, value={"text": text})
    await client.store.put_item(["rank"], key="hidden", value={"text": "cat"}, index=False)

    found = (await client.store.search_items(["rank"], query="a cat"))["items"]

    assert [item["key"] for item in found] == ["cat cat", "cat dog", "dog", "hidden"]
    assert found[0]["score"] > found[1]["score"] > found[2]["score"]
    assert found[3]["score"] is None


async def test_namespaces_are_listed(client: LangGraphClient) -> None:
    """By prefix, with a wildcard, cut to a depth."""
    for namespace in (["list", "a", "x"], ["list", "b", "x"]):
        await client.store.put_item(namespace, key="k", value={})

    assert await client.store.list_namespaces(prefix=["list", "*", "x"]) == {
        "namespaces": [["list", "a", "x"], ["list", "b", "x"]]
    }
    assert await client.store.list_namespaces(prefix=["list"], max_depth=1) == {"namespaces": [["list"]]}


async def test_an_item_goes_away_after_its_time(client: LangGraphClient, server: Any) -> None:
    """Reading does not prolong it here, because the configuration says so."""
    async with httpx.AsyncClient(base_url=server.url, headers={"x-api-key": server.api_key}) as api:
        put = {"namespace": ["short"], "key": "k", "value": {}, "ttl": 0.01}
        assert (await api.put("/store/items", json=put)).status_code == 204
    assert await client.store.get_item(["short"], key="k") is not None

    async with asyncio.timeout(10):
        while await client.store.get_item(["short"], key="k") is not None:
            await asyncio.sleep(0.1)


async def test_a_graph_and_the_api_share_one_store(client: LangGraphClient) -> None:
    """A node of each kind, async and plain, reads and writes what the client sees."""
    await client.store.put_item(["graph", "notes"], key="dog", value={"text": "dog"})

    values = await client.runs.wait(None, "memory", input={"text": "cat"})

    assert values["recalled"] == ["cat", "dog"]
    assert values["known"] == 2
    assert (await client.store.get_item(["graph", "notes"], key="cat"))["value"] == {"text": "cat"}


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("PUT", "/store/items", {"namespace": ["a.b"], "key": "k", "value": {}}, 422),
        ("PUT", "/store/items", {"namespace": [], "key": "k", "value": {}}, 400),
        ("PUT", "/store/items", {"namespace": ["langgraph"], "key": "k", "value": {}}, 400),
        ("PUT", "/store/items", {"namespace": ["a"], "key": "k", "value": 1}, 422),
        ("PUT", "/store/items", {"namespace": ["a"], "key": "k", "value": {}, "ttl": 0}, 422),
        ("GET", "/store/items?namespace=a", None, 400),
        ("GET", "/store/items?namespace=a..b&key=k", None, 422),
        ("POST", "/store/items/search", {"filter": {"a": {"$near": 1}}}, 400),
        ("POST", "/store/items/search", {}, 200),
        ("POST", "/store/items/search", {"limit": 0}, 422),
        ("POST", "/store/namespaces", {"prefix": [""]}, 422),
        ("DELETE", "/store/items", {"namespace": ["a"], "key": "gone"}, 204),
    ],
)
async def test_requests_are_answered_by_the_contract(
    server: Any, method: str, path: str, body: Any, status: int
) -> None:
    """Every refusal says why."""
    async with httpx.AsyncClient(base_url=server.url, headers={"x-api-key": server.api_key}) as api:
        answer = await api.request(method, path, json=body)

    assert answer.status_code == status
    assert status < 400 or answer.json()["detail"]


async def test_info_says_whether_search_is_semantic(server: Any) -> None:
    """So that a client need not try."""
    async with httpx.AsyncClient(base_url=server.url) as api:
        info = (await api.get("/info")).json()

    assert info["store"] == {"semantic_search": True, "problem": None}
