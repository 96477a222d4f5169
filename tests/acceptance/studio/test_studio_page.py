"""The page lgnb/studio in a real Chromium, without any kernel: it does everything through the server alone."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from playwright.sync_api import Browser, Locator, Page, Route, expect

from .conftest import Api, Watched, screenshot, serious_violations, wait_for, watched_page

pytestmark = [pytest.mark.chromium, pytest.mark.node, pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def studio(browser: Browser, lab: Any) -> Iterator[tuple[Page, Watched]]:
    """Opened once, with the token in the address as Jupyter prints it."""
    page, watched = watched_page(browser)
    page.goto(f"{lab.url}/studio?token={lab.token}")
    expect(page.get_by_role("navigation", name="Studio")).to_be_visible(timeout=60_000)
    expect.set_options(timeout=60_000)
    yield page, watched
    page.context.close()


@pytest.fixture
def page(studio: tuple[Page, Watched], lab: Any) -> Iterator[Page]:
    """The studio, which every test leaves without an error and without a request to another origin."""
    page, watched = studio
    watched.complaints.clear()
    yield page
    assert watched.complaints == []
    assert watched.foreign(lab.url) == []


def open_at(page: Page, lab: Any, place: str) -> None:
    page.goto("about:blank")
    page.goto(f"{lab.url}/studio#{place}")
    page.get_by_role("navigation", name="Studio").wait_for()


def send(page: Page, assistant: str, text: str) -> None:
    page.get_by_label("Assistant", exact=True).select_option(label=assistant)
    box = page.locator(".lg-compose textarea").first
    box.fill(text)
    box.press("Enter")


def test_the_page_asks_for_a_login_and_its_files_may_be_kept_for_ever(lab: Any) -> None:
    """Like any page of Jupyter it leads a stranger to the login; its scripts have a type and a long life."""
    stranger = httpx.get(f"{lab.url}/studio", follow_redirects=False)
    page = httpx.get(f"{lab.url}/studio", headers={"Authorization": f"token {lab.token}"})
    [script] = re.findall(r'src="([^"]+)"', page.text)
    file = httpx.get(f"{lab.url}/{script}")
    other = httpx.get(f"{lab.url}/{script.replace('page.js', 'loader.js')}")

    assert stranger.status_code == 302
    assert "/login" in stranger.headers["location"]
    assert "script-src 'self'" in page.headers["content-security-policy"]
    assert "unsafe" not in page.headers["content-security-policy"]
    assert file.headers["content-type"].startswith("text/javascript")
    assert "immutable" in file.headers["cache-control"]
    assert other.status_code == 404


def test_the_token_of_the_address_is_used_and_taken_away(page: Page) -> None:
    """It must not stay where it can be copied or seen."""
    assert "token" not in page.url


def test_tokens_appear_while_the_run_works_and_the_graph_lights_up(page: Page, lab: Any, api: Api) -> None:
    """A run from the page: its text grows before the eyes, the node that works is lit, the way is marked at the end."""
    open_at(page, lab, "/threads/new")
    send(page, "steps", "rain")
    active = page.locator(".lg-node.lg-active[data-node='write']")
    expect(active).to_be_visible()
    wait_for(page, "document.querySelector('.lg-growing .lg-markdown')?.innerText.length > 20")
    early = page.locator(".lg-run .lg-said .lg-markdown").inner_text()
    screenshot(page, "studio-run-while-streaming")
    expect(page.locator(".lg-run-head .lg-chip")).to_contain_text("success")

    thread = page.url.split("/threads/")[1]
    report = api.state(thread)["values"]["report"]
    shown = page.locator(".lg-run .lg-said .lg-markdown").inner_text()
    words = re.sub(r"[#\s]+", " ", report).split()
    assert shown.split() == words
    assert 0 < len(early.split()) < len(words)
    expect(page.locator(".lg-node.lg-done")).to_have_count(6)
    expect(page.locator(".lg-edge.lg-taken")).to_have_count(5)
    screenshot(page, "studio-run-at-the-end")


def test_what_is_written_while_another_assistant_is_chosen_is_sent_to_it(page: Page, lab: Any, api: Api) -> None:
    """Its schema takes a while to come; words and Enter are faster."""
    open_at(page, lab, "/threads/new")
    page.get_by_label("Assistant", exact=True).select_option(label="agent")
    expect(page.get_by_label("Message", exact=True)).to_be_visible()
    held: list[Route] = []
    page.route("**/schemas", lambda route: held.append(route))
    try:
        page.get_by_label("Assistant", exact=True).select_option(label="steps")
        box = page.locator(".lg-compose textarea").first
        box.fill("hail")
        box.press("Enter")
        api.until(lambda: page.wait_for_timeout(20) or held, "the schema is asked for")
    finally:
        for route in held:
            route.continue_()
        page.unroute("**/schemas")

    expect(page.locator(".lg-run-head")).to_contain_text("steps")
    expect(page.locator(".lg-compose textarea").first).to_have_value("")
    expect(page.locator(".lg-chat")).to_contain_text("hail")


def test_the_cancel_button_ends_the_run(page: Page, lab: Any, api: Api) -> None:
    """The server says interrupted, and what came stays."""
    open_at(page, lab, "/threads/new")
    thread, run = api.run("tokens", {"messages": []}, context={"count": 5000, "delay": 0.05})
    open_at(page, lab, f"/threads/{thread}/runs/{run}")
    wait_for(page, "document.querySelector('.lg-growing .lg-markdown')?.innerText.includes('token3')")

    page.get_by_role("button", name="Cancel the run").click()
    expect(page.locator(".lg-run-head .lg-chip")).to_contain_text("cancelled")

    assert api.status(thread, run) == "interrupted"
    expect(page.locator(".lg-run .lg-said .lg-markdown")).to_contain_text("token3")


def test_a_waiting_run_says_that_it_waits_behind_another(page: Page, lab: Any, api: Api) -> None:
    """The second run of a thread tells its place in the queue."""
    thread, first = api.run("tokens", {"messages": []}, context={"count": 5000, "delay": 0.05})
    _, second = api.run("tokens", {"messages": []}, thread=thread, context={"count": 1})
    open_at(page, lab, f"/threads/{thread}")

    waiting = page.locator(f"[data-run='{second}']")
    expect(waiting).to_contain_text("behind 1 run of this thread")
    api("POST", f"/threads/{thread}/runs/{first}/cancel")
    expect(waiting.locator(".lg-chip")).to_contain_text("success")


@pytest.mark.parametrize(
    ("decision", "outcome", "said"),
    [("Approve", "sent", "at noon"), ("Edit", "sent", "at one o'clock"), ("Reject", "rejected", "too early")],
)
def test_an_interrupt_is_answered(page: Page, lab: Any, api: Api, decision: str, outcome: str, said: str) -> None:
    """Approve, edit with the fields of the action, or reject with a reason; the run goes on below."""
    thread = api.finished("approval", {"messages": [{"role": "user", "content": "We meet at noon"}]})
    open_at(page, lab, f"/threads/{thread}")
    form = page.get_by_role("form", name="The graph waits for an answer")
    form.get_by_role("radio", name=decision).check()
    if decision == "Edit":
        form.get_by_label("body").fill("We meet at one o'clock")
        screenshot(page, "studio-interrupt-edit")
    if decision == "Reject":
        form.get_by_label("Why").fill("too early")
    form.locator("button[type=submit]").click()
    expect(page.locator(".lg-run-head .lg-chip")).to_contain_text("success")

    values = api.state(thread)["values"]
    assert values["outcome"] == outcome
    assert said in str(values["messages"][-1]["content"])


def test_two_questions_are_answered_at_once_each_by_its_own(page: Page, lab: Any, api: Api) -> None:
    """From the inbox: text goes as text, JSON as JSON, and each to the node that asked."""
    thread = api.finished("two_approvers", {"answers": []})
    open_at(page, lab, "/interrupts")
    page.locator(".lg-item", has_text=thread[-6:]).click()
    form = page.get_by_role("form", name="The graph waits for an answer")
    expect(form).to_contain_text("left?")
    for node, answer in (("left", "yes please"), ("right", '{"amount": 3}')):
        form.locator("fieldset", has_text=f"{node} asks").locator("textarea").fill(answer)
    screenshot(page, "studio-inbox-two-questions")
    form.get_by_role("button", name="Send 2 answers").click()
    expect(page.locator(".lg-run-head .lg-chip")).to_contain_text("success")

    answers = api.state(thread)["values"]["answers"]
    assert sorted(map(str, answers)) == sorted(map(str, [{"left": "yes please"}, {"right": {"amount": 3}}]))


def test_a_state_is_edited_forked_and_run_again(page: Page, lab: Any, api: Api) -> None:
    """An invalid edit is refused before it is sent; a valid one makes a branch, from which a run goes on."""
    thread = api.finished("steps", {"topic": "rain"}, context={"token_delay": 0.0})
    open_at(page, lab, f"/threads/{thread}/history")
    box = page.get_by_role("listbox", name="Checkpoints, newest first")
    box.get_by_role("option").filter(has_text="→ write").click()
    expect(page.locator(".lg-cp-head h3")).to_have_text("Step 2 · research")
    page.get_by_role("button", name="Edit and fork").click()
    editor = page.get_by_role("form", name="Edit the state")
    before = len(api("POST", f"/threads/{thread}/history", {"limit": 100}))

    editor.get_by_role("button", name="JSON").click()
    text = editor.get_by_label("State as JSON")
    good = text.input_value()
    text.fill(good.replace('"rain"', "7"))
    editor.get_by_role("button", name="Save as a fork").click()
    expect(editor.get_by_role("alert").first).to_contain_text("topic must be a text")
    assert len(api("POST", f"/threads/{thread}/history", {"limit": 100})) == before
    text.fill(good)
    editor.get_by_role("button", name="Form").click()
    editor.get_by_label("topic").fill("snow")
    screenshot(page, "studio-state-editor")
    editor.get_by_role("button", name="Save as a fork").click()
    expect(page.locator(".lg-cp-head h3")).to_contain_text("edited")
    assert api.state(thread)["values"]["topic"] == "snow"
    expect(page.locator(".lg-diff")).to_contain_text("snow")

    page.get_by_role("button", name="Run from here").click()
    expect(page.locator(".lg-run-head .lg-chip")).to_contain_text("success")
    assert api.state(thread)["values"]["report"].startswith("# Snow")
    page.get_by_role("tab", name="History").click()
    expect(page.locator(".lg-point.lg-lane-1").first).to_be_visible()
    screenshot(page, "studio-branches")


def test_a_fork_that_the_stream_brings_first_is_shown_all_the_same(page: Page, lab: Any, api: Api) -> None:
    """The history hears of the new checkpoint from the thread's stream before the answer to the edit is in."""
    thread = api.finished("steps", {"topic": "rain"}, context={"token_delay": 0.0})
    open_at(page, lab, f"/threads/{thread}/history")
    box = page.get_by_role("listbox", name="Checkpoints, newest first")
    box.get_by_role("option").filter(has_text="→ write").click()
    page.get_by_role("button", name="Edit and fork").click()
    editor = page.get_by_role("form", name="Edit the state")
    editor.get_by_label("topic").fill("snow")
    held: list[Route] = []
    # The editor looks at what it has written before it tells of it.
    page.route(f"**/threads/{thread}/state/*", lambda route: held.append(route))
    try:
        editor.get_by_role("button", name="Save as a fork").click()
        expect(box.get_by_role("option").filter(has_text="edited").first).to_be_visible()
        api.until(lambda: page.wait_for_timeout(20) or held, "the new state is asked for")
    finally:
        for route in held:
            route.continue_()
        page.unroute(f"**/threads/{thread}/state/*")

    expect(page.locator(".lg-cp-head h3")).to_contain_text("edited")


