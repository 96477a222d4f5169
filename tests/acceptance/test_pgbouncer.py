"""A server whose every statement goes through a pgbouncer in transaction mode."""

from __future__ import annotations

import runpy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from langgraph_sdk import get_client

_TOOL = runpy.run_path(str(Path(__file__).parents[1] / "tools" / "pgbouncer.py"))


@pytest.fixture
def bounced_uri(database_uri: str) -> Iterator[str]:
    if _TOOL["find"]() is None:
        pytest.skip("there is no pgbouncer on this machine")
    with _TOOL["pgbouncer"](database_uri) as uri:
        yield uri


async def test_runs_streams_and_state_work_behind_pgbouncer(
    make_server: Any, bounced_uri: str, redis_uri: str, redis_prefix: str
) -> None:
    """`?pgbouncer=true` in the URI is all that lgnb needs to be told."""
    graphs = Path(__file__).parents[2] / "lgnb" / "testing" / "langgraph.json"
    places = {"LGNB_REDIS_URI": redis_uri, "LGNB_REDIS_KEY_PREFIX": redis_prefix}
    server = make_server(graphs=graphs, environment={"LGNB_POSTGRES_URI": f"{bounced_uri}?pgbouncer=true", **places})

    async with get_client(url=server.url, api_key=server.api_key) as client:
        thread = await client.threads.create()
        # More often than the library waits before it would prepare a statement.
        for _ in range(8):
            streamed = [
                part.event
                async for part in client.runs.stream(
                    thread["thread_id"], "tokens", input={"messages": [{"role": "user", "content": "hello"}]}
                )
            ]
            assert streamed[0] == "metadata"
            assert "error" not in streamed
        state = await client.threads.get_state(thread["thread_id"])
        history = await client.threads.get_history(thread["thread_id"], limit=100)
        await client.store.put_item(("a",), "k", {"v": 1})
        item = await client.store.get_item(("a",), "k")
    server.stop()

    assert len(state["values"]["messages"]) == 16
    assert len(history) > 16
    assert item["value"] == {"v": 1}
    assert "Traceback" not in server.log
