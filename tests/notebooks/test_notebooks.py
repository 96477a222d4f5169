"""Executes every notebook on a private server with data of its own, and compares the outputs with the saved ones."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import nbformat
import psutil
import pytest

_ROOT = Path(__file__).parents[2]
_NOTEBOOKS = sorted((_ROOT / "notebooks").glob("*.ipynb"))

_each_notebook = pytest.mark.parametrize("notebook", _NOTEBOOKS, ids=lambda path: path.stem)


def test_there_is_a_quickstart() -> None:
    assert "01-quickstart.ipynb" in [notebook.name for notebook in _NOTEBOOKS]


@_each_notebook
@pytest.mark.timeout(420)
def test_executing_a_notebook_gives_what_it_shows(notebook: Path, data_dir: Path) -> None:
    command = [
        *(sys.executable, "-m", "pytest", str(notebook)),
        *("--nbval", "--nbval-current-env", "--nbval-cell-timeout=60"),
        f"--nbval-sanitize-with={Path(__file__).with_name('nbval.cfg')}",
        *("-p", "no:randomly", "-p", "no:cacheprovider", "--override-ini=filterwarnings=default"),
    ]
    environment = os.environ | {"LGNB_LIVE": "0", "LGNB_DATA_DIR": str(data_dir)}

    done = subprocess.run(command, cwd=_ROOT, env=environment, capture_output=True, text=True, timeout=400, check=False)

    assert done.returncode == 0, done.stdout + done.stderr
    _wait_until_nothing_uses(data_dir)


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
