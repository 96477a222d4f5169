"""The clocks of workers are wrong by an hour, in either direction: only the clock of the database counts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

_SKEWED = str(Path(__file__).with_name("skewed.py"))
_STEPS = 12


@pytest.mark.parametrize("seconds", ["3600", "-3600"])
async def test_a_worker_with_a_wrong_clock_takes_no_live_lease_and_loses_none(
    installation: Any, steps_log: Any, until: Any, seconds: str
) -> None:
    host = await installation.host(workers=0, lease_seconds=1.5)
    await installation.worker(lease_seconds=1.5)
    thread = await host.client.threads.create()
    context = {"steps": _STEPS, "delay": 0.5, "log_file": str(steps_log.path)}
    run = await host.client.runs.create(thread["thread_id"], "counter", input={"step": 0}, context=context)
    await until(lambda: steps_log.steps, what="the run has begun")

    await installation.worker(lease_seconds=1.5, program=(_SKEWED, seconds))
    delayed = await host.client.runs.create(None, "echo", input={"text": "later"}, after_seconds=30)
    values = await host.client.runs.join(thread["thread_id"], run["run_id"])

    assert values["seen"] == steps_log.steps == list(range(1, _STEPS + 1))
    assert installation.run(run["run_id"])["attempt"] == 1
    assert installation.run(delayed["run_id"])["status"] == "pending"
