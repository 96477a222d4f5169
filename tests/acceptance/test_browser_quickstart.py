"""The quickstart in a real JupyterLab, in a real Chromium: its cells run, and tokens appear while the run works."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import nbformat
import pytest
from playwright.sync_api import Page, sync_playwright

pytestmark = [pytest.mark.chromium, pytest.mark.timeout(300)]

_QUICKSTART = Path(__file__).parents[2] / "notebooks" / "01-quickstart.ipynb"
_SCREENSHOTS = Path(__file__).with_name("screenshots")
_TOKEN = "secret"

_CHROMIUM_ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]

# Notes each change of what a cell shows, and whether the cell was still executing then.
_WATCH = """
(index) => {
  const cell = document.querySelectorAll('.jp-Notebook .jp-CodeCell')[index];
  window.seen = [];
  const note = () => {
    const text = cell.querySelector('.jp-Cell-outputArea')?.innerText ?? '';
    const busy = cell.querySelector('.jp-InputPrompt').innerText.includes('*');
    const last = window.seen.at(-1);
    if (last?.text !== text || last?.busy !== busy) window.seen.push({ text, busy });
  };
  new MutationObserver(note).observe(cell, { childList: true, subtree: true, characterData: true });
}
"""
_EXECUTED = """
(index) => {
  const prompt = document.querySelectorAll('.jp-Notebook .jp-CodeCell .jp-InputPrompt')[index];
  return /\\[\\d+\\]/.test(prompt.innerText);
}
"""


@dataclass(frozen=True)
class Lab:
    """A JupyterLab that serves `folder`."""

    url: str
    folder: Path


@pytest.fixture(scope="module")
def lab(make_data_dir: Callable[[], Path]) -> Iterator[Lab]:
    home = make_data_dir()
    folder = home / "notebooks"
    folder.mkdir()
    runtime = home / "runtime"
    environment = os.environ | {"LGNB_DATA_DIR": str(home / "data"), "JUPYTER_RUNTIME_DIR": str(runtime)}
    options = ["--no-browser", "--port=0", f"--IdentityProvider.token={_TOKEN}", f"--notebook-dir={folder}"]
    if os.geteuid() == 0:
        options.append("--allow-root")
    with open(home / "log", "wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "jupyterlab", *options], env=environment, stdout=log, stderr=subprocess.STDOUT
        )
    try:
        yield Lab(_wait_until_ready(process, runtime / f"jpserver-{process.pid}.json", home / "log"), folder)
    finally:
        process.terminate()
        try:
            process.wait(timeout=60)
        finally:
            process.kill()


@pytest.fixture
def page(chromium: str) -> Iterator[Page]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=_CHROMIUM_ARGUMENTS)
        page = browser.new_page(viewport={"width": 1280, "height": 1400})
        page.set_default_timeout(60_000)
        yield page
        browser.close()


def test_the_quickstart_runs_cell_by_cell_and_tokens_appear_while_the_run_works(lab: Lab, page: Page) -> None:
    """What a newcomer sees: each cell ends without an error, and the answer grows before their eyes."""
    sources = _copy_without_outputs(_QUICKSTART, lab.folder)
    streaming = next(index for index, source in enumerate(sources) if "%lg run" in source)
    _open(page, lab, _QUICKSTART.name, cells=len(sources))

    for index in range(len(sources)):
        if index == streaming:
            page.evaluate(_WATCH, index)
        _start_cell(page, index)
        if index == streaming:
            page.wait_for_function("() => window.seen.filter(each => each.busy && each.text.length > 20).length > 3")
            _screenshot(page, "quickstart-while-streaming")
        page.wait_for_function(_EXECUTED, arg=index)
        assert _errors_of(page, index) == [], sources[index]
        if index == streaming:
            seen: list[dict[str, Any]] = page.evaluate("() => window.seen")
            answer = _last_answer(lab)

    _screenshot(page, "quickstart-at-the-end")
    grown = _words_seen(answer, [each["text"] for each in seen if each["busy"]])
    assert len(grown) > 3, f"the answer came in {len(grown)} piece(s)"
    assert grown == sorted(grown)
    assert grown[0] < len(answer.split())
    assert _words_seen(answer, [seen[-1]["text"]]) == [len(answer.split())]


def test_stopping_the_kernel_cancels_the_run_and_says_so(lab: Lab, page: Page) -> None:
    """The stop button ends the run on the server too, and keeps what came."""
    cells = ["%load_ext lgnb", "%lg run steps --new A long report about rain", "1 + 1"]
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    notebook = nbformat.v4.new_notebook(
        cells=[nbformat.v4.new_code_cell(source) for source in cells], metadata={"kernelspec": kernel}
    )
    nbformat.write(notebook, lab.folder / "stopped.ipynb")
    _open(page, lab, "stopped.ipynb", cells=len(cells))
    _start_cell(page, 0)
    page.wait_for_function(_EXECUTED, arg=0)

    page.evaluate(_WATCH, 1)
    _start_cell(page, 1)
    page.wait_for_function("() => window.seen.some(each => each.busy && each.text.length > 20)")
    page.locator("[data-command='notebook:interrupt-kernel'], button[title^='Interrupt']").first.click()
    page.wait_for_function(_EXECUTED, arg=1)
    _screenshot(page, "stopped")

    assert _status_of_ended_run(lab) == "interrupted"


def _wait_until_ready(process: subprocess.Popen[bytes], runtime_file: Path, log: Path) -> str:
    deadline = time.monotonic() + 90
    while time.monotonic() < deadline and process.poll() is None:
        try:
            url = str(json.loads(runtime_file.read_text())["url"])
            if httpx.get(f"{url}lgnb/ok", timeout=2).status_code == httpx.codes.OK:
                return url
        except (OSError, ValueError, httpx.HTTPError):
            pass  # not there, half written, or not listening yet
        time.sleep(0.2)
    process.kill()
    raise AssertionError(f"JupyterLab was not ready in time:\n{log.read_text()}")


def _copy_without_outputs(source: Path, folder: Path) -> list[str]:
    """The sources of its code cells."""
    copy = folder / source.name
    shutil.copy(source, copy)
    notebook = nbformat.read(copy, as_version=4)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    for cell in code:
        cell.outputs = []
        cell.execution_count = None
    nbformat.write(notebook, copy)
    return [cell.source for cell in code]


def _open(page: Page, lab: Lab, name: str, *, cells: int) -> None:
    # A workspace of its own: the default one would open the notebooks of earlier tests again.
    page.goto(f"{lab.url}lab/workspaces/{uuid4().hex}/tree/{name}?token={_TOKEN}")
    page.wait_for_function("(n) => document.querySelectorAll('.jp-Notebook .jp-CodeCell').length === n", arg=cells)
    # Before the kernel is there, JupyterLab asks which one to start instead of executing, and calls itself idle.
    deadline = time.monotonic() + 60
    while not _has_idle_kernel(lab, name):
        assert time.monotonic() < deadline, "the notebook's kernel has not started"
        time.sleep(0.1)
    page.locator(".jp-NotebookPanel-toolbar .jp-Notebook-ExecutionIndicator[data-status='idle']").wait_for()


def _has_idle_kernel(lab: Lab, name: str) -> bool:
    sessions = httpx.get(f"{lab.url}api/sessions", params={"token": _TOKEN}, timeout=10).json()
    kernels = [session["kernel"] for session in sessions if session["path"] == name]
    return any(kernel["execution_state"] == "idle" and kernel["connections"] > 0 for kernel in kernels)


def _start_cell(page: Page, index: int) -> None:
    page.locator(".jp-Notebook .jp-CodeCell").nth(index).locator(".cm-content").click()
    page.keyboard.press("Shift+Enter")


def _errors_of(page: Page, index: int) -> list[str]:
    cell = page.locator(".jp-Notebook .jp-CodeCell").nth(index)
    return cell.locator("[data-mime-type$='stderr'], [data-mime-type$='error']").all_inner_texts()


def _screenshot(page: Page, name: str) -> None:
    _SCREENSHOTS.mkdir(exist_ok=True)
    page.screenshot(path=_SCREENSHOTS / f"{name}.png")


def _words_seen(answer: str, texts: list[str]) -> list[int]:
    """How many leading words of `answer` (Markdown) each text shows, without zeros and without repeats in a row."""
    words = re.sub(r"[*`]", "", answer).split()
    counts: list[int] = []
    for text in texts:
        shown = " ".join(text.split())
        count = max((n for n in range(1, len(words) + 1) if " ".join(words[:n]) in shown), default=0)
        if count and counts[-1:] != [count]:
            counts.append(count)
    return counts


def _call(lab: Lab, method: str, path: str, body: Any = None) -> Any:
    answer = httpx.request(method, f"{lab.url}lgnb{path}", json=body, headers={"x-api-key": _TOKEN}, timeout=10)
    answer.raise_for_status()
    return answer.json()


def _last_answer(lab: Lab) -> str:
    [thread] = _call(lab, "POST", "/threads/search", {"limit": 1, "sort_by": "updated_at", "sort_order": "desc"})
    return str(thread["values"]["messages"][-1]["content"])


def _status_of_ended_run(lab: Lab) -> str:
    """Status of the newest run. A cancel is a wish: the worker follows it a moment later."""
    [thread] = _call(lab, "POST", "/threads/search", {"limit": 1, "sort_by": "updated_at", "sort_order": "desc"})
    deadline = time.monotonic() + 10
    while True:
        status = str(_call(lab, "GET", f"/threads/{thread['thread_id']}/runs")[0]["status"])
        if status not in ("pending", "running") or time.monotonic() > deadline:
            return status
        time.sleep(0.1)
