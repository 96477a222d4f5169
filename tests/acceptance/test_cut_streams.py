"""A stream is cut anywhere, in the middle of a frame too: the client goes on behind the last event it has whole."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

_SPOKEN = {"messages": [{"role": "user", "content": "speak"}]}


@pytest.fixture
async def http(testing_server: Any) -> AsyncIterator[httpx.AsyncClient]:
    headers = {"x-api-key": testing_server.api_key}
    async with httpx.AsyncClient(base_url=testing_server.url, headers=headers, timeout=60) as client:
        yield client


async def test_the_parts_of_a_cut_stream_are_the_uncut_stream(http: httpx.AsyncClient) -> None:
    path = await _resumable_run(http, tokens=12)
    whole = await _read(http, path, after="-1")
    uncut = _events(whole)
    assert len(uncut) > 12

    for cut in range(1, len(whole), max(1, len(whole) // 120)):
        first = _events(whole[:cut])
        last_id = first[-1][0] if first else "-1"
        rest = _events(await _read(http, path, after=last_id))
        assert first + rest == uncut, f"cut behind byte {cut}"


async def test_a_stream_cut_while_the_run_works_loses_and_repeats_nothing(http: httpx.AsyncClient) -> None:
    """Every connection brings about three hundred bytes, then breaks."""
    path = await _resumable_run(http, tokens=40, delay=0.02)
    seen: list[tuple[str, str, str]] = []
    connections = 0

    while not seen or seen[-1][1] != "values" or "token40" not in seen[-1][2]:
        connections += 1
        assert connections < 500, seen[-1]
        received = await _read(http, path, after=seen[-1][0] if seen else "-1", at_most=300 + 40 * connections)
        seen += _events(received)

    assert seen == _events(await _read(http, path, after="-1"))[: len(seen)]
    assert connections > 3


async def _resumable_run(http: httpx.AsyncClient, *, tokens: int, delay: float = 0.0) -> str:
    """Where the stream of a new run is."""
    thread_id = (await http.post("/threads", json={})).json()["thread_id"]
    request = {
        "assistant_id": "tokens",
        "input": _SPOKEN,
        "context": {"count": tokens, "delay": delay},
        "stream_mode": ["messages-tuple", "values"],
        "stream_resumable": True,
    }
    run = (await http.post(f"/threads/{thread_id}/runs", json=request)).raise_for_status().json()
    if not delay:
        await http.get(f"/threads/{thread_id}/runs/{run['run_id']}/join")
    return f"/threads/{thread_id}/runs/{run['run_id']}/stream"


async def _read(http: httpx.AsyncClient, path: str, *, after: str, at_most: int | None = None) -> bytes:
    received = b""
    async with http.stream("GET", path, headers={"Last-Event-ID": after}) as response:
        async for part in response.aiter_raw():
            received += part
            if at_most is not None and len(received) >= at_most:
                return received[:at_most]
    return received


def _events(received: bytes) -> list[tuple[str, str, str]]:
    """(id, event, data) of every frame that came whole; comments are left out."""
    found: list[tuple[str, str, str]] = []
    for frame in received.split(b"\r\n\r\n")[:-1]:
        fields = dict(line.split(b": ", 1) for line in frame.split(b"\r\n") if b": " in line and line[:1] != b":")
        if b"event" in fields:
            found.append((fields[b"id"].decode(), fields[b"event"].decode(), fields[b"data"].decode()))
    return found
