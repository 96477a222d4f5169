"""What the studio asks beside the API of LangGraph: who executes what, and what has changed."""

from __future__ import annotations

import json
import time
from typing import Any

import httpx
import pytest

_TOKENS = {"count": 2000, "delay": 0.05}


@pytest.fixture
def call(testing_server: Any) -> Any:
    """A function that asks the server and answers with what it said."""

    def ask(method: str, path: str, body: Any = None) -> Any:
        headers = {"x-api-key": testing_server.api_key}
        answer = httpx.request(method, f"{testing_server.url}{path}", json=body, headers=headers, timeout=30)
        answer.raise_for_status()
        return answer.json() if answer.content else None

    return ask


def executed_of(found: Any) -> list[str]:
    return [run["run_id"] for worker in found["workers"] for run in worker["runs"]]


def test_the_workers_name_the_run_that_they_execute_and_the_one_that_waits(call: Any) -> None:
    """The second run of a thread waits for the first."""
    thread = call("POST", "/threads", {})["thread_id"]
    request = {"assistant_id": "tokens", "input": {"messages": []}, "context": _TOKENS}
    first, second = (call("POST", f"/threads/{thread}/runs", request)["run_id"] for _ in range(2))
    try:
        deadline = time.monotonic() + 30
        while first not in executed_of(found := call("GET", "/workers")):
            assert time.monotonic() < deadline, "the run has not begun"
            time.sleep(0.05)
    finally:
        call("POST", "/runs/cancel", {"thread_id": thread, "run_ids": [first, second]})

    assert second in [run["run_id"] for run in found["waiting"]]
    assert found["n_pending"] >= 1
    assert all(worker["jobs"] > 0 and "tokens" in worker["graph_ids"] for worker in found["workers"])


def test_a_change_is_told_to_whoever_follows(testing_server: Any, call: Any) -> None:
    """The name of what changed comes by itself; nothing of its content does."""
    headers = {"x-api-key": testing_server.api_key}
    with httpx.stream("GET", f"{testing_server.url}/changes", headers=headers, timeout=30) as answer:
        lines = (line for line in answer.iter_lines() if line.startswith("data:"))
        first = json.loads(next(lines)[5:])
        told: set[str] = set()
        for _ in range(20):
            call("POST", "/threads", {})
            told |= set(json.loads(next(lines)[5:]))
            if "threads" in told:
                break

    assert first == []
    assert "threads" in told


def test_neither_is_open_to_strangers(testing_server: Any) -> None:
    """Who has no key learns nothing."""
    answers = [httpx.get(f"{testing_server.url}/{path}", timeout=30) for path in ("workers", "changes")]

    assert [answer.status_code for answer in answers] == [401, 401]
