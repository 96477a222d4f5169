"""Graph loops: who runs where, what happens to a loop that a graph blocks, and that an exit ends nothing else."""

from __future__ import annotations

import asyncio
import sys
import threading
import time
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any
from uuid import UUID, uuid4

import pytest

from lgnb.worker.loops import GraphLoops, LoopThread


@pytest.fixture
def open_loops() -> Iterator[Callable[..., GraphLoops]]:
    opened: list[GraphLoops] = []

    def open_some(**options: Any) -> GraphLoops:
        opened.append(GraphLoops(**{"isolation": "auto", **options}))
        return opened[-1]

    yield open_some
    for loops in opened:
        loops.stop()
    deadline = time.monotonic() + 5
    while any(thread.name.startswith("lgnb-graphs") for thread in threading.enumerate()):
        assert time.monotonic() < deadline, "a loop did not end"
        time.sleep(0.01)


async def _thread_name() -> str:
    return threading.current_thread().name


def _check_until(loops: GraphLoops, condition: Callable[[], bool], *, what: str) -> None:
    """Play the heartbeat's part until the condition holds."""
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline, f"{what}: not within 10 s"
        loops.check()
        time.sleep(0.02)


def test_all_runs_share_one_loop(open_loops: Callable[..., GraphLoops]) -> None:
    loops = open_loops()

    names = {loops.run(_thread_name(), graph_id=f"graph {n}")[1].result(5) for n in range(3)}

    assert len(names) == 1


def test_each_run_has_a_loop_of_its_own_where_asked_for(open_loops: Callable[..., GraphLoops]) -> None:
    loops = open_loops(isolation="always")
    together = threading.Barrier(3)

    async def meet() -> str:
        together.wait(5)
        return await _thread_name()

    futures = [loops.run(meet(), graph_id="graph")[1] for _ in range(3)]

    assert len({future.result(5) for future in futures}) == 3


def test_a_blocked_loop_is_replaced_and_its_graph_gets_loops_of_its_own(open_loops: Callable[..., GraphLoops]) -> None:
    told: list[tuple[LoopThread, UUID | None, bool]] = []
    loops = open_loops(on_blocked=lambda *news: told.append(news))
    run_id, release = uuid4(), threading.Event()

    async def block() -> None:
        await asyncio.create_task(_block(release))  # as the node of a graph, in a task of its own

    blocked, future = loops.run(block(), graph_id="culprit", run_id=run_id)
    try:
        _check_until(loops, lambda: len(told) == 2, what="both looks")
        others = [loops.run(_thread_name(), graph_id="other")[1].result(5) for _ in range(2)]
        alone = loops.run(_thread_name(), graph_id="culprit")[1].result(5)
    finally:
        release.set()

    assert told == [(blocked, run_id, False), (blocked, run_id, True)]
    assert len(set(others)) == 1
    assert alone not in others
    future.result(5)


async def _block(release: threading.Event) -> None:
    release.wait(20)


def test_a_loop_that_answers_again_in_time_keeps_its_runs(open_loops: Callable[..., GraphLoops]) -> None:
    told: list[bool] = []
    loops = open_loops(on_blocked=lambda thread, run_id, lasting: told.append(lasting))
    release = threading.Event()

    _, future = loops.run(_block(release), graph_id="culprit", run_id=uuid4())
    _check_until(loops, lambda: told == [False], what="the first look")
    release.set()
    future.result(5)
    for _ in range(20):
        loops.check()
        time.sleep(0.01)

    assert told == [False]


def test_a_process_that_stood_still_blames_no_graph(
    open_loops: Callable[..., GraphLoops], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stopped process, a sleeping machine, a starved processor: the heartbeat may be the first to wake up."""
    told: list[bool] = []
    loops = open_loops(on_blocked=lambda thread, run_id, lasting: told.append(lasting))
    now = [0.0]
    monkeypatch.setattr("lgnb.worker.loops.time", SimpleNamespace(monotonic=lambda: now[0]))
    release = threading.Event()
    _, future = loops.run(_block(release), graph_id="innocent", run_id=uuid4())

    loops.check()
    now[0] += 30
    loops.check()
    assert told == []
    now[0] += 0.25
    loops.check()
    assert told == []
    now[0] += 0.25
    loops.check()
    assert told == [False]
    release.set()
    future.result(5)


def test_a_task_that_exits_ends_neither_its_loop_nor_other_tasks(open_loops: Callable[..., GraphLoops]) -> None:
    loops = open_loops()
    began = threading.Event()

    async def live_on() -> str:
        began.set()
        await asyncio.sleep(0.2)
        return "alive"

    async def leave() -> None:
        sys.exit(3)

    _, other = loops.run(live_on(), graph_id="other")
    assert began.wait(5)
    _, leaving = loops.run(leave(), graph_id="leaver")

    with pytest.raises(SystemExit):
        leaving.result(5)
    assert other.result(5) == "alive"
    assert loops.run(_thread_name(), graph_id="other")[1].result(5)
