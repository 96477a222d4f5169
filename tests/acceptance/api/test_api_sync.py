"""The official client without asyncio, once through everything."""

from __future__ import annotations

from typing import Any

from langgraph_sdk import get_sync_client


def test_the_synchronous_client_drives_the_server(api_server: Any) -> None:
    """Assistant, thread, stream, question, answer, history, and away again."""
    with get_sync_client(url=api_server.url, api_key=api_server.api_key) as client:
        assistant = client.assistants.create("approver", name="Ada")
        thread = client.threads.create()["thread_id"]

        parts = list(
            client.runs.stream(thread, assistant["assistant_id"], input={"answers": []}, stream_mode="updates")
        )
        answered = client.runs.wait(thread, assistant["assistant_id"], command={"resume": "yes"})

        assert [part.event for part in parts] == ["metadata", "updates"]
        assert answered == {"answers": ["yes"]}
        assert [state["next"] for state in client.threads.get_history(thread, limit=9)] == [[], ["ask"], ["__start__"]]
        assert [run["status"] for run in client.runs.list(thread)] == ["success", "success"]
        client.assistants.delete(assistant["assistant_id"], delete_threads=True)
        assert client.threads.search(ids=[thread]) == []
