"""A run that kills every worker it meets ends after its attempts, and takes nobody with it."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

_OWN_GRAPHS = Path(__file__).with_name("langgraph.json")
_COUNTED = {"step": 15, "seen": list(range(1, 16))}


async def test_a_run_that_kills_its_workers_ends_in_an_error_that_names_the_node(
    installation: Any, until: Any, figure: Any
) -> None:
    """Runs beside it lose their worker as often, but not their result."""
    host = await installation.host(workers=1)
    client = host.client
    neighbours = [await _begin(client, "counter", {"step": 0}, steps=15, delay=0.1) for _ in range(2)]
    await until(lambda: min(installation.saved(run["thread_id"]) for run in neighbours) >= 3, what="neighbours work")
    poison = await _begin(client, "crasher", {"text": ""})

    joins = [client.runs.join(run["thread_id"], run["run_id"]) for run in (poison, *neighbours)]
    result, *values = await asyncio.gather(*joins)

    thread = await client.threads.get(poison["thread_id"])
    assert result["__error__"]["error"] == "WorkerLost"
    assert result["__error__"]["message"] == "The worker died 3 times while executing node crash."
    assert thread["status"] == "error"
    row = installation.run(poison["run_id"])
    assert (row["status"], row["attempt"]) == ("error", 3)
    assert values == [_COUNTED] * 2
    figure("attempts of the neighbours", [installation.run(run["run_id"])["attempt"] for run in neighbours])


async def test_a_run_that_recovers_before_its_last_attempt_succeeds(installation: Any, steps_log: Any) -> None:
    """Two lost workers are survived."""
    host = await installation.host(workers=1)
    run = await _begin(host.client, "crasher", {"text": ""}, times=2, log_file=str(steps_log.path))

    values = await host.client.runs.join(run["thread_id"], run["run_id"])

    assert values == {"text": "survived"}
    row = installation.run(run["run_id"])
    assert (row["status"], row["attempt"]) == ("success", 3)


async def test_a_node_that_calls_sys_exit_ends_only_its_own_run(installation: Any, until: Any) -> None:
    """The worker and the runs beside it live on."""
    host = await installation.host(workers=1, config=_OWN_GRAPHS)
    client = host.client
    (worker,) = host.worker_pids
    neighbour = await _begin(client, "counter", {"step": 0}, steps=15, delay=0.05)
    await until(lambda: installation.saved(neighbour["thread_id"]) >= 3, what="the neighbour works")

    left = await client.runs.wait(None, "leaver", input={"answers": []}, raise_error=False)
    values = await client.runs.join(neighbour["thread_id"], neighbour["run_id"])

    assert left["__error__"]["error"] == "SystemExit"
    assert values == _COUNTED
    assert installation.run(neighbour["run_id"])["attempt"] == 1
    assert host.worker_pids == [worker]


async def _begin(client: Any, graph_id: str, values: Any, **context: Any) -> Any:
    thread = await client.threads.create()
    return await client.runs.create(thread["thread_id"], graph_id, input=values, context=context)
