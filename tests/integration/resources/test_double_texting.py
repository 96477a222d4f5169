"""New runs meet a busy thread in any order and at the same time: the real thing against an oracle of a few lines.

A machine draws what clients and a worker do. Requests that are sent together may be carried out in any order, but their
answers, the runs, the thread and its state must be those of one of these orders.

LGNB_TEST_EXAMPLES=500 makes it search for longer.
"""

from __future__ import annotations

import asyncio
import copy
import os
from dataclasses import dataclass, field
from itertools import permutations
from typing import Any, Literal
from uuid import UUID, uuid4

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from lgnb.db.database import Database
from lgnb.errors import LeaseLost, NotFound, RunConflict
from lgnb.graphs.descriptor_views import GraphDescriptor
from lgnb.models.runs import ClaimedRun, RunOutcome, RunRequest
from lgnb.queue import Queue
from lgnb.resources import Resources, build_resources
from lgnb.settings import Settings

from .conftest import GRAPH, HandWorker
from .graphs import execute, newest_state

_EXAMPLES = int(os.environ.get("LGNB_TEST_EXAMPLES", "10"))

Strategy = Literal["enqueue", "reject", "interrupt", "rollback"]
Action = Literal["interrupt", "rollback"]

_strategies = st.sampled_from(["enqueue", "reject", "interrupt", "rollback"])
_actions = st.sampled_from(["interrupt", "rollback"])


@dataclass
class Oracle:
    """What a thread shows: its runs from the oldest to the newest, and which of them wrote what into its state."""

    runs: dict[UUID, str] = field(default_factory=dict)
    written: dict[UUID, list[str]] = field(default_factory=dict)
    half_way: set[UUID] = field(default_factory=set)

    @property
    def in_flight(self) -> list[UUID]:
        return [run_id for run_id, status in self.runs.items() if status in ("pending", "running")]

    @property
    def running(self) -> UUID | None:
        return next((run_id for run_id, status in self.runs.items() if status == "running"), None)

    @property
    def log(self) -> list[str]:
        return [word for words in self.written.values() for word in words]

    @property
    def thread_status(self) -> str:
        if self.in_flight:
            return "busy"
        last = next(reversed(self.written), None)
        return "interrupted" if last in self.half_way else "idle"

    def create(self, run_id: UUID, strategy: Strategy) -> bool:
        if strategy == "reject" and self.in_flight:
            return False
        for older in self.in_flight:
            if strategy == "interrupt":
                self.runs[older] = "interrupted"
            elif strategy == "rollback":
                self.forget(older)
        self.runs[run_id] = "pending"
        return True

    def cancel(self, run_id: UUID, action: Action) -> bool:
        if run_id not in self.in_flight:
            return False
        if self.runs[run_id] == "pending":
            self.runs[run_id] = "interrupted"
            if action == "rollback":
                self.forget(run_id)
        return True  # a running one goes on until its worker obeys

    def claim(self, order: list[UUID]) -> UUID | None:
        pending = [run_id for run_id in order if self.runs[run_id] == "pending"]
        if self.running or not pending:
            return None
        self.runs[pending[0]] = "running"
        return pending[0]

    def end(self, run_id: UUID, status: str) -> bool:
        if self.runs.get(run_id) != "running":
            return False
        self.runs[run_id] = status
        return True

    def forget(self, run_id: UUID) -> None:
        del self.runs[run_id]
        self.written.pop(run_id, None)


@dataclass(frozen=True)
class Create:
    strategy: Strategy


@dataclass(frozen=True)
class Cancel:
    """Which one, counted from the newest of the runs that were there before."""

    place: int
    action: Action


# What is drawn must not depend on who was faster, or hypothesis could not repeat it.
_requests = st.one_of(st.builds(Create, _strategies), st.builds(Cancel, st.integers(1, 3), _actions))


