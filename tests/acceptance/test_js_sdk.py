"""The official JavaScript SDK drives the server; `tests/js/drive.mjs` observes, these tests judge."""

from __future__ import annotations

import asyncio
import json
import os
from pathlib import Path
from typing import Any

import api_coverage
import pytest

_DRIVER = Path(__file__).parents[1] / "js" / "drive.mjs"

pytestmark = pytest.mark.node


class Driver:
    """Runs one scenario of the driver against one server."""

    def __init__(self, node: str, server: Any) -> None:
        self._node = node
        self._server = server

    async def __call__(self, scenario: str, assistant: str, **variables: str) -> dict[str, list[dict[str, Any]]]:
        """What it reported, by kind and in order."""
        process = await asyncio.create_subprocess_exec(
            *(self._node, str(_DRIVER), scenario, assistant),
            env=os.environ | {"LGNB_URL": self._server.url, "LGNB_KEY": self._server.api_key, **variables},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        output, errors = await asyncio.wait_for(process.communicate(), timeout=60)
        assert process.returncode == 0, errors.decode()
        reports: dict[str, list[dict[str, Any]]] = {}
        for line in output.splitlines():
            report = json.loads(line)
            reports.setdefault(report["kind"], []).append(report)
            if report["kind"] == "request":
                api_coverage.note(api_coverage.JS, report["method"], report["path"], report["status"])
        return reports


@pytest.fixture
def drive(node: str, lgnb_server: Any) -> Driver:
    return Driver(node, lgnb_server)


@pytest.fixture
def drive_api(node: str, api_server: Any) -> Driver:
    """The driver, on graphs with the shapes that the API has to show."""
    return Driver(node, api_server)


async def test_tokens_reach_node_in_order_while_the_run_still_works(drive: Driver) -> None:
    """The first token is there while the server says "running", and all of them make up the stored answer."""
    seen = await drive("stream", "agent")

    tokens = seen["token"]
    [final] = seen["final"]
    assert len(tokens) > 5
    assert [report["status"] for report in seen["status at first token"]] == ["running"]
    assert [report["status"] for report in seen["status at end"]] == ["success"]
    assert "".join(token["text"] for token in tokens).endswith(final["text"])


async def test_tokens_reach_node_one_by_one_and_not_in_one_heap(drive: Driver) -> None:
    """They arrive at different times: at least half of them at moments of their own."""
    seen = await drive("stream", "agent")

    moments = {round(token["at"]) for token in seen["token"]}
    assert len(moments) >= len(seen["token"]) / 2


async def test_node_waits_for_a_run_and_reads_state_and_history(drive: Driver) -> None:
    """`wait` gives the values that `getState` gives afterwards, and the newest checkpoint of the history holds them."""
    seen = await drive("wait", "agent")

    [values], [state], [history] = seen["values"], seen["state"], seen["history"]
    assert state["values"] == values["values"]
    assert [message["type"] for message in values["values"]["messages"]][:: len(values["values"]["messages"]) - 1] == [
        "human",
        "ai",
    ]
    assert state["next"] == []
    assert len(history["checkpoints"]) > 2
    assert history["checkpoints"] == sorted(history["checkpoints"], reverse=True)
    assert history["checkpoints"][0] == state["checkpoint"]["checkpoint_id"]


async def test_node_answers_an_interrupt_and_the_run_goes_on(drive: Driver) -> None:
    """A thread that waits for a person says so, and continues with the answer."""
    request = {"messages": [{"role": "user", "content": "The meeting is at noon."}]}
    seen = await drive("approval", "approval", LGNB_INPUT=json.dumps(request), LGNB_ANSWER='"approve"')

    [paused], [resumed] = seen["paused"], seen["resumed"]
    [interrupt] = paused["interrupts"]
    assert paused["status"] == "interrupted"
    assert [stored["id"] for waiting in paused["stored"].values() for stored in waiting] == [interrupt["id"]]
    assert resumed["status"] == "idle"
    assert resumed["values"]["outcome"] == "sent"


async def test_node_creates_finds_and_deletes_an_assistant(drive: Driver) -> None:
    """The life of an assistant through the JavaScript SDK, ending with a 404."""
    seen = await drive("assistants", "agent")

    [created], [deleted] = seen["created"], seen["deleted"]
    assert created["found"] == [created["assistant_id"]]
    assert deleted["status"] == 404


async def test_every_method_for_assistants_works_from_node(drive_api: Driver) -> None:
    """Versions, drawing, schemas and subgraphs."""
    seen = await drive_api("everyAssistantMethod", "steps")

    [told] = seen["assistant"]
    assert (told["versions"], told["latest"], told["now"]) == (["Bob", "Ada"], "Ada", "Ada")
    assert (told["found"], told["count"], told["graph"]) == (1, 1, "nested")
    assert {"first", "child"} <= set(told["nodes"])
    assert told["subgraphs"] == told["one"] == ["child"]


async def test_every_method_for_threads_works_from_node(drive_api: Driver) -> None:
    """The state is read in three ways, and the thread's stream tells when a run is done."""
    seen = await drive_api("everyThreadMethod", "steps")

    [told], [deleted], [stream] = seen["thread"], seen["thread deleted"], seen["thread stream"]
    assert (told["metadata"], told["written"], told["history"]) == (1, True, 2)
    assert told["log"] == told["byId"] == told["byCheckpoint"] == ["a", "b", "c", "by hand"]
    assert (told["found"], told["count"], deleted["count"]) == (2, 2, 1)
    assert "values" in stream["events"]


async def test_every_method_for_runs_works_from_node(drive_api: Driver) -> None:
    """On a thread and without one; joined by both addresses."""
    seen = await drive_api("everyRunMethod", "steps")

    [told], [deleted] = seen["run"], seen["run deleted"]
    assert told["joined"] == told["waited"] == ["a", "b", "c"]
    assert told["events"] == told["again"]
    assert told["events"][:2] == told["streamed"][:2] == ["metadata", "values"]
    assert (told["cancelled"], told["pending"], told["batch"], deleted["left"]) == ("interrupted", "pending", 1, 1)
    assert told["listed"] == told["expected"]


async def test_every_method_for_crons_works_from_node(drive_api: Driver) -> None:
    """None of them is due within the test."""
    seen = await drive_api("everyCronMethod", "steps")

    [told], [deleted] = seen["cron"], seen["cron deleted"]
    assert told["enabled"] is False
    assert told["found"] == told["expected"]
    assert (told["count"], deleted["count"]) == (1, 0)


async def test_every_method_for_the_store_works_from_node(drive_api: Driver) -> None:
    """An item is put, read, found and deleted."""
    seen = await drive_api("everyStoreMethod", "steps")

    [told], [deleted] = seen["item"], seen["item deleted"]
    assert (told["value"], told["found"]) == ({"n": 1}, ["a"])
    assert told["namespaces"] == told["expected"]
    assert deleted["item"] is None
