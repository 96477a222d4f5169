"""The forms of a run: plain, Markdown, HTML."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from lgnb.client.render import brief, run_bundle, run_html, run_markdown, run_plain, suggestions
from lgnb.client.run_view import Interrupt, RunView
from lgnb.client.runs import Run
from lgnb.client.session import Session

_RECORDED = Path(__file__).with_name("recorded")
_THREAD = "01a1f9d8-6124-70a8-89c4-ae185bf415ad"
_RUN = "01a1f9d8-6127-72df-9359-babcb1c3cc19"


def _run(name: str | None = None, *, status: str = "success", parts: tuple[tuple[str, Any], ...] = ()) -> Run:
    run = Run(Session(), assistant="agent", assistant_id="a", thread_id=_THREAD, run_id=_RUN)
    recorded = json.loads((_RECORDED / f"{name}.json").read_text()) if name else []
    for event, data in [*recorded, *parts]:
        run.view.feed(event, data)
    run.view.finish(status)
    return run


def _plain(run: Run) -> str:
    return run_plain(run, run.session.aliases)


def test_a_chat_with_a_tool_reads_from_top_to_bottom() -> None:
    assert _plain(_run("tool")) == "\n".join(
        [
            "agent · thread#1 · run#1 · success",
            '  tool: weather(city="Paris") → sunny in Paris',
            "The tool says: **sunny in Paris**.",
        ]
    )


def test_the_markdown_form_keeps_the_words_of_the_model() -> None:
    run = _run("tool")

    assert run_markdown(run, run.session.aliases).split("\n\n") == [
        "**agent** · thread#1 · run#1 · success",
        '> tool: `weather(city="Paris") → sunny in Paris`',
        "The tool says: **sunny in Paris**.",
    ]


def test_the_html_form_renders_the_markdown_of_the_model() -> None:
    run = _run("tool")

    assert "<p>The tool says: <strong>sunny in Paris</strong>.</p>" in run_html(run, run.session.aliases)


def test_html_from_a_model_stays_text() -> None:
    hostile = (
        '<script>alert(1)</script>\n\nhi <img src=x onerror="x()">\n\n[a](javascript:alert(1)) ![i](http://t/x.png)'
    )
    message = {"type": "ai", "content": hostile, "id": "m"}
    tool = {"type": "tool", "content": "<b onclick=x>", "tool_call_id": "c", "name": "<i>", "id": "t"}
    parts = (
        ("updates", {"<u>": {"messages": [message, tool], "x": "<s>"}}),
        ("error", {"error": "<E>", "message": "<m>"}),
    )
    run = _run(parts=parts, status="error")

    shown = run_html(run, run.session.aliases)

    tags = {tag.lower() for tag in re.findall(r"<\s*/?\s*([A-Za-z]+)", shown)}
    assert tags <= {"div", "p", "strong", "span", "code", "pre", "a"}
    assert "javascript:" not in shown
    assert '<a href="http://t/x.png">i</a>' in shown
    assert not re.search(r"<[^>]*\son\w+\s*=", shown)


def test_saved_forms_hold_no_ids_and_no_times(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LGNB_LIVE", "0")
    for name in ("agent", "tool", "steps", "approval", "two", "nested"):
        run = _run(name)
        for form in run_bundle(run, run.session.aliases).values():
            assert _THREAD not in form
            assert _RUN not in form
            assert not re.search(r"\d\.\d s|[0-9a-f]{32}", form)


def test_a_live_front_end_sees_the_elapsed_time_and_the_thread_id(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LGNB_LIVE", "1")
    run = _run("agent")
    run.ended = run.started + 3.21

    shown = run_html(run, run.session.aliases)

    assert "3.2 s" in shown
    assert _THREAD in shown


def test_while_it_works_the_header_names_node_and_superstep() -> None:
    run = Run(Session(), assistant="agent", assistant_id="a", thread_id=_THREAD)
    run.view.feed("metadata", {"run_id": _RUN, "attempt": 1})
    run.view.feed("tasks", {"id": "1", "name": "plan", "triggers": []})

    assert _plain(run).endswith("running: plan (superstep 1)")


def test_a_question_comes_with_the_line_that_answers_it() -> None:
    assert _plain(_run("approval")).splitlines() == [
        "agent · thread#1 · run#1 · waits for an answer",
        "ask asks:",
        "  question: Send this?",
        "  request: x",
        "  Answer with",
        "  %lg resume VALUE",
    ]


def test_several_questions_are_numbered() -> None:
    shown = _plain(_run("two"))

    assert "%lg resume --id 1 VALUE" in shown
    assert "%lg resume --id 2 VALUE" in shown


def test_a_request_for_approval_is_summarised_and_answered_in_its_own_form() -> None:
    request = {"name": "send", "args": {"to": "team"}, "description": "Send it?"}
    value = {"action_requests": [request], "review_configs": [{"allowed_decisions": ["approve", "edit"]}]}
    run = _run(parts=(("updates", {"__interrupt__": [{"id": "i", "value": value}]}),))

    assert _plain(run).splitlines()[1:] == [
        "The graph asks for approval:",
        "  send: Send it?",
        "    to: team",
        "  Answer with",
        '  %lg resume {"decisions": [{"type": "approve"}]}',
    ]


def test_a_question_with_options_offers_each() -> None:
    assert suggestions({"question": "?", "options": ["left", "right"]}) == ["left", "right"]


def test_a_pause_says_how_to_go_on() -> None:
    assert _plain(_run("before")).splitlines()[-1] == "  %lg resume"


def test_an_error_shows_the_frames_of_the_node_unless_they_are_raised() -> None:
    error = {"error": "ValueError", "message": "no", "traceback": 'File "g.py", line 3, in step\n    raise'}
    run = _run(parts=(("error", error),), status="error")

    assert 'File "g.py", line 3' in _plain(run)
    run.is_raised = True
    assert _plain(run).splitlines()[-1] == "ValueError: no"


def test_a_mode_narrows_what_is_shown() -> None:
    run = _run("steps")
    run.show = "custom"
    assert _plain(run).splitlines()[1:] == [f'  custom: {{"at": {n}}}' for n in (1, 2, 3, 4)]
    run.show = "values"
    assert '"step 4"' in _plain(run)
    run.show = "messages"
    assert _plain(run).count("\n") == 0


def test_progress_events_read_as_sentences() -> None:
    run = _run(parts=(("custom", {"text": "Planned", "progress": 0.1}), ("custom|sub:1", {"x": 1})))

    assert _plain(run).splitlines()[1:] == ["  custom: Planned (10%)", '  sub: {"x": 1}']


def test_many_custom_events_are_cut_to_the_last_ones() -> None:
    run = _run(parts=tuple(("custom", n) for n in range(500)))

    lines = _plain(run).splitlines()
    assert lines[1] == "  480 earlier custom events are not shown"
    assert (len(lines), lines[-1]) == (22, "  custom: 499")


def test_long_values_are_cut() -> None:
    assert brief("x" * 100, 10) == '"xxxxxxxx…'
    assert brief([{"content": "a", "type": "ai"}]) == "1 message"


def test_an_interrupt_of_text_reads_as_text() -> None:
    from lgnb.client.render import question

    assert question(Interrupt("i", "really?", "ask")) == "ask asks: really?"


def test_the_view_of_a_run_that_never_started_says_so() -> None:
    run = Run(Session(), assistant="agent", assistant_id="a", thread_id=_THREAD)
    run.view = RunView()

    assert _plain(run) == "agent · thread#1 · starting"
