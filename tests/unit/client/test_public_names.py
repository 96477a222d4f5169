"""What `import lgnb` offers, and what it costs."""

from __future__ import annotations

import subprocess
import sys
import time

import pytest

import lgnb


@pytest.mark.parametrize("name", lgnb.__all__)
def test_every_public_name_can_be_imported(name: str) -> None:
    assert getattr(lgnb, name) is not None


def test_every_public_name_that_is_loaded_late_is_announced() -> None:
    assert set(lgnb._LAZY) | {"__version__"} == set(lgnb.__all__)
    assert lgnb.__all__ == sorted(lgnb.__all__)


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
