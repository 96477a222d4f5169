"""Runs in a cell: what a person sees while they work and afterwards."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import httpx


def test_tokens_appear_while_the_run_works(notebook: Any) -> None:
    """The answer grows before the reader's eyes, and the last drawing holds all of it."""
    seen = notebook.run("%lg run agent Why is the sky blue?")

    answer = notebook.value("_lg.text")
    partial = [text for text in seen.drawings[:-1] if text.splitlines()[-1] and "Sunlight" in text]
    assert len(partial) >= 3
    assert all(answer not in text for text in partial[:2])
    assert seen.text.endswith(answer)
    assert seen.text.startswith("agent · thread#1 · run#1 · success")
    assert seen.kinds[0] == "display_data"
    assert set(seen.kinds[1:]) == {"update_display_data"}


def test_updates_stay_below_what_the_front_end_drops(notebook: Any) -> None:
    """However fast a graph speaks, no more than 20 drawings a second leave the kernel."""
    seen = notebook.run("%lg run agent --context token_delay=0 Why is the sky blue?")

    assert len(seen.outputs) <= 20 * seen.seconds + 4


def test_the_saved_output_has_every_form_and_reads_without_a_kernel(notebook: Any) -> None:
    """One output stays in the notebook, as text, Markdown and HTML without scripts."""
    seen = notebook.run("%lg run agent What is 17 * 23?")

    data = seen.outputs[-1][2]["data"]
    assert set(data) == {"text/plain", "text/markdown", "text/html"}
    assert "391" in data["text/markdown"]
    assert "<script" not in data["text/html"]
    assert 'tool: calculate(expression="17 * 23") → 391' in data["text/plain"]


def test_the_next_run_continues_the_thread(notebook: Any) -> None:
    """A notebook holds a conversation without naming a thread."""
    notebook.run("%lg run agent My name is Ada")
    seen = notebook.run("%%lg run agent\nWhat is my name?\n")

    assert "Ada" in seen.text
    assert "thread#1 · run#2" in seen.text
    assert "Ada" not in notebook.run("%lg run agent --new What is my name?").text


def test_the_run_is_bound_and_has_its_result(notebook: Any) -> None:
    """`_lg` and `--var` hold the Run with values, messages, status and ids."""
    notebook.run("%lg run agent hello --var mine")

    assert notebook.value("mine is _lg")
    assert notebook.value("(_lg.status, _lg.error, _lg.interrupts)") == ("success", None, [])
    assert notebook.value("[m['type'] for m in _lg.messages]") == ["human", "ai"]
    assert notebook.value("len(_lg.thread_id), len(_lg.run_id)") == (36, 36)
    assert notebook.value("len(_lg.history())") == 3


def test_subgraphs_and_custom_events_are_shown(notebook: Any) -> None:
    """A graph of several steps tells what its nodes did, the inner ones included."""
    seen = notebook.run("%lg run steps rain")

    assert "custom: Planned 3 sections (10%)" in seen.text
    assert seen.text.count("research/summarise:") == 3
    assert "# Rain" in seen.text


def test_an_exception_of_a_node_is_shown_with_its_own_frames(notebook: Any) -> None:
    """The cell fails with the node's error, not with frames of lgnb."""
    seen = notebook.run("%lg run agent --context model=nosuch:model hi")

    assert seen.error is not None
    assert seen.error["ename"] == "RunFailed"
    shown = "\n".join(seen.error["traceback"])
    assert "raised in node model" in shown
    assert "agent.py" in shown
    assert "lgnb/client" not in shown
    assert "lgnb/magics" not in shown
    assert notebook.value("_lg.status") == "error"
    assert notebook.run("1 + 1").text == "2"


def test_an_interrupt_is_asked_and_answered(notebook: Any) -> None:
    """The question comes with the lines that answer it, and one of them continues the run."""
    asked = notebook.run("%lg run approval Send the report")

    assert "approval · thread#1 · run#1 · waits for an answer" in asked.drawings[-2]
    line = next(line.strip() for line in asked.drawings[-2].splitlines() if '"approve"' in line)
    answered = notebook.run(line)
    assert "Sent to team" in answered.text
    assert notebook.value("_lg.values['outcome']") == "sent"


def test_a_second_answer_is_refused_in_one_line(notebook: Any) -> None:
    """Nothing is resumed twice by accident."""
    notebook.run("%lg run approval Send the report")
    notebook.run("%lg resume yes")

    seen = notebook.run("%lg resume yes")

    assert seen.error is not None
    assert seen.error["traceback"] == ["InvalidRequest: Nothing waits on thread#1; start a run with %lg run."]


def test_a_run_pauses_before_a_node_and_goes_on(notebook: Any) -> None:
    """Breakpoints work from a cell."""
    paused = notebook.run("%lg run steps rain --interrupt-before write")

    assert "paused" in paused.text.splitlines()[0]
    assert "# Rain" not in paused.text
    assert "# Rain" in notebook.run("%lg resume").text


