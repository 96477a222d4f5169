"""Threads that expire on a real server, by their own time and by that of the environment."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from langgraph_sdk import get_client
from langgraph_sdk.client import LangGraphClient
from langgraph_sdk.errors import NotFoundError

_DEFAULT = {"default_ttl": 43_200, "strategy": "keep_latest", "sweep_interval_minutes": 0.01}


@pytest.fixture(scope="module")
def server(make_server: Any) -> Any:
    return make_server(environment={"LANGGRAPH_THREAD_TTL": json.dumps(_DEFAULT)})


@pytest.fixture
async def client(server: Any) -> AsyncIterator[LangGraphClient]:
    async with get_client(url=server.url, api_key=server.api_key) as client:
        yield client


async def test_a_thread_goes_away_after_its_time(client: LangGraphClient) -> None:
    """The time counts from the call that set it, in minutes."""
    thread = await client.threads.create(ttl={"ttl": 0.01, "strategy": "delete"})

    async with asyncio.timeout(20):
        while await client.threads.search(ids=[thread["thread_id"]]):
            await asyncio.sleep(0.1)
    with pytest.raises(NotFoundError):
        await client.threads.get(thread["thread_id"])


async def test_a_thread_that_keeps_its_latest_keeps_its_state(client: LangGraphClient) -> None:
    """The history goes, the conversation can go on."""
    thread_id = (await client.threads.create())["thread_id"]
    question = {"messages": [{"role": "user", "content": "What is 6 * 7?"}]}
    values: Any = await client.runs.wait(thread_id, "agent", input=question)
    assert len(await client.threads.get_history(thread_id, limit=50)) > 1

    await client.threads.update(thread_id, metadata={}, ttl={"ttl": 0.01, "strategy": "keep_latest"})
    async with asyncio.timeout(20):
        while len(await client.threads.get_history(thread_id, limit=50)) > 1:
            await asyncio.sleep(0.1)

    assert (await client.threads.get_state(thread_id))["values"] == values
    again: Any = await client.runs.wait(thread_id, "agent", input=question)
    assert len(again["messages"]) > len(values["messages"])


async def test_a_thread_shows_the_time_it_was_given_by_default(client: LangGraphClient) -> None:
    """`include=["ttl"]` asks for it."""
    thread_id = (await client.threads.create())["thread_id"]

    shown: Any = await client.threads.get(thread_id, include=["ttl"])

    assert (shown["ttl"]["ttl_minutes"], shown["ttl"]["strategy"]) == (43_200, "keep_latest")
    assert shown["ttl"]["expires_at"].endswith("+00:00")
