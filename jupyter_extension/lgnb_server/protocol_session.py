"""One WebSocket of the thread protocol: its subscriptions, and the one reader that feeds them all."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any
from uuid import uuid4

import orjson

from lgnb.errors import CommandRefused
from lgnb.models.protocol import StoredEvent, Subscription
from lgnb.resources.thread_protocol import Lost, ThreadProtocol, ThreadReader

from .protocol_commands import read_subscription


class ProtocolSession:
    """An event that several subscriptions want is sent once. A new subscription begins with what is still kept."""

    def __init__(
        self, protocol: ThreadProtocol, reader: ThreadReader, *, send: Callable[[bytes], Awaitable[None]]
    ) -> None:
        self._protocol = protocol
        self._reader = reader
        self._send = send
        # Each with the number behind which it gets everything.
        self._subscriptions: dict[str, tuple[Subscription, int]] = {}
        self._position = 0
        self._sending = asyncio.Lock()
        self._tree = _Tree()
        self.applied_through = 0

    async def begin(self) -> None:
        """Note the place from which on events count as live."""
        self._position = await self._reader.last()

    async def run(self) -> None:
        """Feed the subscriptions, until cancelled."""
        async for event in self._reader.follow(after=self._position):
            async with self._sending:
                self._position = event.seq
                self._tree.note(event)
                if self._is_wanted(event):
                    await self._deliver(event)

    async def subscribe(self, params: Mapping[str, Any]) -> dict[str, Any]:
        """Replay what the new subscription missed, then feed it with the others."""
        subscription, since = read_subscription(params)
        async with self._sending:
            if since and (lost := await self._protocol.lost(self._reader.thread_id, since=since)):
                await self._send(gap_frame(lost))
                since = lost.after
            replayed = await self._replay(subscription, since)
            subscription_id = str(uuid4())
            self._subscriptions[subscription_id] = (subscription, since)
        return {"subscription_id": subscription_id, "replayed_events": replayed}

    def unsubscribe(self, subscription_id: Any) -> None:
        """Raises CommandRefused when there is no such subscription."""
        if self._subscriptions.pop(str(subscription_id), None) is None:
            raise CommandRefused("no_such_subscription", f"There is no subscription {subscription_id}.")

    def tree(self) -> dict[str, Any]:
        """The agents of the latest run that this session has seen."""
        if self._tree.root is None:
            raise CommandRefused("no_such_run", "No run has begun on this thread since the session did.")
        return self._tree.root

    async def _replay(self, subscription: Subscription, since: int) -> int:
        """Send what lies between `since` and the live position and was not sent for another subscription."""
        position, replayed = since, 0
        while position < self._position:
            events, reached = await self._reader.page(after=position, subscription=subscription)
            if reached == position:
                break
            for event in events:
                if event.seq <= self._position and not self._is_wanted(event):
                    await self._deliver(event)
                    replayed += 1
            position = reached
        return replayed

    def _is_wanted(self, event: StoredEvent) -> bool:
        return any(event.seq > since and wanted.wants(event) for wanted, since in self._subscriptions.values())

    async def _deliver(self, event: StoredEvent) -> None:
        await self._send(event.envelope)
        self.applied_through = max(self.applied_through, event.seq)


def gap_frame(lost: Lost) -> bytes:
    """Says that events are gone for good; what is still there follows."""
    return orjson.dumps(
        {
            "type": "error",
            "id": None,
            "error": "resume_gap",
            "message": "Events after this place are no longer kept; what is kept follows.",
            "since": lost.since,
            "min_available_seq": lost.first,
        }
    )


class _Tree:
    """Which agents of the latest run live, told by lifecycle events."""

    def __init__(self) -> None:
        self.root: dict[str, Any] | None = None
        self._nodes: dict[tuple[str, ...], dict[str, Any]] = {}

    def note(self, event: StoredEvent) -> None:
        if event.method != "lifecycle":
            return
        data = orjson.loads(event.params)["data"]
        status = data["event"]
        if not event.namespace and status == "running":
            self._nodes = {}
        node = self._nodes.get(event.namespace)
        if node is None:
            node = {"namespace": event.namespace, "graph_name": data.get("graph_name", "")}
            self._nodes[event.namespace] = node
            parent = self._nodes.get(event.namespace[:-1]) if event.namespace else None
            if parent is not None:
                parent.setdefault("children", []).append(node)
        node["status"] = status
        if not event.namespace:
            self.root = node
