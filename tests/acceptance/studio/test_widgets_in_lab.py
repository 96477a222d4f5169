"""The widgets in cells of a real JupyterLab: directly against the server, and through the kernel where it cannot be."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import nbformat
import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from .conftest import Api, Watched, screenshot, serious_violations, wait_for, watched_page

pytestmark = [pytest.mark.chromium, pytest.mark.node, pytest.mark.timeout(300)]

_KERNEL = {"name": "python3", "display_name": "Python 3", "language": "python"}
_BUSY = "import os, time\nwhile not os.path.exists('enough'): time.sleep(0.05)"
_SOURCES = {
    "load": "%load_ext lgnb",
    "tokens": f"%lg run tokens --background --new --context count=10000 hello\n{_BUSY}",
    "cancel": "%lg run tokens --background --new --context count=5000 --context delay=0.05 hello",
    "approve": "%lg run approval --new We meet at noon",
    "two": "%lg run two_approvers --new {}",
    "graph": "%lg graph steps --xray",
    "thread": "import lgnb\nlgnb.run('steps', 'rain', thread='new')\nlgnb.widgets.Thread()",
    "editor": "lgnb.widgets.StateEditor()",
    "studio": "%lg studio",
    "others": "for name in ('Assistants', 'Store', 'Crons', 'Workers', 'Interrupts'):\n"
    "    display(getattr(lgnb.widgets, name)())",
}


@dataclass
class Notebook:
    """An open notebook, whose cells are named by what they are for."""

    page: Page
    watched: Watched
    path: Path

    def cell(self, name: str) -> Locator:
        return self.page.locator(".jp-Notebook .jp-CodeCell").nth(list(_SOURCES).index(name))

    def start(self, name: str) -> Locator:
        """Execute a cell; its output."""
        self.cell(name).locator(".cm-content").click()
        self.page.keyboard.press("Control+Enter")
        return self.cell(name).locator(".jp-Cell-outputArea")

    def run(self, name: str) -> Locator:
        """Execute a cell to its end; its output."""
        output = self.start(name)
        expect(self.cell(name).locator(".jp-InputPrompt")).to_have_text(re.compile(r"\[\d+\]:"), timeout=60_000)
        return output

    def is_busy(self, name: str) -> bool:
        return "*" in self.cell(name).locator(".jp-InputPrompt").inner_text()


@pytest.fixture(scope="module")
def notebook(browser: Browser, lab: Any) -> Iterator[Notebook]:
    """Opened once, on a kernel of the server itself."""
    page, watched = watched_page(browser)
    yield opened(page, watched, lab)
    page.context.close()


def opened(page: Page, watched: Watched, lab: Any, *, first: str = "") -> Notebook:
    """A notebook with all cells, whose extension is loaded after `first` has been executed."""
    sources = {**_SOURCES, "load": f"{first}\n{_SOURCES['load']}".strip()}
    path = lab.home / f"{uuid4().hex}.ipynb"
    cells = [nbformat.v4.new_code_cell(source) for source in sources.values()]
    nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata={"kernelspec": _KERNEL}), path)
    base = lab.url.removesuffix("/lgnb")
    page.goto(f"{base}/lab/workspaces/{uuid4().hex}/tree/{path.name}?token={lab.token}")
    expect(page.locator(".jp-Notebook .jp-CodeCell")).to_have_count(len(cells), timeout=60_000)
    deadline = time.monotonic() + 60
    while not _has_idle_kernel(base, lab.token, path.name):
        assert time.monotonic() < deadline, "the notebook's kernel has not started"
        time.sleep(0.1)
    expect.set_options(timeout=60_000)
    notebook = Notebook(page, watched, path)
    notebook.run("load")
    return notebook


def _has_idle_kernel(base: str, token: str, name: str) -> bool:
    sessions = httpx.get(f"{base}/api/sessions", params={"token": token}, timeout=10).json()
    kernels = [session["kernel"] for session in sessions if session["path"] == name]
    return any(kernel["execution_state"] == "idle" and kernel["connections"] > 0 for kernel in kernels)


def thread_of(api: Api, graph: str) -> str:
    """The thread that a run of this graph has used last."""
    query = {"limit": 1, "sort_by": "created_at", "sort_order": "desc", "metadata": {"graph_id": graph}}
    return str(api("POST", "/threads/search", query)[0]["thread_id"])


def test_ten_thousand_tokens_arrive_whole_while_the_kernel_is_busy(notebook: Notebook, api: Api) -> None:
    """The widget asks the server itself, so a cell that goes on computing does not hold it up, and nothing is lost."""
    enough = notebook.path.with_name("enough")
    enough.unlink(missing_ok=True)
    output = notebook.start("tokens")
    widget = output.locator(".lgnb")
    expect(widget).to_have_attribute("data-transport", "direct")
    expect(widget.locator(".lg-growing .lg-markdown")).to_contain_text("token2 ")
    assert notebook.is_busy("tokens")
    screenshot(notebook.page, "lab-run-while-streaming")
    expect(widget.locator(".lg-run-head .lg-chip")).to_contain_text("success", timeout=120_000)
    was_busy = notebook.is_busy("tokens")
    enough.touch()

    assert was_busy
    text = str(api.state(thread_of(api, "tokens"))["values"]["messages"][-1]["content"])
    assert len(text.split()) == 10_000
    assert widget.locator(".lg-said .lg-markdown").inner_text().split() == text.split()


def test_the_cancel_button_ends_a_run_in_the_background(notebook: Notebook, api: Api) -> None:
    """The server says interrupted."""
    output = notebook.run("cancel")
    expect(output.locator(".lg-growing .lg-markdown")).to_contain_text("token3 ")
    output.get_by_role("button", name="Cancel the run").click()
    expect(output.locator(".lg-run-head .lg-chip")).to_contain_text("cancelled")

    assert api("GET", f"/threads/{thread_of(api, 'tokens')}/runs")[0]["status"] == "interrupted"


def test_a_run_that_waits_ends_with_a_form_and_goes_on_below_it(notebook: Notebook, api: Api) -> None:
    """Approved by keyboard alone: the letters typed do not reach the notebook's shortcuts."""
    cells = notebook.page.locator(".jp-Notebook .jp-CodeCell").count()
    output = notebook.run("approve")
    form = output.get_by_role("form", name="The graph waits for an answer")
    expect(form).to_contain_text("Send this message?")
    screenshot(notebook.page, "lab-interrupt")
    wait_for(notebook.page, "document.activeElement?.type === 'radio'")
    assert serious_violations(notebook.page, ".lg-ask") == []
    notebook.page.keyboard.press("ArrowRight")
    expect(form.get_by_role("radio", name="Edit")).to_be_checked()
    form.get_by_label("body").press("End")
    notebook.page.keyboard.type(" dd zz")
    form.get_by_role("button", name="Send the edit").press("Enter")
    expect(output.locator(".lg-run-head .lg-chip")).to_contain_text("success")

    values = api.state(thread_of(api, "approval"))["values"]
    assert values["outcome"] == "sent"
    assert "dd zz" in values["draft"]["body"]
    assert notebook.page.locator(".jp-Notebook .jp-CodeCell").count() == cells