def test_interrupting_the_kernel_cancels_the_run(notebook: Any, lgnb_server: Any) -> None:
    """The stop button ends the run on the server, keeps what came, and stops `Run All`."""
    seen = notebook.run(
        "%lg run agent --context token_delay=1 Why is the sky blue?",
        interrupt_when=lambda seen: "Sunlight" in seen.text,
        timeout=20,
    )

    assert seen.error is not None
    assert seen.error["ename"] == "KeyboardInterrupt"
    assert "cancelled" in seen.text.splitlines()[0]
    assert "Sunlight" in seen.text
    _wait_for_status(lgnb_server, notebook.value("_lg.thread_id"), "interrupted")


def test_interrupting_a_run_that_still_waits_for_its_turn_cancels_it(notebook: Any, lgnb_server: Any) -> None:
    """A run behind a busy thread is cancelled as well, and the cell says what it waited for."""
    notebook.run("%lg run agent --background --context token_delay=0.5 Why is the sky blue?")

    seen = notebook.run(
        "%lg run agent hello", interrupt_when=lambda seen: "waits for its turn" in seen.text, timeout=20
    )

    assert seen.error is not None
    assert seen.error["ename"] == "KeyboardInterrupt"
    assert "agent · thread#1 · run#2 · cancelled" in seen.text
    _wait_for_status(lgnb_server, notebook.value("_lg.thread_id"), "interrupted")
    notebook.run("%lg cancel run#1")


def test_interrupting_an_awaited_run_cancels_it_too(notebook: Any, lgnb_server: Any) -> None:
    """`await lgnb.arun` obeys the stop button, and the kernel lives on."""
    notebook.run("import lgnb\nseen = []")
    source = "await lgnb.arun('agent', 'Why is the sky blue?', context={'token_delay': 1}, on_change=show)"
    notebook.run("def show(run):\n    if run.text and not seen:\n        seen.append(run); print('it speaks')")

    seen = notebook.run(source, interrupt_when=lambda seen: "it speaks" in seen.printed, timeout=20)

    assert seen.error is not None
    assert seen.seconds < 15
    assert notebook.run("1 + 1").text == "2"
    _wait_for_status(lgnb_server, notebook.value("seen[0].thread_id"), "interrupted")


def test_a_background_run_is_waited_for_later(notebook: Any) -> None:
    """Starting returns at once; waiting replays the run from its first token."""
    started = notebook.run("%lg run agent --background --context token_delay=0.1 Why is the sky blue?")
    assert "success" not in started.text
    assert started.seconds < 2

    seen = notebook.run("%lg wait")

    assert seen.text.startswith("agent · thread#1 · run#1 · success")
    assert "Rayleigh" in seen.text


def test_a_run_that_works_can_be_looked_at_without_waiting_for_it(notebook: Any) -> None:
    """What it said so far, what its nodes do, and its events: at once, even while it goes on speaking."""
    notebook.run("%lg run agent --background --context token_delay=0.2 Why is the sky blue?")
    deadline = time.monotonic() + 20
    while "Sunlight holds" not in (seen := notebook.run("%lg result")).text:
        assert time.monotonic() < deadline, seen.text

    assert "running: model (superstep 1)" in seen.text
    assert ["1", "model"] in [line.split()[:2] for line in notebook.run("%lg trace").text.splitlines()]
    assert notebook.run("%lg logs").text.splitlines()[-1].endswith("model speaks")
    assert notebook.value("_lg.refresh() or _lg.status") == "running"
    notebook.run("%lg cancel")


def test_without_a_live_front_end_there_is_one_deterministic_output(
    lgnb_server: Any, open_notebook: Callable[..., Any]
) -> None:
    """`LGNB_LIVE=0` makes two executions of a notebook equal, byte by byte."""
    cells = ["%load_ext lgnb", "%lg", "%lg run agent Why is the sky blue?", "%lg history", "%lg state", "%lg runs"]
    environment = {"LGNB_URL": lgnb_server.url, "LGNB_API_KEY": lgnb_server.api_key, "LGNB_LIVE": "0"}

    first, second = (
        [[(kind, content.get("data")) for _, kind, content in notebook.run(cell).outputs] for cell in cells]
        for notebook in (open_notebook(**environment), open_notebook(**environment))
    )

    assert first == second
    assert [len(outputs) for outputs in first] == [0, 1, 1, 1, 1, 1]


def _wait_for_status(server: Any, thread_id: str, status: str) -> None:
    deadline, found = time.monotonic() + 10, ""
    while found != status:
        assert time.monotonic() < deadline, f"the run is {found}, not {status}"
        answer = httpx.get(f"{server.url}/threads/{thread_id}/runs", headers={"x-api-key": server.api_key})
        found = answer.json()[0]["status"]
        time.sleep(0.05)
