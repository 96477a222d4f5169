"""Looking around from a notebook: status, threads, history, state, the same from Python."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil


def test_status_names_the_server_and_its_assistants(notebook: Any) -> None:
    """The first command says where this notebook stands."""
    shown = notebook.run("%lg").text

    assert "named by LGNB_URL" in shown
    for name in ("agent", "approval", "steps"):
        assert name in shown


def test_the_key_never_shows(notebook: Any, lgnb_server: Any) -> None:
    """No repr, status or error of the client holds the key."""
    shown = notebook.run("%lg -v").text
    shown += notebook.run("from lgnb.client.session import current_session; current_session().connection()").text

    assert lgnb_server.api_key not in shown


def test_history_and_state_of_the_current_thread(notebook: Any) -> None:
    """Checkpoints are listed newest first; the state reads as a conversation."""
    notebook.run("%lg run agent hello")

    history = notebook.run("%lg history").text.splitlines()
    state = notebook.run("%lg state").text
    assert history[0] == "thread#1"
    assert [line.split()[:2] for line in history[2:]] == [["0", "1"], ["1", "0"], ["2", "-1"]]
    assert "human: hello" in state
    assert "ai: Hello!" in state


def test_threads_are_chosen_copied_and_deleted(notebook: Any) -> None:
    """A copy holds the conversation; the original can go."""
    notebook.run("%lg run agent My name is Ada")

    assert "Copied" in notebook.run("%lg thread copy").printed
    assert "thread#2" in notebook.run("%lg run agent What is my name?").text.splitlines()[0]
    assert "Ada" in notebook.value("_lg.text")
    assert "Deleted thread#1" in notebook.run("%lg thread delete thread#1").printed
    assert notebook.run("%lg state thread#1").error["ename"] == "NotFound"


def test_the_same_from_python(notebook: Any) -> None:
    """Everything a magic does is a function."""
    notebook.run("import lgnb")

    assert notebook.value("lgnb.run('agent', 'What is 2 + 3?').text") == "2 + 3 = 5"
    assert notebook.value("lgnb.threads.history().to_frame().shape[0]") > 3
    assert notebook.value("lgnb.threads.state().values['messages'][0]['content']") == "What is 2 + 3?"
    assert notebook.run("r = await lgnb.arun('agent', 'hello', thread='new'); r.status").text == "'success'"
    found = notebook.run("c = lgnb.client(); len(await c.assistants.search(graph_id='agent'))")
    assert int(found.text) >= 1


def test_the_drawing_of_a_graph(notebook: Any) -> None:
    """A graph is drawn as text and as Mermaid, with nothing fetched."""
    seen = notebook.run("%lg graph agent")

    assert "start → model" in seen.text
    assert "graph TD" in seen.outputs[-1][2]["data"]["text/markdown"]


def test_completion_offers_assistants_and_threads(notebook: Any) -> None:
    """Tab knows what the server has."""
    notebook.run("%lg run agent hello")

    assert "agent" in _completed(notebook, "%lg run ag")
    assert "thread#1" in _completed(notebook, "%lg history thr")
    assert "--thread" in _completed(notebook, "%lg run agent --th")


def test_a_wrong_key_says_what_to_set(lgnb_server: Any, open_notebook: Callable[..., Any]) -> None:
    """One line, no frames."""
    notebook = open_notebook(LGNB_URL=lgnb_server.url, LGNB_API_KEY="wrong")
    notebook.run("%load_ext lgnb")

    seen = notebook.run("%lg threads")

    assert seen.error["ename"] == "ConnectError"
    assert len(seen.error["traceback"]) == 1
    assert "LGNB_API_KEY" in seen.error["evalue"]


def test_a_kernel_without_a_server_starts_its_own_and_takes_it_along(
    open_notebook: Callable[..., Any], data_dir: Path, tmp_path: Path
) -> None:
    """VS Code, nbclient, a plain shell: the first command starts a private server that ends with the kernel."""
    notebook = open_notebook(
        LGNB_URL="", LGNB_API_KEY="", LGNB_DATA_DIR=str(data_dir), JUPYTER_RUNTIME_DIR=str(tmp_path), LGNB_LIVE="1"
    )
    notebook.run("%load_ext lgnb")

    seen = notebook.run("%lg run agent hello", timeout=90)

    assert "starting a private one" in seen.printed
    assert "Hello!" in seen.text
    notebook.close()
    deadline = time.monotonic() + 45
    while _uses(data_dir):
        assert time.monotonic() < deadline, f"still running: {_uses(data_dir)}"
        time.sleep(0.2)


def _completed(notebook: Any, code: str) -> list[str]:
    return notebook.client.complete(code, reply=True, timeout=10)["content"]["matches"]


def _uses(data_dir: Path) -> list[str]:
    found: list[str] = []
    for process in psutil.process_iter(["cmdline", "environ", "status"]):
        info = process.info
        if process.pid == os.getpid() or info["status"] == psutil.STATUS_ZOMBIE:
            continue
        command = " ".join(info["cmdline"] or [])
        if str(data_dir) in command or (info["environ"] or {}).get("LGNB_DATA_DIR") == str(data_dir):
            found.append(f"{process.pid} {command[:120]}")
    return found
