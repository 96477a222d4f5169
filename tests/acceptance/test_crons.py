"""Crons through the official client, fired by real workers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import httpx
import pytest
from langgraph_sdk import get_client
from langgraph_sdk.client import LangGraphClient
from langgraph_sdk.errors import NotFoundError, UnprocessableEntityError

import lgnb.testing


@pytest.fixture(scope="module")
def two_workers(make_server: Any) -> Any:
    """A host with two workers, so that each tick is contended."""
    return make_server("--workers=2", graphs=Path(lgnb.testing.__file__).with_name("langgraph.json"))


@pytest.fixture
async def client(two_workers: Any) -> AsyncIterator[LangGraphClient]:
    async with get_client(url=two_workers.url, api_key=two_workers.api_key) as client:
        yield client


async def test_a_cron_is_created_searched_changed_and_deleted(client: LangGraphClient) -> None:
    """The life of a cron that never fires."""
    cron: Any = await client.crons.create(
        "echo",
        schedule="0 9 * * mon",
        timezone=ZoneInfo("America/New_York"),
        input={"text": "hi"},
        metadata={"name": "weekly"},
        end_time=datetime.now(UTC) + timedelta(days=30),
        enabled=False,
    )
    page: Any = await client.crons.search(limit=5, metadata={"name": "weekly"}, enabled=False)
    changed: Any = await client.crons.update(cron["cron_id"], schedule="@daily", end_time=None, enabled=True)
    count = await client.crons.count(metadata={"name": "weekly"})
    await client.crons.delete(cron["cron_id"])

    assert cron["next_run_date"][11:] in ("13:00:00+00:00", "14:00:00+00:00")
    assert [one["cron_id"] for one in page] == [cron["cron_id"]]
    assert (changed["schedule"], changed["end_time"], changed["enabled"]) == ("@daily", None, True)
    assert changed["timezone"] == "America/New_York"
    assert count == 1
    assert await client.crons.count(metadata={"name": "weekly"}) == 0


async def test_a_cron_is_read_by_its_id(client: LangGraphClient, two_workers: Any) -> None:
    """The SDK has no method for it."""
    cron: Any = await client.crons.create("echo", schedule="@yearly", input={"text": "hi"})
    async with httpx.AsyncClient(base_url=two_workers.url, headers={"x-api-key": two_workers.api_key}) as http:
        read = await http.get(f"/runs/crons/{cron['cron_id']}")
    await client.crons.delete(cron["cron_id"])

    assert read.json() == cron


async def test_a_cron_of_every_second_fires_once_a_second(client: LangGraphClient) -> None:
    """Two workers look at the same cron; the runs keep their threads, which are found by the cron's metadata."""
    cron: Any = await client.crons.create(
        "echo",
        schedule="* * * * * *",
        input={"text": "tick"},
        metadata={"name": "every second"},
        on_run_completed="keep",
    )
    async with asyncio.timeout(20):
        while await client.threads.count(metadata={"name": "every second"}) < 4:
            await asyncio.sleep(0.1)
    await client.crons.update(cron["cron_id"], enabled=False)
    threads = await client.threads.search(metadata={"name": "every second"}, limit=100)
    await client.crons.delete(cron["cron_id"])

    runs: list[Any] = [(await client.runs.list(thread["thread_id"]))[0] for thread in threads]
    seconds = [run["created_at"][:19] for run in runs]
    assert len(set(seconds)) == len(seconds)
    await client.runs.join(runs[-1]["thread_id"], runs[-1]["run_id"])
    assert (await client.threads.get_state(runs[-1]["thread_id"]))["values"]["text"] == "echo: tick"


async def test_a_cron_on_a_thread_runs_there(client: LangGraphClient) -> None:
    """The thread's state is what the cron left."""
    thread = await client.threads.create()
    cron: Any = await client.crons.create_for_thread(
        thread["thread_id"], "echo", schedule="* * * * * *", input={"text": "here"}
    )
    async with asyncio.timeout(10):
        while not (await client.threads.get(thread["thread_id"]))["values"]:
            await asyncio.sleep(0.1)
    await client.crons.delete(cron["cron_id"])

    assert cron["thread_id"] == thread["thread_id"]
    assert (await client.threads.get(thread["thread_id"]))["values"] == {"text": "echo: here"}


async def test_a_wrong_schedule_zone_or_assistant_is_refused(client: LangGraphClient) -> None:
    """Each with the status of the contract."""
    with pytest.raises(UnprocessableEntityError):
        await client.crons.create("echo", schedule="every day")
    with pytest.raises(UnprocessableEntityError):
        await client.crons.create("echo", schedule="* * * * *", timezone="Mars/Olympus")
    with pytest.raises(NotFoundError):
        await client.crons.create("nobody", schedule="* * * * *")


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("POST", "/runs/crons", {"schedule": "* * * * *"}, 422),
        ("POST", "/runs/crons/search", {"assistant_id": "echo"}, 422),
        ("POST", "/runs/crons/search", {"sort_by": "payload"}, 422),
        ("GET", "/runs/crons/00000000-0000-0000-0000-000000000000", None, 404),
        ("GET", "/runs/crons/x", None, 422),
        ("PATCH", "/runs/crons/00000000-0000-0000-0000-000000000000", {"enabled": True}, 404),
        ("PATCH", "/runs/crons/00000000-0000-0000-0000-000000000000", {}, 400),
        ("DELETE", "/runs/crons/00000000-0000-0000-0000-000000000000", None, 404),
    ],
)
async def test_requests_are_answered_by_the_contract(
    two_workers: Any, method: str, path: str, body: Any, status: int
) -> None:
    """Every refusal says why."""
    async with httpx.AsyncClient(base_url=two_workers.url, headers={"x-api-key": two_workers.api_key}) as api:
        answer = await api.request(method, path, json=body)

    assert answer.status_code == status
    assert answer.json()["detail"]
