"""A React page on `useStream` in a real Chromium: tokens while the run works, a tool call, a question, a reload."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from playwright.sync_api import Page, Route, expect, sync_playwright

pytestmark = [pytest.mark.chromium, pytest.mark.node, pytest.mark.timeout(180)]

_JS = Path(__file__).parents[1] / "js"
_WAIT_MS = 30_000
_HTML = '<!doctype html><meta charset="utf-8"><div id="root"></div><script src="chat.js"></script>'

# Notes each text of the last message, and whether the run was still going on then.
_WATCH = """
() => {
  window.seen = [];
  const note = () => {
    const text = [...document.querySelectorAll('li.ai')].at(-1)?.innerText;
    const busy = document.querySelector('main')?.dataset.loading === 'true';
    if (text && window.seen.at(-1)?.text !== text) window.seen.push({ text, busy });
  };
  new MutationObserver(note).observe(document.body, { childList: true, subtree: true, characterData: true });
}
"""


@pytest.fixture(scope="module")
def script(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The page's code in one piece."""
    bundle = tmp_path_factory.mktemp("page") / "chat.js"
    subprocess.run(
        [
            str(_JS / "node_modules" / ".bin" / "esbuild"),
            str(_JS / "page" / "chat.jsx"),
            "--bundle",
            "--jsx=automatic",
            '--define:process.env.NODE_ENV="production"',
            "--log-level=error",
            f"--outfile={bundle}",
        ],
        check=True,
        timeout=60,
    )
    return bundle.read_text()


@pytest.fixture
def page(chromium: str, script: str) -> Iterator[Page]:
    """A browser that finds the page beside the API, so that it needs no leave from another origin."""

    def answer(route: Route) -> None:
        if route.request.url.endswith("chat.js"):
            route.fulfill(content_type="text/javascript; charset=utf-8", body=script)
        else:
            route.fulfill(content_type="text/html; charset=utf-8", body=_HTML)

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_page()
        page.route(re.compile(r"/chat\.(html|js)"), answer)
        yield page
        browser.close()


def open_chat(page: Page, server: Any, assistant: str) -> None:
    query = urlencode({"url": server.url, "key": server.api_key, "assistant": assistant})
    page.goto(f"{server.url}/chat.html?{query}")
    page.evaluate(_WATCH)


def say(page: Page, text: str) -> None:
    page.fill("input", text)
    page.press("input", "Enter")


def test_tokens_appear_while_the_run_works_and_the_conversation_survives_a_reload(page: Page, lgnb_server: Any) -> None:
    """Question, tool call and answer are there, then a reload, then a second question on the same thread."""
    open_chat(page, lgnb_server, "agent")
    say(page, "What is 17 * 23?")
    expect(page.locator("li.ai").last).to_have_text("17 * 23 = 391", timeout=_WAIT_MS)
    expect(page.locator("ul li")).to_have_text("calculate: 391")
    seen = page.evaluate("window.seen")
    growing = [one["text"] for one in seen if one["busy"] and "17 * 23 = 391".startswith(one["text"])]

    page.reload()
    expect(page.locator("ol li")).to_have_text(
        ["What is 17 * 23?", "Let me work that out.", "391", "17 * 23 = 391"], timeout=_WAIT_MS
    )
    say(page, "What is 2 + 2?")
    expect(page.locator("li.ai").last).to_have_text("2 + 2 = 4", timeout=_WAIT_MS)

    assert len(growing) > 1
    assert page.locator("[role=alert]").count() == 0


def test_a_question_is_still_there_after_a_reload_and_is_answered(page: Page, lgnb_server: Any) -> None:
    """The button that a waiting run shows comes back, and pressing it lets the run go on."""
    open_chat(page, lgnb_server, "approval")
    say(page, "The meeting is at noon.")
    expect(page.locator("button")).to_be_visible(timeout=_WAIT_MS)

    page.reload()
    expect(page.locator("button")).to_be_visible(timeout=_WAIT_MS)
    # The hook takes an answer once its stream has repeated the question it shows already.
    page.wait_for_timeout(1000)
    page.click("button")
    expect(page.locator("output")).to_have_text("sent", timeout=_WAIT_MS)

    expect(page.locator("button")).to_have_count(0)
    assert page.locator("[role=alert]").count() == 0
