"""Connections are cut, held up and half closed by a proxy between our processes and their servers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, quote, unquote, urlsplit, urlunsplit

import pytest
from chaos.proxy import Proxy

_RUNS = 12
_STEPS = 6


@pytest.fixture
async def proxies(installation: Any, database_uri: str, redis_uri: str, data_dir: Path) -> AsyncIterator[list[Proxy]]:
    """Proxies before the Postgres and the Redis of `installation`; they listen on unix sockets, as the servers do."""
    if "host=%2F" not in database_uri or not redis_uri.startswith("unix:"):
        pytest.skip("the servers of this test run do not listen on unix sockets")
    postgres = urlsplit(database_uri)
    folder = Path(parse_qs(postgres.query)["host"][0])
    made = [
        Proxy(data_dir / "proxies" / ".s.PGSQL.5432", folder / ".s.PGSQL.5432"),
        Proxy(data_dir / "proxies" / "redis.sock", Path(unquote(urlsplit(redis_uri).path))),
    ]
    for proxy in made:
        await proxy.start()
    there = quote(str(data_dir / "proxies"), safe="")
    installation.environment |= {
        "LGNB_POSTGRES_URI": urlunsplit(postgres._replace(query=f"host={there}")),
        "LGNB_REDIS_URI": f"unix://{data_dir / 'proxies' / 'redis.sock'}",
    }
    yield made
    for proxy in made:
        proxy.resume()
    await installation.clean_up()  # while its servers can be reached, or each process waits for them
    for proxy in made:
        await proxy.stop()


async def test_cut_connections_lose_and_double_nothing(installation: Any, proxies: list[Proxy], until: Any) -> None:
    """Every accepted run ends once with all its steps, although every connection breaks again and again."""
    host = await installation.host(workers=0, lease_seconds=3)
    await installation.worker(lease_seconds=3)
    accepted = [await _begin(host.client) for _ in range(_RUNS)]

    for _ in range(6):
        await asyncio.sleep(0.2)
        for proxy in proxies:
            proxy.cut()

    await _assert_all_ended_well(installation, host, accepted, until)


async def test_connections_that_stand_still_only_cost_time(installation: Any, proxies: list[Proxy], until: Any) -> None:
    """Neither open nor closed, as when a cable is pulled: longer than the lease, so that the runs are taken over."""
    host = await installation.host(workers=0, lease_seconds=2)
    await installation.worker(lease_seconds=2)
    accepted = [await _begin(host.client) for _ in range(_RUNS)]

    for proxy in proxies:
        proxy.hold()
    await asyncio.sleep(5)
    for proxy in proxies:
        proxy.resume()

    await _assert_all_ended_well(installation, host, accepted, until)


async def test_a_worker_cut_off_from_postgres_stops_its_runs_when_its_lease_ends(
    installation: Any, proxies: list[Proxy], steps_log: Any, until: Any
) -> None:
    """Others may have taken over by then: what it did would be done twice, and paid for twice."""
    host = await installation.host(workers=0, lease_seconds=2)
    await installation.worker(lease_seconds=2)
    thread = await host.client.threads.create()
    context = {"steps": 60, "delay": 0.1, "log_file": str(steps_log.path)}
    await host.client.runs.create(thread["thread_id"], "counter", input={"step": 0}, context=context)
    await until(lambda: len(steps_log.steps) > 3, what="the run is under way")

    for proxy in proxies:
        proxy.hold()
    await asyncio.sleep(4)
    executed = len(steps_log.steps)
    await asyncio.sleep(2)

    assert len(steps_log.steps) == executed < 60
    for proxy in proxies:
        proxy.resume()
    await until(lambda: len(set(steps_log.steps)) == 60, what="the run goes on", seconds=40)


async def _begin(client: Any) -> tuple[str, str]:
    thread = await client.threads.create()
    run = await client.runs.create(
        thread["thread_id"], "counter", input={"step": 0}, context={"steps": _STEPS, "delay": 0.15}
    )
    return thread["thread_id"], run["run_id"]


async def _assert_all_ended_well(installation: Any, host: Any, accepted: list[tuple[str, str]], until: Any) -> None:
    unfinished = "SELECT 1 FROM runs WHERE status IN ('pending', 'running')"
    await until(lambda: not installation.rows(unfinished), what="all runs have ended", seconds=60)

    assert {installation.run(run_id)["status"] for _, run_id in accepted} == {"success"}
    for thread_id, _ in accepted:
        state = await host.client.threads.get_state(thread_id)
        assert state["values"]["seen"] == list(range(1, _STEPS + 1))
