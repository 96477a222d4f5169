from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from lgnb.errors import SettingsError
from lgnb.graphs.project import Project


def write(directory: Path, content: Any) -> Path:
    path = directory / "langgraph.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content, indent=2))
    return path


def test_files_modules_and_descriptions_are_understood(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        {"graphs": {"a": "./src/agent.py:graph", "b": "pkg.mod:make", "c": {"path": "c.py:g", "description": "See"}}},
    )

    graphs = Project.load(path).graphs

    assert (graphs["a"].file, graphs["a"].module, graphs["a"].variable) == (tmp_path / "src/agent.py", None, "graph")
    assert (graphs["b"].file, graphs["b"].module, graphs["b"].variable) == (None, "pkg.mod", "make")
    assert (graphs["c"].file, graphs["c"].description) == (tmp_path / "c.py", "See")
    assert graphs["a"].reference == f"{tmp_path}/src/agent.py:graph"


def test_only_local_directories_of_the_dependencies_are_import_dirs(tmp_path: Path) -> None:
    (tmp_path / "lib/src").mkdir(parents=True)
    (tmp_path / "lib/pyproject.toml").touch()
    path = write(tmp_path, {"graphs": {"a": "a:g"}, "dependencies": [".", "./lib", "langchain_openai"]})

    project = Project.load(path)

    assert project.import_dirs == (tmp_path, tmp_path / "lib", tmp_path / "lib/src")
    assert project.dependencies == (".", "./lib", "langchain_openai")


def test_env_may_be_an_object(tmp_path: Path) -> None:
    path = write(tmp_path, {"graphs": {"a": "a:g"}, "env": {"A": "x", "N": 1, "B": True}})

    assert dict(Project.load(path).env) == {"A": "x", "N": "1", "B": "true"}


def test_env_may_be_a_dotenv_file(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text(
        "# keys\n\nexport A=plain # not this\nB='single # ${A}'\nC=\"two\\nlines ${A}\"\nD=${OUTSIDE}/${NONE:-x}\n"
        'E=\nF="over\ntwo"\nG\nH=a#b\n'
    )
    path = write(tmp_path, {"graphs": {"a": "a:g"}, "env": ".env"})

    assert dict(Project.load(path, environment={"OUTSIDE": "out"}).env) == {
        "A": "plain",
        "B": "single # ${A}",
        "C": "two\nlines plain",
        "D": "out/x",
        "E": "",
        "F": "over\ntwo",
        "G": "",
        "H": "a#b",
    }


def test_values_of_variables_are_not_shown_in_the_repr(tmp_path: Path) -> None:
    path = write(tmp_path, {"graphs": {"a": "a:g"}, "env": {"KEY": "hush"}, "auth": {"path": "hush:auth"}})

    assert "hush" not in repr(Project.load(path))


def test_sections_are_kept_and_those_that_nobody_honours_are_named(tmp_path: Path) -> None:
    path = write(tmp_path, {"graphs": {"a": "a:g"}, "auth": {"path": "./a.py:auth"}, "priority": {}})

    project = Project.load(path)

    assert project.auth["path"] == "./a.py:auth"
    assert project.warnings == (
        "langgraph.json, line 8: 'priority' is not honoured: runs start in the order in which they are due.",
    )


def test_an_unknown_key_is_a_warning_with_the_nearest_known_one(tmp_path: Path) -> None:
    path = write(
        tmp_path, {"graph": {}, "graphs": {"a": {"path": "a:g", "desc": ""}}, "zzzz": 1, "python_version": "3"}
    )

    assert Project.load(path).warnings == (
        "langgraph.json, line 2: the key 'graph' is unknown and ignored; did you mean 'graphs'?",
        "langgraph.json, line 9: the key 'zzzz' is unknown and ignored.",
        "langgraph.json, line 6: the key 'desc' of graph 'a' is unknown and ignored.",
    )


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ('{"graphs": {\n"a": }', r"langgraph\.json, line 2: this is not valid JSON"),
        ("[]", r"line 1: expected an object with a key 'graphs'"),
        ("{}", r"the key 'graphs' is missing"),
        ('{\n"graphs": []}', r"line 2: 'graphs' must be an object"),
        ('{\n"graphs": {}}', r"line 2: 'graphs' must be an object that maps at least one"),
        ('{"graphs": {\n"": "a:b"}}', r"line 1: the name of a graph must not be empty"),
        ('{"graphs": {\n\n"a": "a.py"}}', r"line 3: 'graphs\.a' must be written like"),
        ('{"graphs": {"a": "a.py:not a name"}}', r"line 1: 'graphs\.a' must be written like"),
        ('{"graphs": {"b": "b:a",\n"a": 7}}', r"line 2: 'graphs\.a' must be written like"),
        ('{"graphs": {"a": {"path": "a:b",\n"description": 1}}}', r"line 2: 'graphs\.a\.description' must be a text"),
        ('{"graphs": {"a": "a:b"},\n"dependencies": "."}', r"line 2: 'dependencies' must be a list"),
        ('{"graphs": {"a": "a:b"},\n"dependencies": ["./no"]}', r"line 2: there is no directory '\./no'"),
        ('{"graphs": {"a": "a:b"},\n"env": []}', r"line 2: 'env' must be an object"),
        ('{"graphs": {"a": "a:b"},\n"env": {\n"A": []}}', r"line 3: 'env\.A' must be a text or a number"),
        ('{"graphs": {"a": "a:b"},\n"env": "no.env"}', r"line 2: the file .*no\.env cannot be read: No such file"),
        ('{"graphs": {"a": "a:b"},\n"env": "langgraph.json"}', r"langgraph\.json, line 1: expected NAME=value"),
        ('{"graphs": {"a": "a:b"},\n"auth": "x"}', r"line 2: 'auth' must be an object"),
    ],
)
def test_a_broken_file_is_one_sentence_with_file_and_line(tmp_path: Path, content: str, sentence: str) -> None:
    path = write(tmp_path, content)

    with pytest.raises(SettingsError, match=sentence) as caught:
        Project.load(path)

    assert "\n" not in str(caught.value)
    assert str(tmp_path) in str(caught.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"nowhere\.json cannot be read: No such file"):
        Project.load(tmp_path / "nowhere.json")


def test_without_a_file_the_examples_are_served() -> None:
    project = Project.builtin()

    assert list(project.graphs) == ["agent", "steps", "approval"]
    assert all(spec.description for spec in project.graphs.values())
    assert project.path is None


def test_reading_a_project_imports_neither_the_graphs_nor_the_graph_library(tmp_path: Path) -> None:
    (tmp_path / "bad.py").write_text("raise SystemExit('imported')")
    path = write(tmp_path, {"graphs": {"a": "./bad.py:graph"}})
    program = (
        "import sys, pathlib\nfrom lgnb.graphs.project import Project\n"
        "Project.builtin(); Project.load(pathlib.Path(sys.argv[1]))\n"
        "print(sorted({m.split('.')[0] for m in sys.modules} & {'langchain_core','langgraph','pydantic','bad'}))"
    )

    result = subprocess.run([sys.executable, "-c", program, str(path)], capture_output=True, text=True, check=True)

    assert result.stdout.strip() == "[]"
