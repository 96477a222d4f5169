"""What every tier shares: a run apart from the user's own settings and data, servers, and what pip cannot bring."""

from __future__ import annotations

import os
import shutil
import tempfile
from dataclasses import fields
from pathlib import Path

import pytest

from lgnb.settings import Settings

_HOME = pytest.StashKey[Path]()

# Variables of the user that would lead a test to their servers, keys or notebooks.
_FOREIGN = ("LGNB_", "JUPYTER", "JPY_", "IPYTHON", "LANGSMITH_", "LANGCHAIN_", "LANGGRAPH_", "OPENAI_", "ANTHROPIC_")
_OURS = ("LGNB_TEST_",)


def pytest_configure(config: pytest.Config) -> None:
    second_names = {name for spec in fields(Settings) for name in spec.metadata["also"]}
    for name in list(os.environ):
        if name in second_names or (name.startswith(_FOREIGN) and not name.startswith(_OURS)):
            del os.environ[name]
    home = Path(tempfile.mkdtemp(prefix="lgnb-test-"))
    config.stash[_HOME] = home
    os.environ |= {
        "LGNB_DATA_DIR": str(home / "data"),
        "JUPYTER_CONFIG_DIR": str(home / "jupyter-config"),
        "JUPYTER_DATA_DIR": str(home / "jupyter-data"),
        "JUPYTER_RUNTIME_DIR": str(home / "jupyter-runtime"),
        "IPYTHONDIR": str(home / "ipython"),
        "LANGSMITH_TRACING": "false",
    }


def pytest_unconfigure(config: pytest.Config) -> None:
    if home := config.stash.get(_HOME, None):
        shutil.rmtree(home, ignore_errors=True)


# -- What the machine may lack ----------------------------------------------------------------------------------------


def find_node() -> str | None:
    return shutil.which("node")


def find_chromium() -> str | None:
    names = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
    return os.environ.get("LGNB_TEST_CHROMIUM") or next(filter(None, map(shutil.which, names)), None)


def _missing(marker: str) -> str | None:
    if marker == "node":
        if find_node() is None:
            return "there is no Node on this machine"
        if not Path(__file__).with_name("js").joinpath("node_modules", "@langchain").is_dir():
            return "the JavaScript SDK is not installed: npm ci --prefix tests/js"
    if marker == "chromium" and find_chromium() is None:
        return "there is no Chromium on this machine"
    return None


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    for marker in ("node", "chromium"):
        if item.get_closest_marker(marker) and (reason := _missing(marker)):
            if os.environ.get("CI") == "true":
                pytest.fail(f"{reason}, and CI must not skip this test", pytrace=False)
            pytest.skip(reason)


@pytest.fixture(scope="session")
def node() -> str:
    """Path of Node; a test which asks for it carries the marker `node`."""
    path = find_node()
    assert path is not None
    return path


@pytest.fixture(scope="session")
def chromium() -> str:
    """Path of Chromium; a test which asks for it carries the marker `chromium`."""
    path = find_chromium()
    assert path is not None
    return path
