"""One JupyterLab and one Chromium for the tests of this folder, and how they look at a page.

Playwright's loop runs for as long as a browser is open, so the tests of these modules are all synchronous.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from playwright.sync_api import Browser, Page, Request, sync_playwright

_GRAPHS = Path(__file__).with_name("langgraph.json")
_SCREENSHOTS = Path(__file__).with_name("screenshots")
_AXE = Path(__file__).parents[2] / "js" / "node_modules" / "axe-core" / "axe.min.js"
_WAIT_MS = 60_000

# Tasks of the page's main thread longer than 50 ms, as Chromium itself measures them.
_WATCH_LONG_TASKS = """
window.longTasks = [];
new PerformanceObserver((list) => {
  for (const entry of list.getEntries()) window.longTasks.push({ at: entry.startTime, ms: entry.duration });
}).observe({ type: 'longtask', buffered: true });
"""


@dataclass(frozen=True)
class Api:
    """The server as a test sets the scene on it."""

    url: str
    key: str

    def __call__(self, method: str, path: str, body: Any = None, **query: Any) -> Any:
        answer = httpx.request(
            method, f"{self.url}{path}", json=body, params=query, headers={"x-api-key": self.key}, timeout=60
        )
        answer.raise_for_status()
        return answer.json() if answer.content else None

    def assistant(self, graph: str) -> str:
        [row] = self("POST", "/assistants/search", {"graph_id": graph, "metadata": {"created_by": "system"}})
        return str(row["assistant_id"])

    def thread(self) -> str:
        return str(self("POST", "/threads", {})["thread_id"])

    def run(self, graph: str, given: Any, *, thread: str | None = None, **more: Any) -> tuple[str, str]:
        """Start a run; its thread and its id."""
        thread = thread or self.thread()
        request = {
            "assistant_id": self.assistant(graph),
            "input": given,
            "stream_mode": ["messages-tuple", "updates", "tasks", "values", "custom"],
            "stream_resumable": True,
            "stream_subgraphs": True,
            **more,
        }
        return thread, str(self("POST", f"/threads/{thread}/runs", request)["run_id"])

    def finished(self, graph: str, given: Any, *, thread: str | None = None, **more: Any) -> str:
        """Run to the end; its thread."""
        thread, run = self.run(graph, given, thread=thread, **more)
        self.until(lambda: self.status(thread, run) not in ("pending", "running"), "the run ends")
        return thread

    def status(self, thread: str, run: str) -> str:
        return str(self("GET", f"/threads/{thread}/runs/{run}")["status"])

    def state(self, thread: str) -> Any:
        return self("GET", f"/threads/{thread}/state")

    def until(self, claim: Callable[[], Any], what: str, *, seconds: float = 90) -> Any:
        deadline = time.monotonic() + seconds
        while not (found := claim()):
            assert time.monotonic() < deadline, f"not within {seconds:.0f} s: {what}"
            time.sleep(0.1)
        return found


@pytest.fixture(scope="session")
def lab(make_server: Any) -> Any:
    """A JupyterLab with the extension, the example graphs and those that do one thing each."""
    return make_server(graphs=_GRAPHS, command=("jupyterlab",))


@pytest.fixture(scope="session")
def api(lab: Any) -> Api:
    return Api(lab.url, lab.api_key)


@pytest.fixture(scope="module")
def browser(chromium: str) -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=chromium, args=["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
        )
        yield browser
        browser.close()


@dataclass
class Watched:
    """What a page asked for, and what it complained about."""

    requests: list[Request]
    complaints: list[str]

    def foreign(self, origin: str) -> list[str]:
        local = ("data", "blob", "about")
        urls = [request.url for request in self.requests if urlsplit(request.url).scheme not in local]
        return [url for url in urls if urlsplit(url).netloc != urlsplit(origin).netloc]


def watched_page(browser: Browser, **options: Any) -> tuple[Page, Watched]:
    """A page in a context of its own, and everything it asks for."""
    context = browser.new_context(viewport={"width": 1360, "height": 860}, reduced_motion="reduce", **options)
    page = context.new_page()
    page.set_default_timeout(_WAIT_MS)
    watched = Watched([], [])
    page.on("request", lambda request: watched.requests.append(request))
    page.on("pageerror", lambda error: watched.complaints.append(f"{error.message}\n{error.stack}"))
    page.on(
        "console",
        lambda message: "Content Security Policy" in message.text and watched.complaints.append(message.text),
    )
    page.add_init_script(_WATCH_LONG_TASKS)
    return page, watched


def wait_for(page: Page, claim: str, *, seconds: float = 60) -> None:
    """Wait until a JavaScript claim holds. Playwright's own waiting needs eval, which the studio's page forbids."""
    deadline = time.monotonic() + seconds
    while not page.evaluate(claim):
        assert time.monotonic() < deadline, f"never on the page: {claim}"
        page.wait_for_timeout(20)


def screenshot(page: Page, name: str) -> None:
    """For people to look at; git ignores the folder."""
    _SCREENSHOTS.mkdir(exist_ok=True)
    page.screenshot(path=_SCREENSHOTS / f"{name}.png")


def serious_violations(page: Page, within: str = ".lgnb") -> list[str]:
    """What axe finds serious or critical in a part of the page."""
    page.evaluate(_AXE.read_text())
    result: Any = page.evaluate(
        "(within) => axe.run(within, { resultTypes: ['violations'] }).then((r) => JSON.stringify(r.violations))", within
    )
    return [
        f"{rule['id']} ({rule['impact']}): {node['html'][:200]} — {node['failureSummary'][:300]}"
        for rule in json.loads(result)
        if rule["impact"] in ("serious", "critical")
        for node in rule["nodes"]
    ]
