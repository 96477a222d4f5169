"""The official JavaScript SDK drives the server; `tests/js/drive.mjs` observes, these tests judge."""

from __future__ import annotations

import asyncio
import json
import os
from pathlib import Path
from typing import Any

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
        return reports


@pytest.fixture
def drive(node: str, lgnb_server: Any) -> Driver:
    return Driver(node, lgnb_server)


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