def test_two_checkpoints_are_compared(page: Page, lab: Any, api: Api) -> None:
    """What differs is told place by place."""
    thread = api.finished("counter", {"step": 0}, context={"steps": 3})
    open_at(page, lab, f"/threads/{thread}/history")
    options = page.get_by_role("listbox", name="Checkpoints, newest first").get_by_role("option")
    options.nth(3).click()
    page.get_by_role("button", name="Compare with").click()
    options.nth(0).click()

    section = page.locator("details", has_text="Compared with step")
    expect(section.locator(".lg-diff-row")).to_have_count(4)
    screenshot(page, "studio-compare")


def test_what_happens_elsewhere_appears_by_itself(page: Page, lab: Any, api: Api) -> None:
    """A run that somebody else starts is streamed into the open thread, and a new thread comes into the list."""
    thread = api.finished("agent", {"messages": [{"role": "user", "content": "Hello"}]})
    open_at(page, lab, f"/threads/{thread}")
    expect(page.locator(".lg-talk")).to_contain_text("Ask me anything")

    api.run("agent", {"messages": [{"role": "user", "content": "What is 6 * 7?"}]}, thread=thread)
    expect(page.locator(".lg-run")).to_contain_text("6 * 7 = 42")
    other = api.finished("agent", {"messages": [{"role": "user", "content": "Somebody else was here"}]})
    expect(page.locator(f"a[data-thread='{other}']")).to_contain_text("Somebody else was here")
    screenshot(page, "studio-agent")


