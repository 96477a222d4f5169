"""Chaos: clients ask for runs while servers are killed, stalled and cut off; afterwards a checker reads the evidence.

    make chaos CHAOS_ARGS="--minutes 3 --seed 7"

The seed decides which faults come in which order and what the clients ask for; the timing of processes does the rest,
so the same seed makes a similar run, not the same one. Exit code 1 when a promise was broken.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import time
from pathlib import Path

import httpx

from .broken import BROKEN
from .checker import Change, Evidence, Report, check
from .cluster import KEY, Cluster, running_cluster
from .faults import Faults
from .history import History
from .workload import Client, shared_threads

_SETTLE_SECONDS = 60.0


async def drive(
    *, seconds: float, seed: int, clients: int, workers: int, broken: str | None, calm: bool
) -> tuple[Report, History]:
    """One run of chaos from an empty database to the verdict; with `calm`, nothing is done to the servers."""
    history = History(seed=seed)
    over = asyncio.Event()
    async with running_cluster(workers=workers, broken=broken, calm=calm) as cluster:
        shared = await shared_threads(cluster, 4)
        asking = [
            asyncio.create_task(Client(cluster, history, seed=seed + number, shared=shared).work(over))
            for number in range(clients)
        ]
        faults = Faults(cluster, history, seed=seed, calm_seconds=(2.0, 5.0))
        harming = asyncio.create_task(over.wait() if calm else faults.work(over))
        await asyncio.wait({harming, *asking}, timeout=seconds, return_when=asyncio.FIRST_EXCEPTION)
        over.set()
        await asyncio.gather(harming, *asking)
        await _settle(cluster)
        evidence = await _evidence(cluster, history)
    return check(evidence), history


async def _settle(cluster: Cluster) -> None:
    """Wait until nothing is in flight; what is still there then is for the checker to name."""
    deadline = time.monotonic() + _SETTLE_SECONDS
    while time.monotonic() < deadline:
        if not cluster.rows("SELECT 1 FROM runs WHERE status IN ('pending', 'running') LIMIT 1"):
            return
        await asyncio.sleep(0.2)


async def _evidence(cluster: Cluster, history: History) -> Evidence:
    pids = {row["worker_id"]: row["pid"] for row in cluster.rows("SELECT worker_id, pid FROM chaos_workers")}
    changes = [
        Change(
            at=row["at"].timestamp(),
            run_id=str(row["run_id"]),
            thread_id=str(row["thread_id"]),
            request=row["request"],
            change=row["change"],
            old_status=row["old_status"],
            status=row["status"],
            attempt=row["attempt"],
            swept=row["swept"],
            pid=pids.get(row["worker_id"]),
        )
        for row in cluster.rows("SELECT * FROM chaos_audit ORDER BY entry")
    ]
    marks: dict[str, list[str]] = {}
    async with httpx.AsyncClient(headers={"x-api-key": KEY}, timeout=30, trust_env=False) as http:
        for row in cluster.rows("SELECT thread_id FROM threads"):
            response = await http.get(f"{cluster.hosts[0].url}/threads/{row['thread_id']}/state")
            marks[str(row["thread_id"])] = response.raise_for_status().json()["values"].get("marks", [])
    books = {path.name: [_execution(line) for line in path.read_text().splitlines()] for path in cluster.book.iterdir()}
    return Evidence(history=history, changes=changes, marks=marks, books=books)


def _execution(line: str) -> tuple[int, int]:
    attempt, step = line.split()
    return int(attempt), int(step)


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--minutes", type=float, default=3.0)
    parser.add_argument("--seed", type=int, default=None, help="drawn and printed when not given")
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--workers", type=int, default=3)
    parser.add_argument("--broken", choices=sorted(BROKEN), help="break one promise, to see whether it is noticed")
    parser.add_argument("--calm", action="store_true", help="do nothing to the servers")
    parser.add_argument("--history", type=Path, help="where to write all that was seen, as JSON")
    given = parser.parse_args()
    seed = random.SystemRandom().randrange(1_000_000) if given.seed is None else given.seed
    print(f"seed {seed}, {given.minutes:g} minutes, {given.clients} clients, {given.workers} workers", flush=True)
    report, history = asyncio.run(
        drive(
            seconds=given.minutes * 60,
            seed=seed,
            clients=given.clients,
            workers=given.workers,
            broken=given.broken,
            calm=given.calm,
        )
    )
    if given.history:
        given.history.write_text(json.dumps(history.as_json(), indent=1))
    for name, figure in report.figures.items():
        print(f"{name}: {figure}")
    for violation in report.violations[:50]:
        print(f"BROKEN: {violation}")
    print(f"{len(report.violations)} promises broken")
    return 1 if report.violations else 0
