"""What `import lgnb` offers, and what it costs."""

from __future__ import annotations

import inspect
import subprocess
import sys
import time
from typing import Any

import pytest

import lgnb


@pytest.mark.parametrize("name", lgnb.__all__)
def test_every_public_name_can_be_imported(name: str) -> None:
    assert getattr(lgnb, name) is not None


def test_every_public_name_that_is_loaded_late_is_announced() -> None:
    assert set(lgnb._LAZY) | {"__version__"} == set(lgnb.__all__)
    assert lgnb.__all__ == sorted(lgnb.__all__)


@pytest.mark.parametrize("name", ["assistants", "crons", "runs", "store", "threads", "webhooks"])
def test_every_function_of_a_namespace_has_its_async_twin(name: str) -> None:
    namespace = getattr(lgnb, name)
    plain = _functions(namespace)

    twins = {function for function in plain if function.startswith("a") and function[1:] in plain}
    assert {f"a{function}" for function in plain - twins} == twins
    for twin in twins:
        assert inspect.iscoroutinefunction(getattr(namespace, twin))
        assert "for code that awaits" in getattr(namespace, twin).__doc__


def _functions(namespace: Any) -> set[str]:
    """The public functions that a namespace offers, those it takes from a neighbour included."""
    ours = getattr(namespace, "__all__", None) or [
        name
        for name, found in vars(namespace).items()
        if inspect.isfunction(found) and not name.startswith("_") and found.__module__ == namespace.__name__
    ]
    return set(ours)


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="nosuch"):
        _ = lgnb.nosuch


def test_importing_it_loads_nothing_heavy() -> None:
    heavy = "{'IPython', 'httpx', 'langgraph', 'langgraph_sdk', 'pandas', 'psycopg', 'redis', 'tornado'}"
    code = f"import sys, lgnb; print(sorted({heavy} & set(sys.modules)))"

    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert found.stdout.strip() == "[]"


def test_importing_it_takes_less_than_100_milliseconds() -> None:
    code = "import time; t = time.perf_counter(); import lgnb; print(time.perf_counter() - t)"
    deadline = time.monotonic() + 20
    fastest = 1.0

    while fastest >= 0.1 and time.monotonic() < deadline:
        found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        fastest = min(fastest, float(found.stdout))

    assert fastest < 0.1


def test_client_stays_callable_once_its_submodules_are_imported() -> None:
    code = "import lgnb, lgnb.client.session; print(callable(lgnb.client))"

    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert found.stdout.strip() == "True"
