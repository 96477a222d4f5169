"""`threads.join_stream`: all runs of a thread, one after another, in the words of runs' streams."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import httpx
import pytest

pytestmark = pytest.mark.timeout(120)


class Watching:
    """Reads a thread's stream in the background."""

    def __init__(self, client: Any, thread: str, **options: Any) -> None:
        self.seen: list[Any] = []
        self._task = asyncio.ensure_future(self._read(client, thread, options))

    async def _read(self, client: Any, thread: str, options: dict[str, Any]) -> None:
        async for part in await client.threads.join_stream(thread, **options):
            self.seen.append(part)

    async def until(self, holds: Callable[[list[Any]], bool]) -> list[Any]:
        async with asyncio.timeout(20):
            while not holds(self.seen):
                assert not self._task.done()
                await asyncio.sleep(0.02)
        self._task.cancel()
        return self.seen


def ends(count: int) -> Callable[[list[Any]], bool]:
    return lambda seen: [part.data.get("status") for part in seen].count("run_done") == count


async def watching(client: Any, thread: str, **options: Any) -> Watching:
    """Begin, and return once the server listens."""
    watcher = Watching(client, thread, **options)
    await asyncio.sleep(0.3)
    return watcher


@pytest.fixture
async def thread(testing_client: Any) -> str:
    return (await testing_client.threads.create())["thread_id"]


async def test_runs_follow_each_other_and_each_says_when_it_is_done(testing_client: Any, thread: str) -> None:
    """Events have ids even where the run cannot be resumed."""
    watcher = await watching(testing_client, thread)
    runs = [await testing_client.runs.create(thread, "echo", input={"text": text}) for text in "ab"]
    seen = await watcher.until(ends(2))

    assert [part.event for part in seen] == ["metadata", "values", "values", "metadata"] * 2
    assert [part.data["run_id"] for part in seen if part.event == "metadata"] == [
        run["run_id"] for run in runs for _ in range(2)
    ]
    assert [part.data["text"] for part in seen if part.event == "values"] == ["a", "echo: a", "b", "echo: b"]
    assert all(part.id for part in seen)


async def test_lifecycle_shows_beginnings_and_ends_only(testing_client: Any, thread: str) -> None:
    """No values, no tokens."""
    watcher = await watching(testing_client, thread, stream_mode="lifecycle")
    await testing_client.runs.create(thread, "echo", input={"text": "a"})
    seen = await watcher.until(ends(1))

    assert [(part.event, part.data.get("attempt"), part.data.get("status")) for part in seen] == [
        ("metadata", 1, None),
        ("metadata", None, "run_done"),
    ]


async def test_an_update_of_the_state_is_shown_to_who_asks_for_it(testing_client: Any, thread: str) -> None:
    """`state_update` carries the new state; a list of modes is understood as the SDK sends it."""
    await testing_client.runs.wait(thread, "echo", input={"text": "a"})
    watcher = await watching(testing_client, thread, stream_mode=["lifecycle", "state_update"])
    await testing_client.threads.update_state(thread, {"text": "changed"}, as_node="echo")
    [update] = await watcher.until(lambda seen: len(seen) == 1)

    assert (update.event, update.data["thread_id"]) == ("state_update", thread)
    assert update.data["state"]["values"] == {"text": "changed"}


async def test_a_place_is_continued_without_loss_or_repeat(testing_client: Any, thread: str) -> None:
    """`-` replays everything that is kept, an id what came behind it."""
    for text in "ab":
        await testing_client.runs.wait(thread, "echo", input={"text": text})
    everything = await Watching(testing_client, thread, last_event_id="-").until(ends(2))
    rest = await Watching(testing_client, thread, last_event_id=everything[2].id).until(ends(2))
    since_then = everything[4].id.partition("-")[0]
    second = await Watching(testing_client, thread, last_event_id=f"{since_then}-*").until(ends(1))

    assert rest == everything[3:]
    assert second == everything[4:]


async def test_a_run_that_already_works_is_joined_midway(testing_client: Any, thread: str) -> None:
    """Only later events come, and its end."""
    first = await watching(testing_client, thread)
    await testing_client.runs.create(thread, "counter", input={}, context={"steps": 4, "delay": 0.4})
    await first.until(lambda seen: any(part.event == "values" and part.data["step"] for part in seen))
    seen = await Watching(testing_client, thread).until(ends(1))

    steps = [part.data["step"] for part in seen if part.event == "values"]
    assert steps == list(range(5 - len(steps), 5))
    assert 0 < len(steps) < 4


@pytest.mark.parametrize(
    ("path", "headers", "status"),
    [
        ("?stream_modes=nonsense", {}, 422),
        ("?stream_mode=nonsense", {}, 422),
        ("", {"Last-Event-ID": "x"}, 422),
        ("", {"Last-Event-ID": "1-x"}, 422),
        ("?stream_modes=lifecycle,state_update", {}, 200),
    ],
)
async def test_modes_and_places_are_checked(
    testing_server: Any, thread: str, path: str, headers: dict[str, str], status: int
) -> None:
    """Wrong ones are refused before the stream begins."""
    async with (
        httpx.AsyncClient(base_url=testing_server.url, headers={"x-api-key": testing_server.api_key}) as http,
        http.stream("GET", f"/threads/{thread}/stream{path}", headers=headers) as answer,
    ):
        assert answer.status_code == status
