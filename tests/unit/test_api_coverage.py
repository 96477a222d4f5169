"""docs/api-coverage.md has every operation, leaves none untested, and names tests that exist."""

from __future__ import annotations

import re
from pathlib import Path

import api_coverage

_TESTS = Path(__file__).parents[1]


def test_every_operation_is_called_by_a_test_with_every_client_that_has_it() -> None:
    assert api_coverage.empty_cells(api_coverage.read()) == []


def test_the_document_has_the_operations_of_the_route_table() -> None:
    assert {operation for operation, _ in api_coverage.read()} == {
        api_coverage.name_of(route) for route in api_coverage.ROUTES
    }


def test_the_tests_that_the_document_names_exist() -> None:
    named = {test for tests in api_coverage.read().values() for test in tests}
    defined = {
        f"{path.name}::{name}"
        for path in _TESTS.rglob("test_*.py")
        for name in re.findall(r"def (test_\w+)", path.read_text(encoding="utf-8"))
    }

    assert named <= defined


def test_a_request_is_told_by_the_route_that_answers_it() -> None:
    thread = "01980000-0000-7000-8000-000000000000"

    assert api_coverage.operation_of("GET", f"/a%40b/lgnb/threads/{thread}") == "GET /threads/{thread_id}"
    assert api_coverage.operation_of("POST", "/lgnb/runs/crons/search") == "POST /runs/crons/search"
    assert api_coverage.operation_of("GET", "/lgnb") == "GET /"
    assert api_coverage.operation_of("PUT", "/lgnb/threads") is None