class DoubleTexting(RuleBasedStateMachine):
    """One thread and one worker played by hand."""

    resources: Resources
    runner: asyncio.Runner

    @initialize()
    def begin(self) -> None:
        self.worker = HandWorker(self.resources)
        self.run(self.worker.register())
        self.thread_id: UUID = self.run(self.resources.threads.create()).thread_id
        self.oracle = Oracle()
        self.claimed: list[ClaimedRun] = []

    def teardown(self) -> None:
        # The next worker shall not find its runs.
        self.run(self.resources.threads.delete(self.thread_id))
        self.run(self.resources.leases.unregister(self.worker.worker_id))

    def run(self, coroutine: Any) -> Any:
        return self.runner.run(coroutine)

    @rule(drawn=st.lists(_requests, min_size=1, max_size=4))
    def clients_ask_at_the_same_time(self, drawn: list[Create | Cancel]) -> None:
        known = list(self.oracle.runs)
        self.targets = {place: known[-place] for place in range(1, len(known) + 1)}
        requests = [one for one in drawn if isinstance(one, Create) or one.place in self.targets]

        answers: list[Any] = self.run(self._all(requests))

        shown = self.run(self._shown())
        for order in permutations(range(len(requests))):
            guess = copy.deepcopy(self.oracle)
            if all(self._carry_out(guess, requests[index], answers[index]) for index in order):
                self._sort(guess)
                if self._as_shown(guess) == shown:
                    self.oracle = guess
                    return
        raise AssertionError(f"No order of {requests} explains {answers} and {shown} after {self.oracle}.")

    @rule(half_way=st.booleans())
    def the_worker_looks_for_work(self, half_way: bool) -> None:
        """It executes what it finds up to a checkpoint, and leaves its end for later."""
        expected = self.oracle.claim(list(self.oracle.runs))

        found = self.run(self.worker.claim())

        assert [claimed.run_id for claimed in found] == [run_id for run_id in (expected,) if run_id]
        for claimed in found:
            stop_before = "b" if half_way else None
            self.run(execute(claimed, self.worker.saver(claimed), log=[str(claimed.run_id)], stop_before=stop_before))
            self.claimed.append(claimed)
            words = ["a"] if half_way else ["a", "b", "c"]
            self.oracle.written[claimed.run_id] = [str(claimed.run_id), *words]
            if half_way:
                self.oracle.half_way.add(claimed.run_id)

    @rule(place=st.integers(1, 3), status=st.sampled_from(["success", "interrupted"]))
    def a_run_ends(self, place: int, status: Any) -> None:
        if len(self.claimed) < place:
            return
        claimed = self.claimed.pop(-place)
        expected = self.oracle.end(claimed.run_id, status)

        assert self.run(self._ends(claimed, status)) is expected

    @rule()
    def the_worker_rolls_a_run_back(self) -> None:
        if not self.claimed:
            return
        claimed = self.claimed.pop()
        expected = self.oracle.end(claimed.run_id, "rolled back")
        if expected:
            self.oracle.forget(claimed.run_id)

        assert self.run(self._rolled_back(claimed)) is expected

    @invariant()
    def everything_is_as_the_oracle_says(self) -> None:
        if hasattr(self, "oracle"):
            assert self.run(self._shown()) == self._as_shown(self.oracle)

    async def _all(self, requests: list[Any]) -> list[Any]:
        return await asyncio.gather(*(self._ask(request) for request in requests))

    async def _ask(self, request: Create | Cancel) -> UUID | bool | None:
        try:
            if isinstance(request, Create):
                asked = RunRequest(assistant_id=GRAPH, multitask_strategy=request.strategy)
                return (await self.resources.runs.create(self.thread_id, asked)).run_id
            await self.resources.runs.cancel(self.thread_id, self.targets[request.place], action=request.action)
        except RunConflict:
            return None
        except NotFound:
            return False
        return True

    def _carry_out(self, oracle: Oracle, request: Create | Cancel, answer: Any) -> bool:
        if isinstance(request, Create):
            return oracle.create(answer or uuid4(), request.strategy) is (answer is not None)
        return oracle.cancel(self.targets[request.place], request.action) is answer

    async def _ends(self, claimed: ClaimedRun, status: str) -> bool:
        state = await newest_state(self.worker.saver(claimed), claimed) if self.oracle.log else {}
        thread_status = "interrupted" if state.get("next") else "idle"
        try:
            await self.worker.finish_with(claimed, state, status=status, thread_status=thread_status)
        except LeaseLost:
            return False
        return True

    async def _rolled_back(self, claimed: ClaimedRun) -> bool:
        try:
            await self.resources.leases.roll_back(
                claimed, RunOutcome(status="interrupted", thread_status="idle", result=b"{}")
            )
        except LeaseLost:
            return False
        return True

    def _sort(self, oracle: Oracle) -> None:
        """Whichever was carried out first, runs begin in the order in which they were created."""
        order: list[UUID] = self.run(self._order())
        oracle.runs = {run_id: oracle.runs[run_id] for run_id in order if run_id in oracle.runs} | oracle.runs

    async def _order(self) -> list[UUID]:
        return [run.run_id for run in reversed(await self.resources.runs.list(self.thread_id, limit=1000))]

    async def _shown(self) -> tuple[dict[UUID, str], str, list[str], list[str] | None]:
        runs = await self.resources.runs.list(self.thread_id, limit=1000)
        thread = await self.resources.threads.get(self.thread_id)
        state = await self.resources.threads.get_state(self.thread_id)
        # While a run is in flight, the row may be behind.
        in_row = None if thread.status == "busy" else (thread.values or {}).get("log", [])
        return {run.run_id: run.status for run in runs}, thread.status, state["values"].get("log", []), in_row

    @staticmethod
    def _as_shown(oracle: Oracle) -> tuple[dict[UUID, str], str, list[str], list[str] | None]:
        return oracle.runs, oracle.thread_status, oracle.log, None if oracle.in_flight else oracle.log


@pytest.mark.timeout(3600)
def test_any_sequence_of_requests_is_explained_by_some_order(
    database_uri: str, redis_uri: str, redis_prefix: str
) -> None:
    async def build() -> tuple[Database, Queue, Resources]:
        database = Database(database_uri, pool_size=8, application_name="double-texting")
        await database.open()
        queue = Queue(redis_uri, prefix=redis_prefix)
        resources = await build_resources(database=database, queue=queue, settings=Settings(lease_seconds=3600))
        await resources.assistants.register(GraphDescriptor(graph_id=GRAPH, name=GRAPH))
        return database, queue, resources

    async def close() -> None:
        await resources.close()
        await queue.close()
        await database.close()

    with asyncio.Runner() as runner:
        database, queue, resources = runner.run(build())
        try:
            machine = type("Machine", (DoubleTexting,), {"resources": resources, "runner": runner})
            run_state_machine_as_test(  # type: ignore[no-untyped-call]
                machine,
                settings=settings(
                    max_examples=_EXAMPLES,
                    stateful_step_count=12,
                    deadline=None,
                    database=None,
                    suppress_health_check=list(HealthCheck),
                ),
            )
        finally:
            runner.run(close())
