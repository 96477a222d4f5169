"""A worker or a host is told to stop: runs go back at once and go on elsewhere, and nothing is left behind."""

from __future__ import annotations

import time
from typing import Any

import psutil

_STEPS = 12
_VALUES = {"step": _STEPS, "seen": list(range(1, _STEPS + 1))}


async def test_a_stopping_worker_hands_its_runs_over(
    installation: Any, steps_log: Any, until: Any, figure: Any
) -> None:
    """It finishes the superstep it is in and gives the run back, uncounted; no step is executed twice."""
    host = await installation.host(workers=0)
    client = host.client
    # With so long a lease and poll interval, only an orderly return explains a quick takeover.
    workers = {
        worker.pid: worker
        for worker in [await installation.worker(lease_seconds=60, poll_seconds=30) for _ in range(2)]
    }
    thread = await client.threads.create()
    run = await client.runs.create(thread["thread_id"], "counter", **_counting(steps_log))
    await until(lambda: len(steps_log.steps) >= 4, what="four steps begun")
    stopping = workers.pop(installation.run(run["run_id"])["pid"])

    began = time.monotonic()
    code = stopping.terminate()
    stopped_after = time.monotonic() - began
    values = await client.runs.join(thread["thread_id"], run["run_id"])

    figure("stopped after", stopped_after)
    assert code == 0
    assert stopped_after < 3
    assert values == _VALUES
    assert steps_log.steps == list(range(1, _STEPS + 1))
    row = installation.run(run["run_id"])
    assert (row["status"], row["attempt"], row["returned"]) == ("success", 2, 1)


async def test_a_node_that_takes_longer_than_the_drain_time_is_begun_again(installation: Any, until: Any) -> None:
    """The run goes back although its superstep has not ended."""
    host = await installation.host(workers=0)
    client = host.client
    stopping = await installation.worker(drain_seconds=0.5, lease_seconds=60)
    thread = await client.threads.create()
    run = await client.runs.create(thread["thread_id"], "echo", input={"text": "x"}, context={"delay": 2.0})
    await until(lambda: installation.run(run["run_id"])["status"] == "running", what="the run works")

    assert stopping.terminate() == 0
    returned = installation.run(run["run_id"])
    await installation.worker(poll_seconds=0.2)
    values = await client.runs.join(thread["thread_id"], run["run_id"])

    assert (returned["status"], returned["attempt"], returned["returned"]) == ("pending", 1, 1)
    assert values == {"text": "echo: x"}


async def test_a_stopping_host_leaves_no_process_and_no_socket(lonely: Any, steps_log: Any, until: Any) -> None:
    """With the embedded servers too; the next start goes on with the runs that were given back."""
    host = await lonely.host(workers=2)
    client = host.client
    thread = await client.threads.create()
    run = await client.runs.create(thread["thread_id"], "counter", **_counting(steps_log))
    await until(lambda: len(steps_log.steps) >= 4, what="four steps begun")
    family, servers = host.family(), _servers(lonely)
    sockets = _sockets(lonely)

    code = host.terminate()

    assert code == 0
    assert len(family) >= 3
    assert len(servers) >= 2
    assert sockets
    assert [process for process in (*family, *servers) if lonely.lives(process)] == []
    assert _sockets(lonely) == []
    host = await lonely.host(workers=1)
    values = await host.client.runs.join(thread["thread_id"], run["run_id"])
    assert values == _VALUES
    assert steps_log.steps == list(range(1, _STEPS + 1))


def _counting(steps_log: Any) -> dict[str, Any]:
    context = {"steps": _STEPS, "delay": 0.25, "log_file": str(steps_log.path)}
    return {"input": {"step": 0}, "context": context}


def _servers(installation: Any) -> list[psutil.Process]:
    """Every process that serves this data directory, the supervisor of the pair included."""
    data_dir = installation.environment["LGNB_DATA_DIR"]
    found = list[psutil.Process]()
    for process in psutil.process_iter(["cmdline"]):
        if any(data_dir in argument for argument in process.info["cmdline"] or ()):
            found.append(process)
    return found


def _sockets(installation: Any) -> list[str]:
    """Unix sockets below the data directory."""
    data_dir = installation.environment["LGNB_DATA_DIR"]
    return [
        connection.laddr
        for connection in psutil.net_connections("unix")
        if connection.laddr and connection.laddr.startswith(data_dir)
    ]
