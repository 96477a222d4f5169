"""The magic in a real InteractiveShell, as far as it needs no server."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from IPython.core.error import UsageError
from IPython.core.interactiveshell import InteractiveShell

from lgnb.client.session import Session, replace_session
from lgnb.errors import ConnectError, InvalidRequest, RunFailed
from lgnb.magics.magic import _tell_in_one_line


@pytest.fixture
def shell(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[InteractiveShell]:
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path))
    monkeypatch.delenv("LGNB_API_KEY", raising=False)
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        monkeypatch.setenv("LGNB_URL", f"http://127.0.0.1:{closed.getsockname()[1]}/lgnb")
        shell = InteractiveShell()
        shell.history_manager.enabled = False  # pyright: ignore[reportOptionalMemberAccess]
        session = Session()
        previous = replace_session(session)
        shell.run_line_magic("load_ext", "lgnb")
        yield shell
        shell.run_line_magic("unload_ext", "lgnb")
        replace_session(previous)


def test_loading_registers_both_forms_and_unloading_takes_them_away(shell: InteractiveShell) -> None:
    assert "lg" in shell.magics_manager.magics["line"]
    assert "lg" in shell.magics_manager.magics["cell"]

    shell.run_line_magic("unload_ext", "lgnb")

    assert "lg" not in shell.magics_manager.magics["line"]
    shell.run_line_magic("load_ext", "lgnb")


def test_help_lists_every_subcommand_and_explains_one(shell: InteractiveShell) -> None:
    assert "%lg run ASSISTANT [TEXT]" in repr(shell.run_line_magic("lg", "help"))
    assert "--interrupt-before" in repr(shell.run_line_magic("lg", "help run"))
    docstring: Any = shell.magics_manager.magics["line"]["lg"].__doc__
    assert "%lg history" in docstring


def test_a_mistake_is_a_usage_error(shell: InteractiveShell) -> None:
    with pytest.raises(UsageError, match="did you mean %lg run"):
        shell.run_line_magic("lg", "rnu agent hi")
    with pytest.raises(UsageError, match="takes no body"):
        shell.run_cell_magic("lg", "status", "body")
    with pytest.raises(UsageError, match="%lg assistant NAME"):
        shell.run_line_magic("lg", "assistant")
    with pytest.raises(InvalidRequest, match="no run in this notebook"):
        shell.run_line_magic("lg", "wait")


def test_a_server_that_is_not_there_is_one_line(shell: InteractiveShell) -> None:
    with pytest.raises(ConnectError) as caught:
        shell.run_line_magic("lg", "threads")

    lines: list[str] = caught.value._render_traceback_()  # type: ignore[attr-defined]
    assert len(lines) == 1
    assert "does not answer" in lines[0]


def test_status_says_what_was_looked_at_even_without_a_server(shell: InteractiveShell) -> None:
    shown = repr(shell.run_line_magic("lg", "-v"))

    assert "does not answer" in shown
    assert "looked at LGNB_URL" in shown


def test_a_failed_run_shows_the_frames_of_its_node_and_none_of_ours() -> None:
    error = RunFailed("ValueError", "no", traceback='File "graph.py", line 3, in step\nValueError: no', node="step")

    _tell_in_one_line(error)

    lines: list[str] = error._render_traceback_()  # type: ignore[attr-defined]
    assert lines == ['File "graph.py", line 3, in step\nValueError: no (raised in node step)']


def test_braces_and_dollars_of_a_text_are_not_filled_in(shell: InteractiveShell) -> None:
    shell.push({"x": "EXPANDED"})

    with pytest.raises(UsageError, match=r"'\{x\}' is too much"):
        shell.run_line_magic("lg", "state a {x}")
