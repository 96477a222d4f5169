"""What a subscription lets through."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from lgnb.models.protocol import StoredEvent, Subscription, is_channel


def event(method: str, *namespace: str, name: str = "") -> StoredEvent:
    return StoredEvent(7, "7-0", method, namespace, name, b'{"data":1}', "run")


def wants(subscribed: StoredEvent, *channels: str, **limits: Any) -> bool:
    return Subscription(channels=frozenset(channels), **limits).wants(subscribed)


@pytest.mark.parametrize(
    ("channel", "method", "name", "passes"),
    [
        ("values", "values", "", True),
        ("values", "updates", "", False),
        ("input", "input.requested", "", True),
        ("custom", "custom", "", True),
        ("custom", "custom", "progress", True),
        ("custom:progress", "custom", "progress", True),
        ("custom:progress", "custom", "other", False),
        ("custom:progress", "custom", "", False),
        ("values", "gap", "", True),
        ("values", "custom", "gap", False),
    ],
)
def test_events_pass_by_their_channel(channel: str, method: str, name: str, passes: bool) -> None:
    assert wants(event(method, name=name), channel) is passes


@pytest.mark.parametrize(
    ("namespace", "prefix", "depth", "passes"),
    [
        ((), (), 0, True),
        (("a:1",), (), 0, False),
        (("a:1",), (), 1, True),
        (("a:1", "b:2"), ("a:1",), None, True),
        (("a:1", "b:2"), ("a:1",), 0, False),
        (("a:1",), ("a",), 0, True),
        (("a:1",), ("a:2",), None, False),
        (("ab:1",), ("a",), None, False),
        ((), ("a",), None, False),
    ],
)
def test_events_pass_by_prefix_and_depth(
    namespace: tuple[str, ...], prefix: tuple[str, ...], depth: int | None, passes: bool
) -> None:
    assert wants(event("values", *namespace), "values", namespaces=(prefix,), depth=depth) is passes


def test_without_namespaces_depth_does_not_matter() -> None:
    assert wants(event("values", "a:1", "b:2"), "values", depth=0)


@pytest.mark.parametrize(("text", "known"), [("tasks", True), ("custom:x", True), ("custom:", False), ("debug", False)])
def test_channels_are_known_by_name(text: str, known: bool) -> None:
    assert is_channel(text) is known


def test_an_envelope_carries_its_number_and_id() -> None:
    assert orjson.loads(event("values").envelope) == {
        "type": "event",
        "event_id": "7-0",
        "seq": 7,
        "method": "values",
        "params": {"data": 1},
    }