def test_an_error_is_told_with_its_node(page: Page, lab: Any, api: Api) -> None:
    """The class of the exception, its node and its text."""
    thread, run = api.run("failing", {"text": "x"})
    open_at(page, lab, f"/threads/{thread}/runs/{run}")

    expect(page.locator(".lg-failure")).to_contain_text("ValueError in node fail: failed on purpose")
    expect(page.get_by_text("Stopped in fail.")).to_be_visible()
    screenshot(page, "studio-error")
    expect(page.locator(".lg-chat .lg-problem")).to_have_count(1)


def test_a_failed_thread_says_why_once_and_is_tried_again(page: Page, lab: Any, api: Api) -> None:
    """Also for who comes later and sees no run."""
    thread = api.finished("failing", {"text": "x"})
    open_at(page, lab, f"/threads/{thread}")
    problems = page.locator(".lg-chat .lg-problem")
    expect(problems).to_have_count(1)
    expect(problems).to_contain_text("ValueError: failed on purpose")
    page.get_by_role("button", name="Try again").click()

    expect(page.locator(".lg-failure")).to_contain_text("ValueError in node fail: failed on purpose")
    expect(page.get_by_role("button", name="Try again")).to_be_visible()
    expect(problems).to_have_count(1)


def test_an_assistant_is_made_edited_by_its_schema_and_compared(page: Page, lab: Any, api: Api) -> None:
    """The context's schema makes the form; a wrong value is refused; the versions stand side by side."""
    open_at(page, lab, "/assistants")
    page.get_by_role("button", name="New", exact=True).click()
    page.get_by_label("Name").fill("Slow agent")
    page.get_by_label("Graph", exact=True).select_option("agent")
    page.get_by_label("token_delay").fill("-1")
    page.get_by_role("button", name="Create").click()
    expect(page.get_by_role("alert").filter(has_text="at least 0")).to_be_visible()
    page.get_by_label("token_delay").fill("0.5")
    page.get_by_role("button", name="Create").click()
    expect(page.get_by_role("heading", name="Slow agent")).to_be_visible()

    page.get_by_label("token_delay").fill("0.1")
    page.get_by_role("button", name="Save as a new version").click()
    expect(page.locator(".lg-diff-row", has_text="context.token_delay")).to_be_visible()
    screenshot(page, "studio-assistants")

    made = api("POST", "/assistants/search", {"name": "Slow agent"})[0]
    assert (made["version"], made["context"]["token_delay"]) == (2, 0.1)


