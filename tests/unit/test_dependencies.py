"""The lower bounds that security needs: below them, each of these has a known vulnerability."""

from __future__ import annotations

import importlib.metadata
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.version import Version

_BOUNDS = {
    "jupyter-server": "2.18",
    "langgraph": "1.2",
    "langgraph-checkpoint": "4.1.1",
    "langgraph-sdk": "0.3.15",
    "tornado": "6.6.1",
}


def _declared() -> dict[str, Requirement]:
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text("utf-8"))["project"]
    return {requirement.name: requirement for requirement in map(Requirement, project["dependencies"])}


@pytest.mark.parametrize(("name", "least"), _BOUNDS.items())
def test_dependencies_have_the_lower_bounds_that_security_needs(name: str, least: str) -> None:
    (bound,) = [spec.version for spec in _declared()[name].specifier if spec.operator == ">="]

    assert Version(bound) >= Version(least)
    assert Version(importlib.metadata.version(name)) >= Version(least)


def test_each_dependency_has_a_lower_bound() -> None:
    without = [name for name, given in _declared().items() if ">=" not in {spec.operator for spec in given.specifier}]

    assert without == []
