"""Runs, streams and threads for as long as you like, and whether the memory of host and workers stays flat.

    make soak                          one minute
    make soak SOAK_ARGS="--minutes 30"

A line per sample; at the end the slope of each process over the second half, in MiB per hour and per thousand runs, and
a verdict: flat, or growing by more than is allowed. The first half is warm-up: caches, pools, the allocator.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from statistics import linear_regression

import httpx
import psutil
from langgraph_sdk import get_client
from langgraph_sdk.client import LangGraphClient

import lgnb.testing

_GRAPHS = Path(lgnb.testing.__file__).with_name("langgraph.json")
_TOKEN = "soak"
_START_SECONDS = 120.0
_MIB = 2**20
# Noise of the allocator that is no leak: so much over the whole second half, whatever the slope says.
_NOISE_MIB = 8.0


@dataclass
class Memory:
    """Samples of one process: seconds, runs so far, MiB."""

    samples: list[tuple[float, int, float]] = field(default_factory=list[tuple[float, int, float]])

    def second_half(self) -> list[tuple[float, int, float]]:
        return self.samples[len(self.samples) // 2 :]

    def growth(self) -> tuple[float, float, float]:
        """MiB per hour, MiB per thousand runs, and MiB over the second half, along the line through it."""
        half = self.second_half()
        if len(half) < 3:
            return 0.0, 0.0, 0.0
        seconds, runs, mib = zip(*half, strict=True)
        per_second = linear_regression(seconds, mib).slope
        span = seconds[-1] - seconds[0]
        per_run = per_second * span / max(1, runs[-1] - runs[0])
        return per_second * 3600, per_run * 1000, per_second * span


@dataclass
class Soak:
    client: LangGraphClient
    graph: str
    ends_at: float
    runs: int = 0
    failed: int = 0

    async def produce(self, random_: random.Random) -> None:
        """One user: conversations of some turns, streamed, waited for or left alone, and deleted in the end."""
        while time.monotonic() < self.ends_at:
            thread_id = (await self.client.threads.create())["thread_id"]
            for _ in range(random_.randint(1, 5)):
                try:
                    await self._turn(thread_id, random_.choice(("stream", "wait", "leave")))
                    self.runs += 1
                except (httpx.HTTPError, OSError):
                    self.failed += 1
            await self.client.threads.delete(thread_id)

    async def _turn(self, thread_id: str, kind: str) -> None:
        given = {"messages": [{"role": "user", "content": "x" * 1000}]}
        if kind == "stream":
            async for _ in self.client.runs.stream(
                thread_id, self.graph, input=given, stream_mode=["values", "updates"]
            ):
                pass
        elif kind == "wait":
            await self.client.runs.wait(thread_id, self.graph, input=given, raise_error=False)
        else:
            async for _ in self.client.runs.stream(thread_id, self.graph, input=given, on_disconnect="cancel"):
                break


def _processes(host: psutil.Process) -> dict[str, psutil.Process]:
    found = {"host": host}
    workers = [p for p in host.children(recursive=True) if "worker" in p.cmdline() and "lgnb" in p.cmdline()]
    return found | {f"worker {number}": worker for number, worker in enumerate(workers, start=1)}


async def _sample(soak: Soak, host: psutil.Process, every_seconds: float) -> dict[str, Memory]:
    memory: dict[str, Memory] = {}
    began = time.monotonic()
    while time.monotonic() < soak.ends_at:
        await asyncio.sleep(every_seconds)
        told: list[str] = []
        for name, process in _processes(host).items():
            mib = process.memory_info().rss / _MIB
            memory.setdefault(name, Memory()).samples.append((time.monotonic() - began, soak.runs, mib))
            told.append(f"{name} {mib:7.1f} MiB")
        _say(f"{time.monotonic() - began:6.0f} s  {soak.runs:6d} runs  " + "  ".join(told))
    return memory


async def _soak(url: str, host: psutil.Process, options: argparse.Namespace) -> bool:
    async with get_client(url=url, api_key=_TOKEN) as client:
        soak = Soak(client, options.graph, ends_at=time.monotonic() + options.minutes * 60)
        seeds = random.Random(options.seed)
        producers = [soak.produce(random.Random(seeds.random())) for _ in range(options.users)]
        memory, *_ = await asyncio.gather(_sample(soak, host, max(1.0, options.minutes * 60 / 60)), *producers)
    _say(f"\n{soak.runs} runs, {soak.failed} requests failed")
    is_flat = soak.failed == 0
    for name, one in memory.items():
        per_hour, per_thousand, over_half = one.growth()
        grows = over_half > _NOISE_MIB and per_thousand > options.allowed
        is_flat = is_flat and not grows
        _say(
            f"{name:10} {one.samples[-1][2]:7.1f} MiB at the end, {over_half:+6.1f} MiB over the second half: "
            f"{per_hour:+8.1f} MiB per hour, {per_thousand:+7.2f} per 1000 runs: {'GROWS' if grows else 'flat'}"
        )
    return is_flat


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def _start(home: Path, workers: int) -> subprocess.Popen[bytes]:
    places = {
        "LGNB_DATA_DIR": str(home / "data"),
        "JUPYTER_RUNTIME_DIR": str(home / "runtime"),
        "JUPYTER_CONFIG_DIR": str(home / "config"),
        "LANGSMITH_TRACING": "false",
        # Logs and results that are kept for replay count as memory of Valkey, not of ours.
        "LGNB_STREAM_TTL_SECONDS": "10",
    }
    command = [sys.executable, "-P", "-m", "lgnb", "serve", "--port=0", f"--token={_TOKEN}", f"--workers={workers}"]
    with open(home / "log", "wb") as log:
        return subprocess.Popen([*command, f"--config={_GRAPHS}"], env=os.environ | places, stdout=log, stderr=log)


def _address(home: Path, process: subprocess.Popen[bytes]) -> str:
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            url: str = json.loads((home / "runtime" / f"lgnb-{process.pid}.json").read_text())["url"]
            if httpx.get(f"{url}/ok", timeout=5, trust_env=False).status_code == httpx.codes.OK:
                return url
        except (OSError, ValueError, httpx.HTTPError):
            pass
        time.sleep(0.1)
    raise SystemExit(f"The server did not start:\n{(home / 'log').read_text(errors='replace')[-3000:]}")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=1.0)
    parser.add_argument("--users", type=int, default=8)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--graph", default="tokens")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--allowed", type=float, default=2.0, help="MiB per 1000 runs")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="lgnb-soak-") as folder:
        home = Path(folder)
        home.chmod(0o711)  # as root, the embedded Postgres runs as another user
        process = _start(home, options.workers)
        try:
            is_flat = asyncio.run(_soak(_address(home, process), psutil.Process(process.pid), options))
        finally:
            process.terminate()
            process.wait()
    _say("Memory is flat." if is_flat else "Memory grows, or requests failed.")
    return 0 if is_flat else 1


if __name__ == "__main__":
    raise SystemExit(main())