def test_the_store_is_browsed_and_edited(page: Page, lab: Any, api: Api) -> None:
    """An item is found, changed and deleted."""
    api("PUT", "/store/items", {"namespace": ["users", "ada"], "key": "profile", "value": {"likes": "tea"}})
    open_at(page, lab, "/store")
    page.locator(".lg-item", has_text="profile").click()
    value = page.get_by_label("Value")
    value.fill('{"likes": "coffee"')
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("alert")).to_contain_text("not JSON")
    value.fill('{"likes": "coffee"}')
    page.get_by_role("button", name="Save").click()
    expect(page.locator(".lg-item", has_text="coffee")).to_be_visible()
    screenshot(page, "studio-store")
    page.get_by_role("button", name="Delete").click()
    page.get_by_role("button", name="Delete for ever?").click()
    expect(page.locator(".lg-item", has_text="profile")).to_have_count(0)

    assert api("GET", "/store/items", namespace="users.ada", key="profile") is None


def test_a_cron_is_paused_resumed_and_deleted(page: Page, lab: Any, api: Api) -> None:
    """The table says what runs when."""
    cron = api("POST", "/runs/crons", {"assistant_id": api.assistant("agent"), "schedule": "0 5 1 1 *", "input": {}})
    open_at(page, lab, "/crons")
    page.get_by_role("button", name="Pause the cron 0 5 1 1 *").click()
    resume = page.get_by_role("button", name="Resume the cron 0 5 1 1 *")
    expect(resume).to_be_visible()
    assert api("GET", f"/runs/crons/{cron['cron_id']}")["enabled"] is False
    screenshot(page, "studio-crons")
    resume.click()
    delete = page.get_by_role("button", name="Delete the cron 0 5 1 1 *")
    expect(page.get_by_role("button", name="Pause the cron 0 5 1 1 *")).to_be_visible()
    delete.click()
    delete.click()

    expect(page.get_by_text("No crons yet")).to_be_visible()


