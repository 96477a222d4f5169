"""A run in a terminal: nothing written twice, nothing lost."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lgnb.client.runs import Run
from lgnb.client.session import Session
from lgnb.magics.terminal import TerminalOutput

_RECORDED = Path(__file__).parents[1] / "client" / "recorded"


@pytest.mark.parametrize("name", ["agent", "tool", "steps", "approval", "two", "nested", "fail"])
def test_what_is_written_piece_by_piece_is_the_whole_text(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    run = Run(Session(), assistant="agent", assistant_id="a", thread_id="t", run_id="r")
    output, pieces = TerminalOutput(run.session.aliases), [""]
    for event, data in json.loads((_RECORDED / f"{name}.json").read_text()):
        run.view.feed(event, data)
        output.changed(run)
        pieces.append(pieces[-1] + capsys.readouterr().out)
    run.view.finish("error" if name == "fail" else "success")
    output.close()
    written = pieces[-1] + capsys.readouterr().out

    header, _, text = repr(run).partition("\n")
    assert written == f"{text}\n{header}\n"


def test_tokens_are_written_as_they_come(capsys: pytest.CaptureFixture[str]) -> None:
    run = Run(Session(), assistant="agent", assistant_id="a", thread_id="t", run_id="r")
    output = TerminalOutput(run.session.aliases)
    written: list[str] = []
    for token in ("One ", "two ", "three"):
        run.view.feed("messages", [{"type": "AIMessageChunk", "content": token, "id": "m"}, {}])
        output.changed(run)
        written.append(capsys.readouterr().out)

    assert written == ["One", " two", " three"]
