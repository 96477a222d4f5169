"""Postgres stops at once, as by `pg_ctl restart -m immediate`, in the middle of everything."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from pathlib import Path
from typing import Any

import httpx

_STEPS = 10
_VALUES = {"step": _STEPS, "seen": list(range(1, _STEPS + 1))}
_REQUEST: dict[str, Any] = {"input": {"step": 0}, "context": {"steps": _STEPS, "delay": 0.3}}


async def test_a_restart_of_postgres_loses_nothing(lonely: Any, until: Any, figure: Any) -> None:
    """Runs in the background, waited for and streamed all end well; clients wait, or see 503, and never 500."""
    # Long enough for Postgres to return on a busy machine: what is told here is not of attempts that begin again.
    host = await lonely.host(workers=1, lease_seconds=20)
    client = host.client
    threads = [await client.threads.create() for _ in range(20)]
    runs = [await client.runs.create(thread["thread_id"], "counter", **_REQUEST) for thread in threads]
    waits = [asyncio.create_task(client.runs.wait(None, "counter", **_REQUEST)) for _ in range(5)]
    streams = [asyncio.create_task(_streamed(client)) for _ in range(5)]

    async def all_work() -> bool:
        listed = [await client.runs.get(run["thread_id"], run["run_id"]) for run in runs]
        return all(run["status"] == "running" for run in listed)

    await until(all_work, what="all runs work")
    prober = Prober(host)
    probing = asyncio.create_task(prober.run())

    killed, began = _postmaster(lonely), time.monotonic()
    os.kill(killed, signal.SIGQUIT)
    await until(lambda: _postmaster(lonely) not in (None, killed), what="Postgres starts again")
    prober.statuses.append(0)  # what follows is counted anew
    await until(lambda: prober.healthy_in_a_row >= 50, what="clients are served again")
    figure("served again after", time.monotonic() - began)

    async with asyncio.timeout(30):
        assert await asyncio.gather(*waits) == [_VALUES] * 5
        assert await asyncio.gather(*streams) == [list(range(_STEPS + 1))] * 5
        for run in runs:
            assert await client.runs.join(run["thread_id"], run["run_id"]) == _VALUES
            assert (await client.runs.get(run["thread_id"], run["run_id"]))["status"] == "success"
            history = await client.threads.get_history(run["thread_id"], limit=100)
            assert [entry["metadata"]["step"] for entry in history] == list(range(_STEPS, -2, -1))
    probing.cancel()
    prober.statuses.remove(0)
    figure("answers of the API", {status: prober.statuses.count(status) for status in set(prober.statuses)})
    assert set(prober.statuses) <= {200, 503}
    assert prober.without_retry_after == 0
    # What was acknowledged is there.
    for thread_id in prober.created:
        await client.threads.get(thread_id)


class Prober:
    """A client that reads and writes again and again, and notes the answers."""

    def __init__(self, host: Any) -> None:
        self._host = host
        self.statuses: list[int] = []
        self.created: list[str] = []
        self.without_retry_after = 0

    @property
    def healthy_in_a_row(self) -> int:
        return next((n for n, status in enumerate(reversed(self.statuses)) if status != 200), len(self.statuses))

    async def run(self) -> None:
        headers = {"x-api-key": self._host.key}
        async with httpx.AsyncClient(headers=headers, timeout=30) as http:
            while True:
                answers = await asyncio.gather(
                    http.post(f"{self._host.url}/threads", json={}),
                    http.post(f"{self._host.url}/assistants/search", json={}),
                )
                for answer in answers:
                    self.statuses.append(answer.status_code)
                    self.without_retry_after += answer.status_code == 503 and "retry-after" not in answer.headers
                if answers[0].status_code == 200:
                    self.created.append(answers[0].json()["thread_id"])
                await asyncio.sleep(0.02)


async def _streamed(client: Any) -> list[int]:
    return [
        part.data["step"]
        async for part in client.runs.stream(None, "counter", stream_mode="values", **_REQUEST)
        if part.event == "values"
    ]


def _postmaster(installation: Any) -> int | None:
    data_dir = Path(installation.environment["LGNB_DATA_DIR"])
    try:
        return next((int(file.read_text().splitlines()[0]) for file in data_dir.glob("**/postmaster.pid")), None)
    except (FileNotFoundError, IndexError):  # between two lives
        return None
