"""Logs as JSON: every line of a server and of its workers, those about a run with its ids."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from langgraph_sdk import get_client

_GRAPH = """
import logging
from langgraph.graph import END, START, StateGraph

def speak(state: dict) -> dict:
    logging.getLogger("mine").warning("Hello from a node")
    return {}

graph = StateGraph(dict).add_node(speak).add_edge(START, "speak").add_edge("speak", END).compile()
"""


async def test_each_line_is_json_and_a_graphs_own_lines_name_their_run(make_server: Any, tmp_path: Path) -> None:
    """`LGNB_LOG_FORMAT=json` is all that a collector of logs needs."""
    (tmp_path / "speaking.py").write_text(_GRAPH)
    config = tmp_path / "langgraph.json"
    config.write_text('{"graphs": {"speaking": "./speaking.py:graph"}, "dependencies": ["."]}')
    server = make_server(graphs=config, environment={"LGNB_LOG_FORMAT": "json"})

    async with get_client(url=server.url, api_key=server.api_key) as client:
        thread = await client.threads.create()
        await client.runs.wait(thread["thread_id"], "speaking", input={})
        (run,) = await client.runs.list(thread["thread_id"])
    server.stop()

    lines = [json.loads(line) for line in server.log.splitlines() if line.strip()]
    (hello,) = [line for line in lines if line["message"] == "Hello from a node"]
    assert (hello["level"], hello["logger"], hello["worker"]) == ("warning", "mine", 1)
    assert (hello["run_id"], hello["thread_id"], hello["attempt"]) == (run["run_id"], thread["thread_id"], 1)
