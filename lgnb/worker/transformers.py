"""Stream transformers: what a graph was compiled with to change, drop or add events of LangGraph's event streaming.

Runs of the thread protocol are streamed through them, as LangGraph itself would. The library has no public way to feed
them from outside, so its internal multiplexer is used, in this module alone.
"""

from __future__ import annotations

import time
from typing import Any, cast

from langgraph.pregel import Pregel
from langgraph.stream._mux import StreamMux

Triple = tuple[tuple[str, ...], str, Any]

_NAMED = "custom:"
_INTERRUPT = "__interrupt__"


class Transformers:
    """The transformers of one graph during one attempt; a graph without any lets everything through."""

    def __init__(self, graph: Pregel) -> None:
        self._out: list[Any] = []
        self._mux: StreamMux | None = None
        if factories := tuple(getattr(graph, "stream_transformers", ())):
            self._mux = StreamMux(factories=list(factories), is_async=True)
            log: Any = self._mux._events  # pyright: ignore[reportPrivateUsage]
            log._wire(self._out.append)

    async def apply(self, namespace: tuple[str, ...], mode: str, payload: Any) -> list[Triple]:
        """What is to be shown instead of one thing that the graph yielded."""
        if self._mux is None:
            return [(namespace, mode, payload)]
        params: dict[str, Any] = {"namespace": list(namespace), "timestamp": time.time_ns() // 1_000_000}
        if mode == "values" and isinstance(payload, dict) and _INTERRUPT in payload:
            # Transformers are shown states and interrupts apart.
            payload = dict(cast("dict[str, Any]", payload))
            params["interrupts"] = payload.pop(_INTERRUPT)
        params["data"] = payload
        event: Any = {"type": "event", "method": mode, "params": params}
        await self._mux.apush(event)
        return self._shown()

    async def close(self, error: BaseException | None = None) -> list[Triple]:
        """What the transformers still have to say when the graph has come to its end."""
        if self._mux is None:
            return []
        if error is None:
            await self._mux.aclose()
        else:
            await self._mux.afail(error)
        return self._shown()

    def _shown(self) -> list[Triple]:
        shown: list[Triple] = []
        for event in self._out:
            method, params = event["method"], event["params"]
            data = params["data"]
            if method.startswith(_NAMED):
                method, data = "custom", {"name": method.removeprefix(_NAMED), "payload": data}
            if params.get("interrupts") and isinstance(data, dict):
                data = {**cast("dict[str, Any]", data), _INTERRUPT: params["interrupts"]}
            shown.append((tuple(params["namespace"]), method, data))
        self._out.clear()
        return shown
