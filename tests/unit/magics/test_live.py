"""The output of a run: how often it is drawn, and what is left at the end."""

from __future__ import annotations

from typing import Any

import pytest

from lgnb.client.runs import Run
from lgnb.client.session import Session
from lgnb.magics import live
from lgnb.magics.live import LiveOutput


class _Screen:
    """Stands for the front end: keeps what is displayed and updated."""

    def __init__(self) -> None:
        self.displays: list[dict[str, str]] = []
        self.updates: list[dict[str, str]] = []

    def display(self, bundle: dict[str, str], *, raw: bool, display_id: bool = False) -> Any:
        assert raw
        self.displays.append(bundle)
        return self if display_id else None

    def update(self, bundle: dict[str, str], *, raw: bool) -> None:
        assert raw
        self.updates.append(bundle)


@pytest.fixture
def screen(monkeypatch: pytest.MonkeyPatch) -> _Screen:
    screen = _Screen()
    monkeypatch.setattr(live, "display", screen.display)
    monkeypatch.setattr(live, "_shows_updates", lambda: True)
    monkeypatch.setenv("LGNB_LIVE", "1")
    return screen


def _run() -> Run:
    return Run(Session(), assistant="agent", assistant_id="a", thread_id="t", run_id="r")


def _say(run: Run, text: str) -> None:
    message = {"type": "AIMessageChunk", "content": text, "id": "m"}
    run.view.feed("messages", [message, {"langgraph_node": "model"}])


def _draws(screen: _Screen, *, tokens: int, token: str, seconds: float) -> int:
    run, now = _run(), 0.0
    output = LiveOutput(run.session.aliases, clock=lambda: now)
    for number in range(tokens):
        now = number * seconds / tokens
        _say(run, token)
        output.changed(run)
    run.view.finish("success")
    output.close()
    return len(screen.displays) + len(screen.updates)


def test_a_flood_of_tokens_is_drawn_at_most_20_times_a_second(screen: _Screen) -> None:
    drawn = _draws(screen, tokens=4000, token="x", seconds=2.0)

    assert 20 <= drawn <= 2 * 20 + 2
    assert screen.updates[-1]["text/plain"].endswith("x" * 4000)


def test_a_long_text_is_sent_less_often(screen: _Screen) -> None:
    _draws(screen, tokens=1000, token="word " * 40, seconds=10.0)

    sent = sum(len(form) for update in screen.updates for form in update.values())
    assert sent < 10 * 2 * live.BYTES_PER_SECOND


def test_the_first_token_is_drawn_at_once(screen: _Screen) -> None:
    run, now = _run(), 0.0
    output = LiveOutput(run.session.aliases, clock=lambda: now)
    output.changed(run)
    now = live.SHORTEST_SECONDS

    _say(run, "First")
    output.changed(run)

    assert "First" in screen.updates[0]["text/plain"]


def test_silence_still_shows_life_but_only_once_a_second(screen: _Screen) -> None:
    run, now = _run(), 0.0
    output = LiveOutput(run.session.aliases, clock=lambda: now)
    for tick in range(200):
        now = tick * 0.05
        output.changed(run)

    assert 9 <= len(screen.updates) <= 10


def test_the_last_drawing_has_every_form(screen: _Screen) -> None:
    _draws(screen, tokens=3, token="x", seconds=0.1)

    assert len(screen.displays) == 1
    assert set(screen.updates[-1]) == {"text/plain", "text/markdown", "text/html"}


def test_without_a_live_front_end_there_is_exactly_one_output(screen: _Screen, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LGNB_LIVE", "0")

    _draws(screen, tokens=100, token="x", seconds=5.0)

    assert (len(screen.displays), len(screen.updates)) == (1, 0)
    assert screen.displays[0]["text/plain"] == "agent · thread#1 · run#1 · success\n" + "x" * 100
