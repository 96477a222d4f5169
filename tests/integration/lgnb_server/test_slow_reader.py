"""A client that never reads, against real sockets; only the run is made up."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlsplit

import pytest
from lgnb_server import streaming

from lgnb.models.streams import StreamEvent

_ID = "00000000-0000-4000-8000-000000000000"


async def test_a_client_that_never_reads_costs_bounded_memory_and_is_cut_off(
    jupyter: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(streaming, "SLOW_READER_SECONDS", 0.5)
    produced, closed = 0, asyncio.Event()

    async def endless(*args: Any, **kwargs: Any) -> AsyncGenerator[list[StreamEvent], None]:
        nonlocal produced
        try:
            while True:
                produced += 1
                yield [StreamEvent("values", b"x" * 100_000)]
        finally:
            closed.set()

    async def found(*args: Any) -> Any:
        return SimpleNamespace(run_id=_ID, thread_id=_ID)

    runs = type(jupyter.extension.host.resources.runs)
    monkeypatch.setattr(runs, "get", found)
    monkeypatch.setattr(runs, "pages", endless)
    address = urlsplit(jupyter.url)
    _, writer = await asyncio.open_connection(address.hostname, address.port, limit=1024)
    key = jupyter.extension.host.keys.own
    request = (
        f"GET {address.path}/threads/{_ID}/runs/{_ID}/stream HTTP/1.1\r\nHost: 127.0.0.1\r\nx-api-key: {key}\r\n\r\n"
    )
    writer.write(request.encode())

    try:
        async with asyncio.timeout(20):
            await closed.wait()
    finally:
        writer.close()

    # What the kernel's socket buffers hold, and nothing near what an unbounded queue would have taken meanwhile.
    assert 1 < produced < 200
    assert "read nothing for 0.5 s and was cut off" in caplog.text
    assert (await jupyter.anonymous.get("/ok")).status_code == 200
    assert len(jupyter.extension.host.streams) == 0
