"""Many streams at once on one host."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import Any

import pytest

pytestmark = pytest.mark.alone

_STREAMS = 100
_TOKENS = 20


@dataclass
class Seen:
    """What one reader saw, in seconds since all began."""

    first: float
    end: float
    text: str
    events: set[str]


async def test_a_hundred_runs_stream_at_once(installation: Any, figure: Any) -> None:
    """All of them finish without an error and lose nothing; every one has shown a token before the first one ends."""
    host = await installation.host(workers=1)
    began = time.monotonic()

    seen = await asyncio.gather(*(_follow(host.client, began) for _ in range(_STREAMS)))

    figure("first token: first, median, last", _spread([one.first for one in seen]))
    figure("end: first, median, last", _spread([one.end for one in seen]))
    whole = " ".join(f"token{number}" for number in range(1, _TOKENS + 1))
    assert [one.text for one in seen] == [whole] * _STREAMS
    assert set().union(*(one.events for one in seen)) == {"metadata", "messages"}
    assert max(one.first for one in seen) < min(one.end for one in seen)


async def _follow(client: Any, began: float) -> Seen:
    first, tokens, events = 0.0, list[str](), set[str]()
    context = {"count": _TOKENS, "delay": 0.25}
    request = {"input": {"messages": [{"role": "user", "content": "go"}]}, "context": context}
    async for part in client.runs.stream(None, "tokens", stream_mode="messages-tuple", **request):
        events.add(part.event)
        if part.event == "messages" and (text := part.data[0]["content"]):
            first = first or time.monotonic() - began
            tokens.append(text)
    return Seen(first, time.monotonic() - began, "".join(tokens), events)


def _spread(seconds: list[float]) -> tuple[float, float, float]:
    ordered = sorted(seconds)
    return round(ordered[0], 3), round(ordered[len(ordered) // 2], 3), round(ordered[-1], 3)
