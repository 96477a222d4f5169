"""The commands besides run and the looking around: assistants, time travel, memory, schedules, and their mistakes."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest


def _lines(notebook: Any, cell: str) -> list[str]:
    seen = notebook.run(cell)
    assert seen.error is None, seen.error
    return seen.text.splitlines() or seen.printed.splitlines()


def test_an_assistant_is_made_edited_and_taken_back_to_an_older_version(notebook: Any) -> None:
    """Every edit is a version; the starred one is what every client gets."""
    name = f"slow-{time.monotonic_ns()}"
    created = _lines(notebook, f"%lg assistant create {name} --graph agent --context token_delay=0.01")
    edited = _lines(notebook, f'%lg assistant edit {name} --context token_delay=0 --description "A quick one"')

    assert created[2].split()[:2] == ["*", "1"]
    assert [line.split()[:2] for line in edited[2:]] == [["*", "2"], ["1", name]]
    assert "A quick one" in edited[2]
    assert "version 1" in _lines(notebook, f"%lg assistant use {name} --version 1")[0]
    assert _lines(notebook, "%lg run hello")[0].startswith(f"{name} · thread#1")
    assert _lines(notebook, f"%lg assistant versions {name}")[3].split()[:2] == ["*", "1"]

    _lines(notebook, f"%lg assistant delete {name}")
    assert notebook.run(f"%lg assistant use {name}").error["ename"] == "AssistantNotFound"


def test_a_fork_branches_and_a_resume_takes_its_step_again(notebook: Any) -> None:
    """The other branch stays in the history, which then says what came from where."""
    _lines(notebook, "%lg run agent My name is Ada")
    _lines(notebook, "%lg run agent What is 6 * 7?")

    assert _lines(notebook, "%lg fork 3")[2].split() == ["next", "model"]
    assert "6 * 7 = 42" in _lines(notebook, "%lg resume")[-1]

    history = _lines(notebook, "%lg history")
    assert history[1].split()[:3] == ["#", "after", "step"]
    assert [line.split()[3] for line in history[2:6]] == ["loop", "loop", "loop", "fork"]
    assert notebook.value("len(_lg.messages)") == 6


def test_two_checkpoints_are_compared(notebook: Any) -> None:
    """Messages that came are told one by one, and what would run next."""
    _lines(notebook, "%lg run agent hello")

    assert _lines(notebook, "%lg diff 1") == [
        "checkpoint 1 → checkpoint 0",
        "+ messages: ai: Hello! Ask me anything, such as `17 * 23`, or what a checkpoint is.",
        "- next: model",
        "+ next: end",
    ]
    assert _lines(notebook, "%lg diff 0 0") == ["checkpoint 0 → checkpoint 0: nothing changed"]


def test_the_state_is_edited_as_a_node_and_at_an_older_checkpoint(notebook: Any) -> None:
    """The object may be JSON on the line or YAML in the body."""
    _lines(notebook, '%lg run steps {"topic": "rain"} --interrupt-before write')

    edited = _lines(notebook, '%lg update {"topic": "snow"} --as-node research')
    assert "snow" in "\n".join(edited)
    assert "# Snow" in "\n".join(_lines(notebook, "%lg resume"))

    branched = _lines(notebook, "%%lg update --at 0 --as-node write\ntopic: hail\n")
    assert branched[2].split() == ["next", "end"]
    assert any(line.split() == ["topic", '"hail"'] for line in branched)


def test_a_thread_is_exported_with_its_runs_and_checkpoints(notebook: Any, tmp_path: Path) -> None:
    """The file holds all that the server knows; an older file is not overwritten."""
    _lines(notebook, "%lg run agent hello")
    file = tmp_path / "thread.json"

    assert "Wrote the thread" in _lines(notebook, f"%lg thread export thread#1 {file}")[0]

    exported = json.loads(file.read_text())
    assert exported["thread"]["thread_id"] == notebook.value("_lg.thread_id")
    assert [run["status"] for run in exported["runs"]] == ["success"]
    assert len(exported["history"]) == 3
    assert "already" in _complaint(notebook, f"%lg thread export thread#1 {file}")


def test_a_trace_tells_nodes_in_order_also_those_of_subgraphs(notebook: Any) -> None:
    """Rows of a subgraph count their supersteps inside the one of their node."""
    _lines(notebook, "%lg run steps rain")

    trace = [line.split()[:2] for line in _lines(notebook, "%lg trace")[2:]]

    assert trace[0] == ["1", "plan"]
    assert trace[1:4] == [["2", "research"]] * 3
    assert [row for row in trace if row[1] == "research/gather"] == [["2.1", "research/gather"]] * 3
    assert trace[-1] == ["3", "write"]
    notebook.run("import lgnb")
    assert notebook.value("bool(lgnb.runs.trace().to_frame()['seconds'].max() > 0.1)")
    log = _lines(notebook, "%lg logs")
    assert log[1].split(maxsplit=1)[1] == "attempt 1 begins"
    assert any("plan ends: outline=" in line for line in log)


def test_the_frame_of_runs_has_the_seconds_of_each_node(notebook: Any) -> None:
    """Also when the events of the runs are gone: checkpoints tell it."""
    notebook.run("import lgnb")
    notebook.run("lgnb.run('agent', 'What is 6 * 7?')")
    notebook.run("frame = lgnb.runs.list().to_frame()")

    assert notebook.value("sorted(c for c in frame if c.startswith('seconds'))") == [
        "seconds",
        "seconds.model",
        "seconds.tools",
    ]
    assert notebook.value("bool(frame['seconds'][0] > frame['seconds.model'][0] > 0)")
    assert notebook.value("str(frame['created_at'].dtype)").startswith("datetime64")


def test_items_are_stored_searched_and_deleted(notebook: Any) -> None:
    """Namespaces are written with slashes, values as JSON or YAML."""
    _lines(notebook, '%lg store put shop/fruit apple {"price": 2}')
    _lines(notebook, "%%lg store put shop/fruit pear\nprice: 3\n")

    assert ["shop/fruit", "pear", "price:", "3"] in [
        line.split()[:4] for line in _lines(notebook, "%lg store search shop --filter price=3")
    ]
    assert "shop/fruit" in _lines(notebook, "%lg store ls shop")
    assert _lines(notebook, "%lg store get shop/fruit apple")[-1].split() == ["price", "2"]
    _lines(notebook, "%lg store delete shop/fruit apple")
    _lines(notebook, "%lg store delete shop/fruit pear")
    assert "Nothing is stored as shop/fruit/apple" in _complaint(notebook, "%lg store get shop/fruit apple")


def test_a_cron_is_made_paused_resumed_and_deleted(notebook: Any) -> None:
    """It is listed with its schedule in words."""
    created = _lines(notebook, '%lg cron create agent "0 9 * * 1-5" Good morning --timezone Europe/Berlin')
    [row] = [line for line in created if line.startswith("cron#1 ")]
    assert "At 09:00 on Monday through Friday" in row
    assert "Good morning" in row

    _lines(notebook, "%lg cron pause cron#1")
    assert "paused" in next(line for line in _lines(notebook, "%lg crons") if line.startswith("cron#1 "))
    _lines(notebook, "%lg cron resume cron#1")
    assert "paused" not in next(line for line in _lines(notebook, "%lg crons") if line.startswith("cron#1 "))
    _lines(notebook, "%lg cron delete cron#1")
    assert not [line for line in _lines(notebook, "%lg crons") if line.startswith("cron#1 ")]


def test_what_waits_for_a_person_is_listed_with_the_line_that_answers(notebook: Any) -> None:
    """The line can be typed as it stands."""
    _lines(notebook, "%lg run approval Send the report")
    _lines(notebook, "%lg thread new")

    row = next(line for line in _lines(notebook, "%lg interrupts") if line.startswith("thread#1 "))
    answered = _lines(notebook, row[row.index("%lg resume") :])

    assert "approval · thread#1 · run#2 · success" in answered[0]


def test_a_thread_whose_run_was_cancelled_waits_for_nobody(notebook: Any) -> None:
    """It is called interrupted as well, but only a pause or a question is listed."""
    assert "paused" in _lines(notebook, "%lg run steps rain --interrupt-before write")[0]
    _lines(notebook, "%lg thread new")
    cancelled = notebook.run(
        "%lg run steps --context token_delay=0.5 rain", interrupt_when=lambda seen: "plan" in seen.text
    )
    assert "thread#2 · run#2 · cancelled" in cancelled.text

    deadline = time.monotonic() + 20
    while "interrupted" not in next(line for line in _lines(notebook, "%lg threads") if "thread#2 " in line):
        assert time.monotonic() < deadline
    waiting = [line.split()[0] for line in _lines(notebook, "%lg interrupts")]

    assert "thread#1" in waiting
    assert "thread#2" not in waiting


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("fork", "%lg fork N"),
        ("fork 7", "numbers 0 to 2"),
        ("fork abc", "is no checkpoint"),
        ("update", '%lg update {"topic"'),
        ("update nonsense", "a text, not an object"),
        ("cron", "create, delete, pause, resume"),
        ("cron create agent 0 9 * * *", "in quotes"),
        ("cron delete cron#9", "%lg crons lists them"),
        ("store put users ada tea", "not an object"),
        ("assistant create agent --graph agent", "%lg assistant edit agent"),
        ("assistant create new --graph nosuch", "agent, approval, "),
        ("assistant edit agent", "--context KEY=VALUE"),
        ("assistant verions", "did you mean %lg assistant versions"),
        ("thread nosuch", "%lg threads lists them"),
        ("state --at 99", "%lg history lists them"),
        ("run agnet hi", "did you mean agent"),
        ("runs --limit many", "a number from 1 to 1000"),
    ],
)
def test_a_mistake_is_one_line_that_says_the_fix(notebook: Any, line: str, words: str) -> None:
    """Whatever was wrong: what happened, and what to type instead."""
    notebook.run("%lg run agent --context token_delay=0 hello")

    complaint = _complaint(notebook, f"%lg {line}")

    assert words in complaint
    assert len(complaint.splitlines()) == 1


def test_an_error_of_the_server_speaks_of_aliases(notebook: Any) -> None:
    """Nobody has to compare ids of 36 characters."""
    notebook.run("%lg run agent --background --context token_delay=0.5 Why is the sky blue?")

    complaint = _complaint(notebook, "%lg run agent --strategy reject hello")

    assert "thread#1 is busy with run#1" in complaint
    assert "another strategy" in complaint
    notebook.run("%lg cancel run#1")


def test_every_function_is_awaited_without_patching_the_loop(notebook: Any) -> None:
    """In a cell whose loop runs already, with other work going on meanwhile."""
    notebook.run("import asyncio, lgnb")
    source = (
        "started = [await lgnb.astart('agent', f'What is {n} * {n}?', thread='new') for n in (2, 3)]\n"
        "done = await asyncio.gather(*started)\n"
        "history = await lgnb.threads.ahistory()\n"
        "print([run.text for run in done], len(history))"
    )

    assert notebook.run(source).printed.strip() == "['2 * 2 = 4', '3 * 3 = 9'] 5"


def _complaint(notebook: Any, cell: str) -> str:
    """The one thing a person reads of a mistake: IPython prints a UsageError, other errors have a traceback."""
    seen = notebook.run(cell)
    if seen.error is not None:
        return "\n".join(seen.error["traceback"])
    return seen.printed.strip()
