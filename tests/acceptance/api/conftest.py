"""The official client of the server for the core API, and one without an SDK between."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from inspect import isawaitable
from typing import Any

import httpx
import pytest
from langgraph_sdk import get_client
from langgraph_sdk.client import LangGraphClient


@pytest.fixture
async def client(api_server: Any) -> AsyncIterator[LangGraphClient]:
    """The official client."""
    async with get_client(url=api_server.url, api_key=api_server.api_key) as client:
        yield client


@pytest.fixture
async def http(api_server: Any) -> AsyncIterator[httpx.AsyncClient]:
    """The same server without an SDK between."""
    headers = {"x-api-key": api_server.api_key}
    async with httpx.AsyncClient(base_url=api_server.url, headers=headers, timeout=60) as client:
        yield client


@pytest.fixture
async def thread(client: LangGraphClient) -> str:
    """The id of a new thread."""
    return (await client.threads.create())["thread_id"]


@pytest.fixture
def until() -> Callable[..., Awaitable[Any]]:
    """Ask again and again until the answer is true, and return it."""

    async def wait(ask: Callable[[], Any], what: str, *, seconds: float = 15) -> Any:
        deadline = asyncio.get_running_loop().time() + seconds
        while True:
            answer = ask()
            if isawaitable(answer):
                answer = await answer
            if answer:
                return answer
            assert asyncio.get_running_loop().time() < deadline, f"{what}: not within {seconds:g} s"
            await asyncio.sleep(0.03)

    return wait


@pytest.fixture
def running(client: LangGraphClient, until: Any) -> Callable[..., Awaitable[dict[str, Any]]]:
    """Start a run that stays in its second node, and return when it is there."""

    async def start(thread: str, **options: Any) -> Any:
        run = await client.runs.create(thread, "slow", input={"log": ["i"]}, **options)

        async def sleeps() -> bool:
            return (await client.threads.get_state(thread))["next"] == ["sleep"]

        await until(sleeps, "the run sleeps")
        return run

    return start