@pytest.mark.parametrize(("decision", "outcome"), [("Approve", "sent"), ("Reject", "rejected")])
def test_an_interrupt_is_approved_or_rejected_in_the_cell(
    notebook: Notebook, api: Api, decision: str, outcome: str
) -> None:
    """Each decision ends the run with its own outcome."""
    output = notebook.run("approve")
    form = output.get_by_role("form", name="The graph waits for an answer")
    form.get_by_role("radio", name=decision).check()
    form.locator("button[type=submit]").click()
    expect(output.locator(".lg-run-head .lg-chip")).to_contain_text("success")

    assert api.state(thread_of(api, "approval"))["values"]["outcome"] == outcome


def test_a_state_is_edited_forked_and_run_again_in_the_cell(notebook: Notebook, api: Api) -> None:
    """Time travel without leaving the notebook: the branch goes on from the edited checkpoint."""
    output = notebook.run("thread")
    thread = thread_of(api, "steps")
    box = output.get_by_role("listbox", name="Checkpoints, newest first")
    box.get_by_role("option").filter(has_text="→ write").click()
    expect(output.locator(".lg-cp-head h3")).to_have_text("Step 2 · research")
    output.get_by_role("button", name="Edit and fork").click()
    editor = output.get_by_role("form", name="Edit the state")
    editor.get_by_label("topic").fill("snow")
    editor.get_by_role("button", name="Save as a fork").click()
    expect(output.locator(".lg-cp-head h3")).to_contain_text("edited")
    assert api.state(thread)["values"]["topic"] == "snow"

    output.get_by_role("button", name="Run from here").click()
    expect(output.locator(".lg-run-head .lg-chip")).to_contain_text("success")
    assert api.state(thread)["values"]["report"].startswith("# Snow")
    screenshot(notebook.page, "lab-fork")


