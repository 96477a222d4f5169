"""Holds the documents to the code: settings, commands, links, variables, and that they speak of no machine."""

from __future__ import annotations

import os
import re
import runpy
import subprocess
import sys
import tomllib
from dataclasses import fields
from pathlib import Path

import pytest

from lgnb.graphs import project
from lgnb.graphs.checkpointer_section import _Checkpointer
from lgnb.graphs.configuration import _Store
from lgnb.graphs.encryption_section import _Encryption
from lgnb.graphs.http_section import _Http
from lgnb.settings import Settings

_ROOT = Path(__file__).parents[2]
_DOCUMENTS = sorted([*_ROOT.glob("*.md"), *_ROOT.glob("docs/*.md")])

# Variables of kernels and of the tests, which are no settings of a host or worker.
_OTHER_VARIABLES = {"LGNB_URL", "LGNB_API_KEY", "LGNB_TOKEN", "LGNB_LIVE"} | {
    f"LGNB_TEST_{name}"
    for name in ("API_COVERAGE", "BINDER", "EXAMPLES", "NOTEBOOK_PASSES", "POSTGRES_URI", "REDIS_URI")
}

_each_document = pytest.mark.parametrize("document", _DOCUMENTS, ids=lambda path: path.name)


def _read(name: str) -> str:
    return (_ROOT / name).read_text(encoding="utf-8")


def test_the_documents_of_the_project_exist() -> None:
    names = {document.name for document in _DOCUMENTS}

    assert names >= {"README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "CHANGELOG.md", "configuration.md"}


def test_the_table_of_settings_is_the_one_that_the_code_gives() -> None:
    rendered = runpy.run_path(str(_ROOT / "tests" / "tools" / "settings_table.py"))["rendered"]
    document = _read("docs/configuration.md")

    assert rendered(document) == document, "run: python tests/tools/settings_table.py"


def test_the_table_of_langgraph_json_names_every_key_that_is_known_and_no_other() -> None:
    text = _read("docs/configuration.md").split("<!-- keys: begin -->")[1].split("<!-- keys: end -->")[0]
    rows = [line.split("|")[1] for line in text.splitlines() if line.startswith("| `")]
    named = {key for row in rows for key in re.findall(r"`([a-z0-9_.]+)`", row)}

    sections = {"http": _Http, "checkpointer": _Checkpointer, "store": _Store, "encryption": _Encryption}
    known = {key for key in project._KNOWN_KEYS if key != "$schema" and key not in sections}
    known |= {f"{name}.{field}" for name, section in sections.items() for field in section.model_fields}
    assert named == known


@_each_document
def test_each_variable_that_a_document_names_exists(document: Path) -> None:
    named = set(re.findall(r"\bLGNB_[A-Z][A-Z_]*\b", document.read_text(encoding="utf-8")))

    assert named <= {f"LGNB_{spec.name.upper()}" for spec in fields(Settings)} | _OTHER_VARIABLES


@_each_document
def test_each_link_to_a_file_leads_somewhere(document: Path) -> None:
    targets = re.findall(r"\]\((?!https?:|#)([^)#]+)", document.read_text(encoding="utf-8"))

    assert [target for target in targets if not (document.parent / target).exists()] == []


@_each_document
def test_no_document_names_a_path_of_a_machine(document: Path) -> None:
    text = document.read_text(encoding="utf-8")

    assert re.findall(r"(?<![\w.-])(?:(?:/home|/root|/Users|/work|/opt)/|[A-Z]:\\)\S*", text) == []


@_each_document
def test_each_make_target_that_a_document_names_exists(document: Path) -> None:
    named = set(re.findall(r"^\s*make ([a-z]+)|`make ([a-z]+)", document.read_text(encoding="utf-8"), re.MULTILINE))
    targets = set(re.findall(r"^([a-z]+):", _read("Makefile"), re.MULTILINE))

    assert {first or second for first, second in named} <= targets


@_each_document
def test_each_command_that_a_document_names_exists(document: Path, tmp_path: Path) -> None:
    text = document.read_text(encoding="utf-8")
    code = re.findall(r"^```.*?^```|`[^`\n]+`", text, re.MULTILINE | re.DOTALL)
    named = sorted(set(re.findall(r"(?:^|`|/bin/)lgnb ([a-z]+)", "\n".join(code), re.MULTILINE)))

    for command in named:
        done = subprocess.run(
            [sys.executable, "-m", "lgnb", command, "--help"],
            cwd=tmp_path,
            env=os.environ | {"COLUMNS": "100"},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, f"lgnb {command}: {done.stderr}"
        assert f"lgnb {command}" in done.stdout


def test_the_statuses_of_a_run_are_the_same_words_in_the_diagram_and_in_the_table() -> None:
    life = _read("ARCHITECTURE.md").split("## The life of a run")[1].split("##")[0]
    schema = _read("lgnb/db/migrations/0001_initial.sql").split("CREATE TABLE runs")[1]
    statuses = re.search(r"status IN \(([^)]*)\)", schema)
    assert statuses is not None

    words = re.findall(r"'(\w+)'", statuses[1])

    assert len(words) == 6
    assert [word for word in words if word not in life] == []


def test_the_tables_that_the_architecture_names_are_those_of_the_migrations() -> None:
    tables = _read("ARCHITECTURE.md").split("## Tables")[1].split("##")[0]
    named = set(re.findall(r"`([a-z_]+)`", tables))
    created: set[str] = {"lgnb_migrations"}
    for path in _ROOT.glob("lgnb/db/migrations/*.sql"):
        created |= set(re.findall(r"CREATE TABLE (\w+)", path.read_text(encoding="utf-8")))

    assert named == {name for name in created if not name.startswith("checkpoint")}


def test_each_part_of_the_package_has_a_place_in_the_import_directions() -> None:
    directions = _read("ARCHITECTURE.md").split("## Who may import whom")[1].split("##")[0]
    contracts = tomllib.loads(_read("pyproject.toml"))["tool"]["importlinter"]["contracts"]
    packages = {path.parent.name for path in _ROOT.glob("lgnb/*/__init__.py")} - {"testing"}

    assert [package for package in packages if package not in directions] == []
    assert [package for package in packages if f"lgnb.{package}" not in repr(contracts)] == []


def test_each_test_that_a_document_names_exists() -> None:
    named = {name for document in _DOCUMENTS for name in re.findall(r"`(test_\w+)`", document.read_text("utf-8"))}
    sources = [path.read_text("utf-8") for path in _ROOT.glob("tests/**/test_*.py")]
    defined = {name for source in sources for name in re.findall(r"def (test_\w+)\(", source)}

    assert len(named) > 50
    assert sorted(named - defined) == []
