"""Executes the tutorials as they are committed: on a server of their own, with the outputs that `LGNB_LIVE=0` gives.

python tests/tools/execute_notebooks.py                     # all of them
python tests/tools/execute_notebooks.py notebooks/03-*.ipynb
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import nbformat
from nbclient import NotebookClient
from psutil import process_iter

from lgnb.client.headless import start_private_server

ROOT = Path(__file__).parents[2]
NOTEBOOKS = ROOT / "notebooks"
CELL_SECONDS = 120


@contextmanager
def tutorial_server(data_dir: Path, runtime_dir: Path) -> Iterator[Mapping[str, str]]:
    """A server with the graphs of the tutorials; gives the variables by which a kernel finds it."""
    os.environ["LGNB_DATA_DIR"] = str(data_dir)
    server = start_private_server(directory=NOTEBOOKS, runtime_dir=runtime_dir)
    try:
        yield {"LGNB_URL": server.url, "LGNB_API_KEY": server.api_key or "", "LGNB_LIVE": "0"}
    finally:
        assert server.pid is not None
        os.kill(server.pid, signal.SIGTERM)
        # The server takes its Postgres and Valkey along, whose directory is deleted next.
        while any(str(data_dir) in " ".join(process.info["cmdline"] or []) for process in process_iter(["cmdline"])):
            time.sleep(0.1)


def execute(path: Path) -> None:
    """Execute a notebook in its folder and save it without what differs from one machine to the next."""
    notebook = nbformat.read(path, as_version=4)
    NotebookClient(notebook, timeout=CELL_SECONDS, resources={"metadata": {"path": str(path.parent)}}).execute()
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)
    notebook.metadata["language_info"] = {"name": "python"}
    nbformat.write(notebook, path)


def main(names: list[str]) -> None:
    paths: list[Any] = [Path(name) for name in names] or sorted(NOTEBOOKS.glob("*.ipynb"))
    with TemporaryDirectory(prefix="lgnb-") as directory:
        home = Path(directory)
        home.chmod(0o711)  # as root, the embedded Postgres runs as another user
        with tutorial_server(home / "data", home) as variables:
            os.environ |= variables
            for path in paths:
                execute(path.resolve())
                sys.stdout.write(f"{path.name}\n")


if __name__ == "__main__":
    main(sys.argv[1:])