def test_the_workers_and_their_runs_are_shown(page: Page, lab: Any, api: Api) -> None:
    """Who runs what, live: the run appears and goes."""
    open_at(page, lab, "/workers")
    expect(page.locator(".lg-card")).to_contain_text("process")
    thread, run = api.run("tokens", {"messages": []}, context={"count": 5000, "delay": 0.05})
    expect(page.locator(".lg-card")).to_contain_text(run[-6:])
    screenshot(page, "studio-workers")
    api("POST", f"/threads/{thread}/runs/{run}/cancel")

    expect(page.locator(".lg-card")).not_to_contain_text(run[-6:])


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_view_has_a_serious_fault_for_people_with_disabilities(
    browser: Browser, lab: Any, api: Api, scheme: Any
) -> None:
    """What axe finds, in both themes; the scheme of the system decides which one is shown."""
    waiting = api.finished("two_approvers", {"answers": []})
    chat = api.finished("agent", {"messages": [{"role": "user", "content": "What is 6 * 7?"}]})
    review = api.finished("approval", {"messages": [{"role": "user", "content": "We meet at noon"}]})
    page, watched = watched_page(browser, color_scheme=scheme)
    page.goto(f"{lab.url}/studio?token={lab.token}")
    places: dict[str, tuple[str, Locator]] = {
        "thread": (f"/threads/{chat}", page.locator(".lg-said-ai").first),
        "review": (f"/threads/{review}", page.locator(".lg-ask")),
        "history": (f"/threads/{chat}/history", page.locator(".lg-cp-head")),
        "interrupts": (f"/interrupts/{waiting}", page.locator(".lg-ask")),
        "assistants": (f"/assistants/{api.assistant('agent')}", page.locator(".lg-table")),
        "store": ("/store", page.locator(".lg-empty").first),
        "crons": ("/crons", page.locator(".lg-page")),
        "workers": ("/workers", page.locator(".lg-card").first),
    }
    found: dict[str, list[str]] = {}
    for name, (place, there) in places.items():
        open_at(page, lab, place)
        there.wait_for()
        found[name] = serious_violations(page)
        screenshot(page, f"studio-{name}-{scheme}")

    assert {name: faults for name, faults in found.items() if faults} == {}
    assert watched.complaints == []
    background = page.evaluate("getComputedStyle(document.getElementById('lgnb')).backgroundColor")
    brightness = sum(map(int, re.findall(r"\d+", background)[:3])) / 3
    assert brightness > 200 if scheme == "light" else brightness < 60
    page.context.close()


