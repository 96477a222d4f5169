"""Executes every notebook and compares the outputs with the saved ones.

The quickstart has a private server with data of its own, as a kernel without any gets one. The other tutorials share a
server, one after another, since each leaves it as it found it.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import nbformat
import psutil
import pytest

from lgnb.client.headless import start_private_server

_ROOT = Path(__file__).parents[2]
_NOTEBOOKS = sorted((_ROOT / "notebooks").glob("*.ipynb"))

_QUICKSTART, *_TUTORIALS = _NOTEBOOKS

# More than once shows that a tutorial leaves nothing behind that the next reader of the server would meet.
_PASSES = range(int(os.environ.get("LGNB_TEST_NOTEBOOK_PASSES", "1")))

_each_notebook = pytest.mark.parametrize("notebook", _NOTEBOOKS, ids=lambda path: path.stem)
_each_tutorial = pytest.mark.parametrize("notebook", _TUTORIALS, ids=lambda path: path.stem)


@pytest.fixture(scope="module")
def server_of_tutorials(make_data_dir: Callable[[], Path]) -> Iterator[dict[str, str]]:
    """A server with the graphs of the tutorials: the variables by which a kernel finds it."""
    home = make_data_dir()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LGNB_DATA_DIR", str(home / "data"))
        server = start_private_server(directory=_ROOT / "notebooks", runtime_dir=home)
    yield {"LGNB_URL": server.url, "LGNB_API_KEY": server.api_key or ""}
    assert server.pid is not None
    os.kill(server.pid, signal.SIGTERM)
    _wait_until_nothing_uses(home)


def test_there_is_a_quickstart_and_each_tutorial_has_a_number() -> None:
    assert _QUICKSTART.name == "01-quickstart.ipynb"
    assert all(re.match(r"\d\d-[a-z-]+\.ipynb", notebook.name) for notebook in _NOTEBOOKS)


@pytest.mark.timeout(420)
def test_executing_the_quickstart_gives_what_it_shows(data_dir: Path) -> None:
    _compare(_QUICKSTART, {"LGNB_DATA_DIR": str(data_dir)})
    _wait_until_nothing_uses(data_dir)


@_each_tutorial
@pytest.mark.parametrize("_number", _PASSES)
@pytest.mark.timeout(420)
def test_executing_a_tutorial_gives_what_it_shows(
    notebook: Path, server_of_tutorials: dict[str, str], _number: int
) -> None:
    _compare(notebook, server_of_tutorials)


@_each_notebook
def test_a_notebook_is_saved_as_executed_once_from_top_to_bottom(notebook: Path) -> None:
    cells = [cell for cell in nbformat.read(notebook, as_version=4).cells if cell.cell_type == "code"]

    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))


@_each_notebook
def test_no_output_names_a_path_or_port_of_the_machine_that_made_it(notebook: Path) -> None:
    cells = nbformat.read(notebook, as_version=4).cells
    text = json.dumps([cell.outputs for cell in cells if cell.cell_type == "code"])

    found = re.findall(r"(?<![\w.-])/(?:home|root|Users|work|tmp)/\S*|(?:localhost|127\.0\.0\.1):\d+", text)
    assert found == []


def _compare(notebook: Path, variables: dict[str, str]) -> None:
    """Execute a notebook in a kernel with these variables; every output must be the saved one."""
    command = [
        *(sys.executable, "-m", "pytest", str(notebook)),
        *("--nbval", "--nbval-current-env", "--nbval-cell-timeout=60"),
        f"--nbval-sanitize-with={Path(__file__).with_name('nbval.cfg')}",
        # Only what compares: the options and plugins of this run are not meant for it, and cost a start of seconds.
        *("-p", "nbval.plugin", "-p", "no:cacheprovider", "-c", os.devnull, f"--rootdir={_ROOT}"),
    ]
    inner = {"LGNB_LIVE": "0", "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTEST_ADDOPTS": ""}
    environment = os.environ | inner | variables

    done = subprocess.run(command, cwd=_ROOT, env=environment, capture_output=True, text=True, timeout=400, check=False)

    assert done.returncode == 0, done.stdout + done.stderr


def _wait_until_nothing_uses(data_dir: Path) -> None:
    """The private server of a notebook ends with its kernel, and so do its worker, Postgres and Valkey."""
    deadline = time.monotonic() + 45
    while left := _users(data_dir):
        assert time.monotonic() < deadline, f"still running: {left}"
        time.sleep(0.2)


def _users(data_dir: Path) -> list[str]:
    found: list[str] = []
    for process in psutil.process_iter(["cmdline", "environ", "status"]):
        info = process.info
        if info["status"] == psutil.STATUS_ZOMBIE:
            continue
        command = " ".join(info["cmdline"] or [])
        if str(data_dir) in command or (info["environ"] or {}).get("LGNB_DATA_DIR") == str(data_dir):
            found.append(f"{process.pid} {command[:120]}")
    return found
