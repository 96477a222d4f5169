"""Very many runs at once: each is claimed once and ends, the oldest begin first, and all who wait are told.

LGNB_TEST_BURST_RUNS chooses another size; 5000 is the long form.
"""

from __future__ import annotations

import asyncio
import os
from typing import Any

import pytest

_RUNS = int(os.environ.get("LGNB_TEST_BURST_RUNS", "400"))
_JOINS = _RUNS // 10
_BATCH = 100

pytestmark = pytest.mark.timeout(120 + _RUNS // 10)


async def test_a_burst_of_runs_loses_none_and_starves_none(installation: Any, until: Any, figure: Any) -> None:
    host = await installation.host(workers=0)
    for _ in range(2):
        await installation.worker(jobs=10)
    request = {"assistant_id": "echo", "input": {"text": "burst"}, "on_completion": "keep"}
    batches = [await host.client.runs.create_batch([request] * _BATCH) for _ in range(_RUNS // _BATCH)]
    accepted = [run for batch in batches for run in batch]
    waiting = [
        asyncio.create_task(host.client.runs.join(run["thread_id"], run["run_id"]))
        for run in accepted[:: _RUNS // _JOINS]
    ]

    unfinished = "SELECT 1 FROM runs WHERE status IN ('pending', 'running') LIMIT 1"
    await until(lambda: not installation.rows(unfinished), what="all have ended", seconds=60 + _RUNS / 20)

    assert len(accepted) == len({run["run_id"] for run in accepted}) == _RUNS
    rows = installation.rows("SELECT status, attempt, count(*) AS n FROM runs GROUP BY status, attempt")
    assert rows == [{"status": "success", "attempt": 1, "n": _RUNS}]
    assert await asyncio.gather(*waiting) == [{"text": "echo: burst"}] * _JOINS
    assert _places_out_of_order(installation) < 20 * 2
    figure("runs per second", _RUNS / _seconds(installation))


def _places_out_of_order(installation: Any) -> int:
    """By how many places a run began too early or too late; as many as work at once may change places."""
    return installation.rows(
        "SELECT coalesce(max(abs(started - created)), 0) AS n FROM ("
        " SELECT rank() OVER (ORDER BY started_at) AS started, rank() OVER (ORDER BY created_at, run_id) AS created"
        " FROM runs) AS places"
    )[0]["n"]


def _seconds(installation: Any) -> float:
    return float(
        installation.rows("SELECT extract(epoch FROM max(ended_at) - min(started_at))::float8 AS s FROM runs")[0]["s"]
    )
