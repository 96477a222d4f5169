from __future__ import annotations

import importlib
import logging
import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer

from lgnb.errors import GraphLoadError, GraphNotFound
from lgnb.graphs.loading import GraphRegistry

from .conftest import SIMPLE

Load = Callable[..., GraphRegistry]


def test_a_graph_that_fails_to_import_leaves_the_others(
    load: Load, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.CRITICAL)
    broken = "def inner():\n    raise KeyError('no key')\n\ninner()\n"

    registry = load({"good.py": SIMPLE, "bad.py": broken}, {"bad": "./bad.py:graph", "good": "./good.py:graph"})

    assert registry.graph_ids == ("bad", "good")
    assert registry.get("good").graph_id == "good"
    with pytest.raises(GraphLoadError, match="Graph 'bad' could not be loaded: KeyError: 'no key'") as caught:
        registry.get("bad")
    frames = [line.strip() for line in caught.value.traceback.splitlines() if line.strip().startswith("File ")]
    assert frames == [
        f'File "{tmp_path}/bad.py", line 4, in <module>',
        f'File "{tmp_path}/bad.py", line 2, in inner',
    ]


@pytest.mark.parametrize(
    ("files", "place", "reason"),
    [
        ({}, "./no.py:graph", "there is no file .*no.py"),
        ({"a.ts": ""}, "./a.ts:graph", "a.ts is not a Python file"),
        ({"a.py": SIMPLE}, "./a.py:grph", "has no variable 'grph'"),
        ({"a.py": "graph = 3"}, "./a.py:graph", "it is a int, but must be a StateGraph"),
        ({"a.py": "def graph(:"}, "./a.py:graph", "SyntaxError"),
        ({"a.py": "import sys; sys.exit(3)"}, "./a.py:graph", "SystemExit: 3"),
        ({"a.py": "from .b import x"}, "./a.py:graph", "ImportError: attempted relative import"),
        ({}, "no_such_package.mod:graph", "ModuleNotFoundError: No module named 'no_such_package'"),
        ({"a.py": "def graph(a: int): pass"}, "./a.py:graph", "the factory wants a parameter 'a'"),
        (
            {"a.py": SIMPLE + "builder = StateGraph(State).add_node('a', add)"},
            "./a.py:builder",
            "ValueError: .*entrypoint",
        ),
    ],
)
def test_each_reason_not_to_load_is_told(load: Load, files: dict[str, str], place: str, reason: str) -> None:
    registry = load(files, {"g": place})

    assert list(registry.failures) == ["g"]
    with pytest.raises(GraphLoadError, match=reason):
        registry.get("g")


def test_an_unknown_graph_is_not_found(load: Load) -> None:
    registry = load({"a.py": SIMPLE}, {"g": "./a.py:graph"})

    with pytest.raises(GraphNotFound, match="'other'"):
        registry.get("other")


def test_variables_are_set_and_directories_importable_before_a_graph_is_imported(
    load: Load, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LGNB_TEST_COLOUR", "from outside")
    files = {
        "near.py": "name = 'near'",
        "lib/farther.py": "name = 'farther'",
        "a.py": "import os, near, farther\nassert os.environ['LGNB_TEST_COLOUR'] == 'from the file'\n" + SIMPLE,
    }

    registry = load(files, {"g": "./a.py:graph"}, dependencies=["./lib"], env={"LGNB_TEST_COLOUR": "from the file"})

    assert registry.failures == {}
    assert os.environ["LGNB_TEST_COLOUR"] == "from the file"


def test_a_file_is_imported_once_for_all_its_graphs(load: Load, tmp_path: Path) -> None:
    count = f"with open({str(tmp_path / 'count')!r}, 'a') as file:\n    file.write('x')\n"

    registry = load({"once.py": count + SIMPLE}, {"a": "./once.py:graph", "b": "./once.py:builder"})

    assert registry.failures == {}
    assert (tmp_path / "count").read_text() == "x"


@pytest.mark.parametrize(
    ("files", "place", "dependencies", "module"),
    [
        ({"lone_file.py": SIMPLE}, "./lone_file.py", [], "lone_file"),
        ({"folder_x/deep.py": SIMPLE}, "./folder_x/deep.py", ["."], "folder_x.deep"),
        ({"src/agent_x/graph.py": SIMPLE}, "./src/agent_x/graph.py", [".", "./src"], "agent_x.graph"),
        (
            {"pkg_x/__init__.py": "", "pkg_x/state.py": "", "pkg_x/graph.py": "from . import state\n" + SIMPLE},
            "./pkg_x/graph.py",
            ["./pkg_x"],
            "pkg_x.graph",
        ),
        ({"pkg_y/__init__.py": SIMPLE}, "./pkg_y/__init__.py", [], "pkg_y"),
        ({"json.py": SIMPLE}, "./json.py", [], "lgnb_graph_json_489d91d1"),
        ({"my-dir/a.b.py": SIMPLE}, "./my-dir/a.b.py", [], "lgnb_graph_a_b_c13945b8"),
        ({"pkg_z/mod.py": SIMPLE}, "pkg_z.mod", [], "pkg_z.mod"),
    ],
)
def test_a_module_gets_the_name_by_which_other_processes_find_it(
    load: Load, files: dict[str, str], place: str, dependencies: list[str], module: str
) -> None:
    registry = load(files, {"g": f"{place}:graph"}, dependencies=dependencies)

    assert registry.failures == {}
    assert registry.get("g").module == module
    assert importlib.import_module(module).__name__ == module


def test_a_package_above_the_project_is_imported_from_above(load: Load, tmp_path: Path) -> None:
    files = {"__init__.py": "", "state_q.py": "", "graph_q.py": "from . import state_q\n" + SIMPLE}

    registry = load(files, {"g": "./graph_q.py:graph"})

    assert registry.failures == {}
    assert registry.get("g").module == f"{tmp_path.name}.graph_q"


def test_values_of_a_graphs_own_classes_survive_a_checkpoint(load: Load) -> None:
    data = SIMPLE + "\nfrom dataclasses import dataclass\n@dataclass\nclass Point:\n    x: int\n"
    registry = load({"odd-dir/points.py": data}, {"g": "./odd-dir/points.py:graph"})
    point = sys.modules[registry.get("g").module].Point(3)
    serializer = JsonPlusSerializer(allowed_msgpack_modules=[(type(point).__module__, "Point")])

    revived = serializer.loads_typed(serializer.dumps_typed(point))

    assert revived == point
    assert type(revived) is type(point)


def test_stream_transformers_beside_a_graph_are_picked_up(load: Load) -> None:
    registry = load(
        {"a.py": SIMPLE + "\nstream_transformers = ['t']"}, {"g": {"path": "./a.py:graph", "description": "d"}}
    )

    assert registry.get("g").stream_transformers == ["t"]
    assert registry.get("g").description == "d"