def test_two_questions_are_answered_in_the_cell(notebook: Notebook, api: Api) -> None:
    """One form, two answers, each to its own question."""
    output = notebook.run("two")
    form = output.get_by_role("form", name="The graph waits for an answer")
    for node in ("left", "right"):
        form.locator("fieldset", has_text=f"{node} asks").locator("textarea").fill(f"for {node}")
    form.get_by_role("button", name="Send 2 answers").click()
    expect(output.locator(".lg-run-head .lg-chip")).to_contain_text("success")

    answers = api.state(thread_of(api, "two_approvers"))["values"]["answers"]
    assert sorted(map(str, answers)) == ["{'left': 'for left'}", "{'right': 'for right'}"]


def test_the_other_views_show_in_cells_in_both_themes(notebook: Notebook, api: Api) -> None:
    """Graph, history, editor, studio and the lists, in JupyterLab's light and dark theme."""
    page = notebook.page
    shown = {
        "graph": notebook.run("graph").locator(".lg-cluster"),
        "thread": notebook.run("thread").locator(".lg-cp-head h3"),
        "editor": notebook.run("editor").get_by_role("button", name="Save as a fork"),
        "studio": notebook.run("studio").get_by_role("navigation", name="Studio"),
        "others": notebook.run("others").locator(".lg-card").first,
    }
    for name, sign in shown.items():
        expect(sign).to_be_visible()
        sign.scroll_into_view_if_needed()
        screenshot(page, f"lab-{name}-light")
    faults = serious_violations(page)
    set_theme(page, "JupyterLab Dark")
    wait_for(page, "document.body.dataset.jpThemeLight === 'false'")
    for name, sign in shown.items():
        sign.scroll_into_view_if_needed()
        screenshot(page, f"lab-{name}-dark")
    faults += serious_violations(page)
    set_theme(page, "JupyterLab Light")

    assert faults == []
    assert notebook.watched.foreign(api.url) == []


def set_theme(page: Page, name: str) -> None:
    page.get_by_role("menuitem", name="Settings").click()
    page.locator(".lm-Menu-item", has_text=re.compile("^Theme$")).hover()
    page.locator(".lm-Menu-item", has_text=re.compile(f"^{name}$")).click()


def test_a_saved_notebook_holds_no_key_and_reads_well(notebook: Notebook, lab: Any) -> None:
    """Neither Jupyter's token nor the server's own key; and each widget left its text."""
    notebook.run("graph")
    notebook.page.keyboard.press("Control+s")
    deadline = time.monotonic() + 60
    while "text/markdown" not in notebook.path.read_text():
        assert time.monotonic() < deadline, "the notebook was not saved"
        time.sleep(0.1)
    saved = notebook.path.read_text()
    keys = [json.loads(file.read_text())["key"] for file in (lab.home / "runtime").glob("lgnb-*.json")]

    assert [key for key in (lab.token, *keys) if f'"{key}"' in saved or (len(key) > 12 and key in saved)] == []
    assert "mermaid" in saved
    assert "_esm" not in saved


def test_the_same_views_work_through_the_kernel(browser: Browser, lab: Any, api: Api) -> None:
    """A front end that cannot reach the server, as VS Code and Colab: the files and every request go by messages."""
    page, watched = watched_page(browser)
    page.route("**/lgnb/**", lambda route: route.abort())
    notebook = opened(page, watched, lab)
    output = notebook.run("cancel")
    expect(output.locator(".lgnb")).to_have_attribute("data-transport", "comm")
    expect(output.locator(".lg-growing .lg-markdown")).to_contain_text("token3 ")
    output.get_by_role("button", name="Cancel the run").click()
    expect(output.locator(".lg-run-head .lg-chip")).to_contain_text("cancelled")

    output = notebook.run("two")
    form = output.get_by_role("form", name="The graph waits for an answer")
    for node in ("left", "right"):
        form.locator("fieldset", has_text=f"{node} asks").locator("textarea").fill(f"for {node}")
    form.get_by_role("button", name="Send 2 answers").click()
    expect(output.locator(".lg-run-head .lg-chip")).to_contain_text("success")
    answers = api.state(thread_of(api, "two_approvers"))["values"]["answers"]
    assert sorted(map(str, answers)) == ["{'left': 'for left'}", "{'right': 'for right'}"]

    notebook.path.with_name("enough").touch()
    output = notebook.run("tokens")
    expect(output.locator(".lg-run-head .lg-chip")).to_contain_text("success", timeout=120_000)
    text = str(api.state(thread_of(api, "tokens"))["values"]["messages"][-1]["content"])
    assert output.locator(".lg-said .lg-markdown").inner_text().split() == text.split()
    screenshot(page, "lab-through-the-kernel")
    assert watched.complaints == []
    page.context.close()
