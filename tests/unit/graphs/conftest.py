from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from lgnb.graphs.loading import GraphRegistry
from lgnb.graphs.project import Project

SIMPLE = """
from langgraph.graph import StateGraph
from typing_extensions import TypedDict

class State(TypedDict):
    x: int

def add(state):
    return {"x": state["x"] + 1}

builder = StateGraph(State).add_node("add", add).add_edge("__start__", "add")
graph = builder.compile()
"""


@pytest.fixture(autouse=True)
def restored_interpreter() -> Iterator[None]:
    """Loading a project changes sys.path, sys.modules and the environment on purpose; tests take that back."""
    path, modules, environment = list(sys.path), set(sys.modules), dict(os.environ)
    yield
    sys.path[:] = path
    for name in set(sys.modules) - modules:
        if not name.startswith(("lgnb", "lang", "pydantic", "numpy")) or name.startswith("lgnb_graph_"):
            del sys.modules[name]
    os.environ.clear()
    os.environ.update(environment)


@pytest.fixture
def load(tmp_path: Path) -> Callable[..., GraphRegistry]:
    """Write files and a langgraph.json into a fresh directory, and load the project."""

    def load(files: dict[str, str], graphs: dict[str, str], **more: Any) -> GraphRegistry:
        for name, text in files.items():
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_text(text)
        path = tmp_path / "langgraph.json"
        path.write_text(json.dumps({"graphs": graphs, **more}))
        registry = GraphRegistry()
        registry.load_all(Project.load(path))
        return registry

    return load
