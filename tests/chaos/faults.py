"""What is done to the servers: one fault after the other, drawn by a seed, with a calm after each."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import time
from collections.abc import Awaitable, Callable

from .cluster import LEASE_SECONDS, Cluster
from .history import Fault, History


class Faults:
    def __init__(self, cluster: Cluster, history: History, *, seed: int, calm_seconds: tuple[float, float]) -> None:
        self._cluster = cluster
        self._history = history
        self._random = random.Random(seed)
        self._calm_seconds = calm_seconds
        self._kinds: dict[str, Callable[[Fault], Awaitable[None]]] = {
            "kill a worker": self._kill_worker,
            "stall a worker": self._stall_worker,
            "stop a worker": self._stop_worker,
            "kill a host": self._kill_host,
            "crash postgres": self._crash_postgres,
            "kill redis": self._kill_redis,
            "flush redis": self._flush_redis,
            "cut connections": self._cut_connections,
            "hold postgres": self._hold_postgres,
            "hold redis": self._hold_redis,
        }

    async def work(self, until: asyncio.Event) -> None:
        """Each kind once in random order, then again, until told to stop; everything works again at the end."""
        order: list[str] = []
        try:
            while not until.is_set():
                await self._calm(until)
                if until.is_set():
                    return
                if not order:
                    order = list(self._kinds)
                    self._random.shuffle(order)
                await self._do(order.pop())
        finally:
            await self._cluster.heal()

    async def _do(self, name: str) -> None:
        fault = Fault(name=name, begun=time.time())
        self._history.faults.append(fault)
        await self._kinds[name](fault)
        await self._cluster.heal()
        fault.ended = time.time()

    async def _calm(self, until: asyncio.Event) -> None:
        try:
            async with asyncio.timeout(self._random.uniform(*self._calm_seconds)):
                await until.wait()
        except TimeoutError:
            pass

    async def _kill_worker(self, fault: Fault) -> None:
        worker = self._random.choice(self._cluster.workers)
        fault.pid = worker.pid
        worker.kill()
        await asyncio.sleep(self._random.uniform(0, 2))

    async def _stall_worker(self, fault: Fault) -> None:
        """Not dead: it wakes up after others have taken over, and believes that nothing has happened."""
        worker = self._random.choice(self._cluster.workers)
        fault.pid = worker.pid
        worker.signal(signal.SIGSTOP)
        await asyncio.sleep(LEASE_SECONDS * self._random.uniform(1.2, 3))
        worker.signal(signal.SIGCONT)

    async def _stop_worker(self, fault: Fault) -> None:
        worker = self._random.choice(self._cluster.workers)
        fault.pid = worker.pid
        await worker.terminate()

    async def _kill_host(self, fault: Fault) -> None:
        self._random.choice(self._cluster.hosts).kill()
        await asyncio.sleep(self._random.uniform(0, 1))

    async def _crash_postgres(self, fault: Fault) -> None:
        # As `pg_ctl stop -m immediate`: what was not committed is gone, the next start recovers.
        if pid := self._cluster.server_pid("postgres"):
            os.kill(pid, signal.SIGQUIT)
        await asyncio.sleep(0.5)

    async def _kill_redis(self, fault: Fault) -> None:
        if pid := self._cluster.server_pid("valkey"):
            os.kill(pid, signal.SIGKILL)
        await asyncio.sleep(0.5)

    async def _flush_redis(self, fault: Fault) -> None:
        await asyncio.to_thread(self._cluster.flush_redis)

    async def _cut_connections(self, fault: Fault) -> None:
        for _ in range(self._random.randint(1, 4)):
            self._cluster.postgres.cut()
            self._cluster.redis.cut()
            await asyncio.sleep(self._random.uniform(0, 0.5))

    async def _hold_postgres(self, fault: Fault) -> None:
        self._cluster.postgres.hold()
        await asyncio.sleep(LEASE_SECONDS * self._random.uniform(0.3, 2))

    async def _hold_redis(self, fault: Fault) -> None:
        self._cluster.redis.hold()
        await asyncio.sleep(self._random.uniform(0.5, 4))
