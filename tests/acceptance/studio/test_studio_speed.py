"""How smooth the studio is with a long history. It measures time, so it has the machine to itself."""

from __future__ import annotations

import re
from typing import Any

import pytest
from playwright.sync_api import Browser, expect

from .conftest import Api, screenshot, watched_page

pytestmark = [pytest.mark.alone, pytest.mark.chromium, pytest.mark.timeout(300)]

_CHECKPOINTS = 1000
_LONGEST_PAUSE_MS = 100
_WALKS = 5
_WAIT_MS = 60_000


@pytest.fixture
def long_thread(testing_server: Any) -> str:
    """A thread with more than a thousand checkpoints and two branches."""
    api = Api(testing_server.url, testing_server.api_key)
    thread = api.finished("counter", {"step": 0}, context={"steps": _CHECKPOINTS})
    newest = api("POST", f"/threads/{thread}/history", {"limit": 5})
    api.finished("counter", None, thread=thread, checkpoint={"checkpoint_id": newest[4]["checkpoint"]["checkpoint_id"]})
    return thread


def test_a_thousand_checkpoints_are_browsed_without_a_pause(
    browser: Browser, testing_server: Any, long_thread: str
) -> None:
    """Through the whole list by keyboard and by wheel: no task of the page's main thread reaches 100 ms.

    Chromium reports the tasks itself, by the clock; where other programs take the processor, a short task looks long.
    So the walk is repeated until one is free of long tasks, which shows that the page's own work is short.
    """
    page, watched = watched_page(browser)
    page.goto(f"{testing_server.url}/studio?token={testing_server.token}#/threads/{long_thread}/history")
    box = page.get_by_role("listbox", name="Checkpoints, newest first")
    count = page.locator(".lg-history-list .lg-quiet")
    heading = page.locator(".lg-cp-head h3")
    expect(count).to_have_text(re.compile(r"^10\d\d$"), timeout=_WAIT_MS)
    expect(heading).to_be_visible(timeout=_WAIT_MS)
    screenshot(page, "studio-thousand-checkpoints")

    longest: list[float] = []
    while len(longest) < _WALKS and min(longest, default=_LONGEST_PAUSE_MS) >= _LONGEST_PAUSE_MS:
        page.evaluate("window.longTasks.length = 0")
        box.press("Home")
        for _ in range(30):
            box.press("PageDown")
        box.press("End")
        expect(heading).to_have_text("Step -1 · input", timeout=_WAIT_MS)
        box.hover()
        for _ in range(20):
            page.mouse.wheel(0, -3000)
        page.wait_for_timeout(200)
        longest.append(max((task["ms"] for task in page.evaluate("window.longTasks")), default=0))

    assert min(longest) < _LONGEST_PAUSE_MS, longest
    assert page.locator(".lg-virtual-row").count() < 100
    assert watched.complaints == []
    page.context.close()
