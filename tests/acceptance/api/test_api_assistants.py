"""Assistants over HTTP, with the official client."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import httpx
import pytest
from langgraph_sdk.client import LangGraphClient
from langgraph_sdk.errors import ConflictError, NotFoundError

ROW = {
    "assistant_id",
    "graph_id",
    "config",
    "context",
    "metadata",
    "name",
    "created_at",
    "updated_at",
    "version",
    "description",
}


# Two processes of a test run must name their tests alike.
_NOBODY = "00000000-0000-4000-8000-000000000000"


async def test_every_graph_has_a_system_assistant(client: LangGraphClient) -> None:
    """Their ids are computed from the graph's, so a client knows them."""
    found = await client.assistants.search(metadata={"created_by": "system"}, graph_id="steps")

    assert [(row["name"], row["version"]) for row in found] == [("steps", 1)]
    assert set(found[0]) == ROW
    assert found[0]["created_at"].endswith("+00:00")


async def test_an_assistant_lives_through_versions(client: LangGraphClient) -> None:
    """Created, changed, set back and deleted; each change is a version."""
    created = await client.assistants.create(
        "steps", config={"recursion_limit": 9}, context={"seconds": 1}, metadata={"m": 1}, name="Ada"
    )
    assistant_id = created["assistant_id"]
    updated = await client.assistants.update(assistant_id, metadata={"n": 2}, name="Bob", description="second")
    restored = await client.assistants.set_latest(assistant_id, 1)
    versions = await client.assistants.get_versions(assistant_id)

    assert created["config"] == {"recursion_limit": 9, "configurable": {"seconds": 1}}
    assert (updated["version"], updated["metadata"], updated["config"]) == (2, {"m": 1, "n": 2}, created["config"])
    assert (restored["version"], restored["name"], restored["description"]) == (1, "Ada", None)
    assert [row["version"] for row in versions] == [2, 1]
    assert set(versions[0]) == ROW - {"updated_at"}
    assert await client.assistants.get(assistant_id) == restored
    await client.assistants.delete(assistant_id)
    with pytest.raises(NotFoundError):
        await client.assistants.get(assistant_id)


async def test_pages_tell_whether_there_is_another_one(client: LangGraphClient, http: httpx.AsyncClient) -> None:
    """The headers do not count everything: they say where the next page begins."""
    group = {"group": str(uuid4())}
    for name in ("b", "A", "c"):
        await client.assistants.create("steps", name=name, metadata=group)

    first = await http.post("/assistants/search", json={"metadata": group, "limit": 2, "sort_by": "name"})
    last = await http.post("/assistants/search", json={"metadata": group, "limit": 2, "offset": 2, "sort_by": "name"})
    page = await client.assistants.search(metadata=group, limit=2, response_format="object")

    assert [row["name"] for row in first.json() + last.json()] == ["c", "b", "A"]
    assert (first.headers["x-pagination-total"], first.headers["x-pagination-next"]) == ("3", "2")
    assert last.headers["x-pagination-total"] == "3"
    assert "x-pagination-next" not in last.headers
    assert page["next"] == "2"
    assert [row["name"] for row in page["assistants"]] == ["c", "A"]
    assert await client.assistants.count(metadata=group) == 3
    selected = await client.assistants.search(metadata=group, select=["name", "version"])
    assert all(set(row) == {"name", "version"} for row in selected)


async def test_a_graph_is_drawn_and_described_without_running_it(client: LangGraphClient) -> None:
    """Drawing, schemas and subgraphs come from what the worker registered."""
    (assistant,) = await client.assistants.search(graph_id="nested", metadata={"created_by": "system"})
    assistant_id = assistant["assistant_id"]

    drawing = await client.assistants.get_graph("nested")
    opened = await client.assistants.get_graph(assistant_id, xray=True)
    schemas = await client.assistants.get_schemas(assistant_id)
    subgraphs = await client.assistants.get_subgraphs(assistant_id)

    assert [node["id"] for node in drawing["nodes"]] == ["__start__", "first", "child", "__end__"]
    assert "child:ask" in {node["id"] for node in opened["nodes"]}
    assert schemas["graph_id"] == "nested"
    assert schemas["state_schema"]["title"] == "nested_state"
    assert "seconds" in schemas["context_schema"]["properties"]
    assert set(subgraphs) == {"child"}
    assert await client.assistants.get_subgraphs(assistant_id, namespace="nowhere") == {}


async def test_a_taken_id_is_refused_or_ignored(client: LangGraphClient) -> None:
    """`if_exists` decides."""
    created = await client.assistants.create("steps")
    taken = created["assistant_id"]

    with pytest.raises(ConflictError):
        await client.assistants.create("steps", assistant_id=taken)
    assert await client.assistants.create("nested", assistant_id=taken, if_exists="do_nothing") == created


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("POST", "/assistants", {"graph_id": "unknown"}, 404),
        ("POST", "/assistants/search", {"graph_id": "unknown"}, 404),
        ("POST", "/assistants/count", {"graph_id": "unknown"}, 404),
        ("POST", "/assistants/search", {"select": ["no_column"]}, 422),
        ("POST", "/assistants/search", {"limit": 0}, 422),
        ("POST", "/assistants/search", {"limit": 1001}, 422),
        ("GET", "/assistants/steps", None, 422),
        ("GET", "/assistants/unknown/graph", None, 404),
        ("GET", "/assistants/steps/graph?xray=-1", None, 422),
        ("GET", f"/assistants/{_NOBODY}", None, 404),
        ("PATCH", f"/assistants/{_NOBODY}", {}, 404),
        ("DELETE", f"/assistants/{_NOBODY}", None, 404),
        ("POST", f"/assistants/{_NOBODY}/versions", {}, 404),
        ("POST", f"/assistants/{_NOBODY}/latest", {"version": 1}, 404),
        ("POST", f"/assistants/{_NOBODY}/latest?version=1", {}, 422),
        (
            "POST",
            "/assistants",
            {"graph_id": "steps", "context": {"a": 1}, "config": {"configurable": {"b": 1}}},
            400,
        ),
    ],
)
async def test_what_cannot_be_is_refused_with_its_status(
    method: str, path: str, body: Any, status: int, http: httpx.AsyncClient
) -> None:
    """And the reason as `detail`."""
    answer = await http.request(method, path, json=body)

    assert answer.status_code == status
    assert answer.json()["detail"]
