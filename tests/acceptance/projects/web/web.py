"""An application of one's own: it runs a graph of the server it lives in, and passes the events on."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator

from fastapi import FastAPI
from fastapi.responses import StreamingResponse
from langgraph_sdk import get_client

app = FastAPI()


@app.post("/ask/{thread_id}")
async def ask(thread_id: str) -> StreamingResponse:
    client = get_client()

    async def events() -> AsyncIterator[str]:
        async for part in client.runs.stream(
            thread_id, "approver", input={"answers": []}, if_not_exists="create", stream_mode="updates"
        ):
            yield json.dumps([part.event, part.data]) + "\n"

    return StreamingResponse(events(), media_type="application/x-ndjson")