def test_the_keyboard_alone_is_enough(page: Page, lab: Any, api: Api) -> None:
    """From the navigation to an answered question without a mouse, and the focus is always somewhere visible."""
    thread = api.finished("approval", {"messages": [{"role": "user", "content": "Keys only"}]})
    open_at(page, lab, "/threads")
    page.locator(f"a[data-thread='{thread}']").wait_for()
    press_until(page, "Tab", "document.activeElement?.dataset?.place === 'interrupts'")
    page.keyboard.press("Enter")
    page.locator(".lg-item", has_text=thread[-6:]).wait_for()
    press_until(page, "Tab", "document.activeElement?.classList.contains('lg-item')")
    press_until(page, "ArrowDown", f"document.activeElement?.innerText.includes('{thread[-6:]}')")
    page.keyboard.press("Enter")
    # The form takes the focus when it comes; the arrows choose, and Enter in the form sends.
    wait_for(page, "document.activeElement?.type === 'radio'")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    press_until(page, "Tab", "document.activeElement?.type === 'submit'")
    assert page.evaluate("document.activeElement.innerText") == "Reject"
    page.keyboard.press("Enter")
    expect(page.locator(".lg-run-head .lg-chip")).to_contain_text("success")

    assert api.state(thread)["values"]["outcome"] == "rejected"


def press_until(page: Page, key: str, claim: str) -> None:
    for _ in range(80):
        if page.evaluate(claim):
            return
        page.keyboard.press(key)
    raise AssertionError(f"{key} never led to: {claim}")


def test_ten_thousand_tokens_arrive_whole(page: Page, lab: Any, api: Api) -> None:
    """The text on the page equals the server's, word for word."""
    thread, run = api.run("tokens", {"messages": []}, context={"count": 10_000})
    open_at(page, lab, f"/threads/{thread}/runs/{run}")
    chip = page.locator(".lg-run-head .lg-chip")
    expect(chip).to_contain_text("success", timeout=120_000)

    text = str(api.state(thread)["values"]["messages"][-1]["content"])
    assert len(text.split()) == 10_000
    assert page.locator(".lg-run .lg-said .lg-markdown").inner_text().split() == text.split()


def test_it_works_on_a_plain_server_and_a_graph_opens_and_closes(browser: Browser, testing_server: Any) -> None:
    """`lgnb serve` has no notebooks at all; the subgraph of a drawing becomes one node and comes back."""
    page, watched = watched_page(browser)
    page.goto(f"{testing_server.url}/studio?token={testing_server.token}&assistant=parent")
    expect(page.locator(".lg-cluster")).to_have_count(1)
    page.get_by_role("button", name="Close the subgraph child").press("Enter")
    expect(page.locator(".lg-cluster")).to_have_count(0)
    expect(page.locator(".lg-node")).to_have_count(4)
    page.get_by_role("button", name="Open the subgraph child").press("Enter")
    expect(page.locator(".lg-cluster")).to_have_count(1)

    assert "#/assistants/" in page.url
    assert watched.complaints == []
    page.context.close()
