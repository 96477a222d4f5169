"""A graph uses the server it runs in through the SDK's client without a URL."""

from __future__ import annotations

from typing import Any


async def test_chunks_of_a_run_that_a_graph_started_reach_it_while_the_run_goes_on(client: Any) -> None:
    """The inner run ends only after the outer graph has answered its first chunk."""
    parts = [part async for part in client.runs.stream(None, "calls", input={}, stream_mode=["custom", "values"])]

    values = parts[-1].data
    assert values["heard"] == ["listening"]
    assert values["log"] == ["after listening"]
    assert [part.data for part in parts if part.event == "custom"] == ["listening"]


async def test_what_a_graph_made_is_there_for_every_client(client: Any) -> None:
    """Its thread is an ordinary one of this server."""
    values = await client.runs.wait(None, "calls", input={})

    thread = await client.threads.get(values["thread_id"])
    assert thread["metadata"]["made_by"] == "calls"
    assert thread["values"] == {"log": ["after listening"]}
    assert (await client.runs.list(values["thread_id"]))[0]["status"] == "success"


async def test_a_function_without_asyncio_finds_url_and_key_in_its_environment(client: Any) -> None:
    """The synchronous client of the SDK has no way within the process."""
    values = await client.runs.wait(None, "calls_plainly", input={})

    assert values["log"] == ["said before"]


async def test_a_graph_uses_another_one_as_a_remote_graph(client: Any) -> None:
    """On a thread of its own, which every client can read."""
    values = await client.runs.wait(None, "consults", input={})

    assert values["log"] == ["asked", "a", "b", "c"]
    assert (await client.threads.get(values["thread_id"]))["values"] == {"log": values["log"]}


async def test_a_run_that_would_wait_for_itself_is_told_so(client: Any, thread: str) -> None:
    """A remote graph as a node runs on the thread of the graph around it, which is busy until the node returns."""
    ended = await client.runs.wait(thread, "waits_for_itself", input={}, raise_error=False)

    assert ended["__error__"]["error"] == "ConflictError"
    assert len(await client.runs.list(thread)) == 1
