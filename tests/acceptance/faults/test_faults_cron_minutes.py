"""A cron of every minute, with two hosts and two workers on one database: once a minute, for as many as are asked for.

The short form, a cron of every second, is among the tests of crons; this one takes as long as it says:
LGNB_TEST_CRON_MINUTES=10 python -m pytest tests/acceptance/faults/test_faults_cron_minutes.py
"""

from __future__ import annotations

import asyncio
import os
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

_MINUTES = int(os.environ.get("LGNB_TEST_CRON_MINUTES", "0"))


@pytest.mark.skipif(_MINUTES == 0, reason="set LGNB_TEST_CRON_MINUTES to how long it may take")
@pytest.mark.timeout(_MINUTES * 60 + 180)
async def test_a_cron_of_every_minute_fires_once_a_minute(installation: Any, figure: Any) -> None:
    """Whichever worker comes first takes the tick; the other finds nothing."""
    one, two = await asyncio.gather(installation.host(workers=1), installation.host(workers=1))
    began = datetime.now(UTC)
    cron: Any = await one.client.crons.create(
        "echo",
        schedule="* * * * *",
        input={"text": "tick"},
        metadata={"name": "every minute"},
        on_run_completed="keep",
    )
    first = began.replace(second=0, microsecond=0) + timedelta(minutes=1)
    last = first + timedelta(minutes=_MINUTES - 1)
    await asyncio.sleep((last - datetime.now(UTC)).total_seconds() + 30)
    await two.client.crons.delete(cron["cron_id"])

    threads = await two.client.threads.search(metadata={"name": "every minute"}, limit=1000)
    runs: list[Any] = [run for thread in threads for run in await two.client.runs.list(thread["thread_id"], limit=100)]
    created = sorted(datetime.fromisoformat(run["created_at"]) for run in runs)
    minutes = [moment.replace(second=0, microsecond=0) for moment in created]
    assert minutes == [first + timedelta(minutes=number) for number in range(_MINUTES)]
    assert {run["status"] for run in runs} == {"success"}
    figure("latest tick, seconds after its minute", max(moment.second + moment.microsecond / 1e6 for moment in created))
