"""The scripts of binder/ in a clean directory and an environment of its own, as Binder runs them.

In its short form the environment borrows the libraries that the tests have, so nothing is downloaded. With
LGNB_TEST_BINDER=1 everything is installed anew, which takes some minutes and a package index.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

_ROOT = Path(__file__).parents[2]
_PARTS = ("binder", "jupyter_extension", "lgnb", "notebooks", "LICENSE", "README.md", "pyproject.toml")
_IS_WHOLE = os.environ.get("LGNB_TEST_BINDER") == "1"


@pytest.fixture
def clone(make_data_dir: Callable[[], Path]) -> Path:
    """The files of the repository that Binder needs, and an environment beside them."""
    clone = make_data_dir()
    for part in _PARTS:
        source = _ROOT / part
        ignored = shutil.ignore_patterns("__pycache__", ".ipynb_checkpoints")
        if source.is_dir():
            shutil.copytree(source, clone / part, ignore=ignored)
        else:
            shutil.copy(source, clone / part)
    options = [] if _IS_WHOLE else ["--without-pip"]
    subprocess.run([sys.executable, "-m", "venv", *options, str(clone / "venv")], check=True, timeout=120)
    if not _IS_WHOLE:
        packages = next((clone / "venv").glob("lib/python*/site-packages"))
        (packages / "borrowed.pth").write_text(sysconfig.get_path("purelib"))
    return clone


@pytest.mark.timeout(1800 if _IS_WHOLE else 180)
def test_its_scripts_give_a_jupyter_server_with_the_tutorials_and_their_graphs(
    clone: Path, started: Callable[..., Any]
) -> None:
    """postBuild installs, start knows the configuration, and the server needs no services of its own."""
    variables = {
        "PATH": f"{clone / 'venv' / 'bin'}{os.pathsep}{os.environ['PATH']}",
        # Where the libraries are borrowed, there is also what builds the package. (This is pip's way to say yes: 0.)
        **({} if _IS_WHOLE else {"PIP_NO_BUILD_ISOLATION": "0", "PIP_NO_INDEX": "1"}),
    }
    built = subprocess.run(
        ["./binder/postBuild"],
        cwd=clone,
        env=os.environ | variables,
        capture_output=True,
        text=True,
        timeout=1500,
        check=False,
    )
    assert built.returncode == 0, built.stdout + built.stderr
    assert "Successfully installed jupyter-lgnb" in built.stdout

    server = started(clone, variables)

    listed = httpx.post(f"{server.url}/assistants/search", headers={"x-api-key": server.token}, json={"limit": 100})
    assert {"agent", "approval", "concierge", "memory", "steps", "trip"} <= {row["graph_id"] for row in listed.json()}
    root = server.url.removesuffix("/lgnb")
    files = httpx.get(f"{root}/api/contents/notebooks", headers={"Authorization": f"token {server.token}"}).json()
    assert "01-quickstart.ipynb" in [file["name"] for file in files["content"]]
    code = "import lgnb; print(lgnb.__file__)"
    found = subprocess.run(
        ["python", "-c", code],
        cwd=clone / "binder",
        env=os.environ | variables,
        capture_output=True,
        text=True,
        check=True,
    )
    assert found.stdout.startswith(str(clone / "venv"))


@pytest.fixture
def started(make_server: Any, make_data_dir: Callable[[], Path]) -> Callable[..., Any]:
    """Starts Jupyter the way Binder does, through binder/start, on data of its own."""

    def start(clone: Path, variables: dict[str, str]) -> Any:
        return make_server(
            home=make_data_dir(),
            cwd=clone,
            program=("./binder/start", "python"),
            command=("jupyter_server",),
            environment=variables,
        )

    return start
