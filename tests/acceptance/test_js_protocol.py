"""What the JavaScript SDK's `useStream` stands on: `drive_protocol.mjs` observes, these tests judge."""

from __future__ import annotations

import asyncio
import json
import os
from itertools import pairwise
from pathlib import Path
from typing import Any

import api_coverage
import pytest

_DRIVER = Path(__file__).parents[1] / "js" / "drive_protocol.mjs"

pytestmark = pytest.mark.node


async def drive(node: str, server: Any, scenario: str, assistant: str, **variables: str) -> dict[str, list[Any]]:
    """What the driver reported, by kind and in order."""
    process = await asyncio.create_subprocess_exec(
        *(node, str(_DRIVER), scenario, assistant),
        env=os.environ | {"LGNB_URL": server.url, "LGNB_KEY": server.api_key, **variables},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    output, errors = await asyncio.wait_for(process.communicate(), timeout=60)
    assert process.returncode == 0, errors.decode()
    reports: dict[str, list[Any]] = {}
    for line in output.splitlines():
        report = json.loads(line)
        reports.setdefault(report["kind"], []).append(report)
        if report["kind"] == "request":
            api_coverage.note(api_coverage.JS, report["method"], report["path"], report["status"])
    return reports


async def test_a_page_renders_tokens_and_a_tool_call_while_the_run_works(node: str, lgnb_server: Any) -> None:
    """The answer grows under one id; the tool's result stands between call and answer."""
    seen = await drive(node, lgnb_server, "stream", "agent", LGNB_QUESTION="What is 17 * 23?")

    [summary] = seen["summary"]
    growing = [one for one in seen["rendered"] if one["isLoading"] and one["id"] == summary["messages"][-1]["id"]]
    texts = list(dict.fromkeys(one["text"] for one in growing))
    assert len(texts) > 2
    assert all(later.startswith(earlier) for earlier, later in pairwise(texts))
    assert [message["type"] for message in summary["messages"]] == ["human", "ai", "tool", "ai"]
    assert summary["messages"][-1]["text"] == "17 * 23 = 391"
    assert summary["tools"] == [
        {"name": "calculate", "args": {"expression": "17 * 23"}, "status": "finished", "output": "391"}
    ]
    assert (summary["isLoading"], summary.get("error")) == (False, None)


async def test_a_question_is_answered_from_a_page_that_was_opened_later(node: str, lgnb_server: Any) -> None:
    """Both pages show the same interrupt, and after the answer none."""
    seen = await drive(
        node, lgnb_server, "approval", "approval", LGNB_QUESTION="The meeting is at noon.", LGNB_ANSWER="approve"
    )

    asked, found, ended = seen["summary"]
    assert asked["interrupt"]["id"] == found["interrupt"]["id"]
    assert asked["interrupt"]["value"]["action_requests"][0]["name"] == "send_message"
    assert ended["values"]["outcome"] == "sent"
    assert ended.get("interrupt") is None


async def test_a_page_is_told_why_a_run_failed(node: str, testing_server: Any) -> None:
    """The error of the page has the text of the graph's own error."""
    seen = await drive(node, testing_server, "failure", "failing", LGNB_QUESTION="")

    [summary] = seen["summary"]
    assert "failed on purpose" in summary["error"]
    assert summary["isLoading"] is False
