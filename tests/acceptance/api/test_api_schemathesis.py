"""schemathesis reads our own openapi.json, and tries to make the server fail with what fits it and what does not.

LGNB_TEST_EXAMPLES=200 makes it try more of each operation.
"""

from __future__ import annotations

import os
from typing import Any

import httpx
import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from lgnb_server.reference import openapi
from lgnb_server.routes import ROUTES
from schemathesis import GenerationMode

_EXAMPLES = int(os.environ.get("LGNB_TEST_EXAMPLES", "8"))

# What never ends by itself has tests of its own, and a socket is no request.
_ENDLESS = ("/changes", "/live", "/threads/{thread_id}/stream", "/threads/{thread_id}/stream/events")

# A run that is put off for years is waited for by `wait`, `stream` and `join` for as long.
_LATEST_START = 0.1

_OPERATIONS = [found.ok() for found in schemathesis.openapi.from_dict(openapi(ROUTES)).get_all_operations()]


@pytest.fixture(scope="module")
def thread_id(api_server: Any) -> str:
    """A thread that exists, so that requests get further than to the search for it."""
    headers = {"x-api-key": api_server.api_key}
    return httpx.post(f"{api_server.url}/threads", json={}, headers=headers, trust_env=False).json()["thread_id"]


@pytest.fixture(scope="module")
def session(api_server: Any) -> Any:
    with requests.Session() as session:
        session.headers["x-api-key"] = api_server.api_key
        session.trust_env = False
        yield session


@pytest.mark.parametrize(
    "operation", [one for one in _OPERATIONS if one.path not in _ENDLESS], ids=lambda operation: operation.label
)
def test_no_request_makes_the_server_fail(operation: Any, api_server: Any, session: Any, thread_id: str) -> None:
    """Whatever is sent, the answer is no 5xx, and a refusal says what is wrong."""

    @settings(
        max_examples=_EXAMPLES,
        deadline=None,
        database=None,
        derandomize=True,
        phases=[Phase.generate],  # to make an example smaller repeats a request that may have hung
        suppress_health_check=list(HealthCheck),
    )
    @given(
        case=st.one_of(
            operation.as_strategy(generation_mode=GenerationMode.POSITIVE),
            operation.as_strategy(generation_mode=GenerationMode.NEGATIVE),
        ),
        deeper=st.booleans(),
    )
    def attack(case: Any, deeper: bool) -> None:
        if deeper and "thread_id" in case.path_parameters and case.method != "DELETE":
            case.path_parameters["thread_id"] = thread_id
        if deeper and isinstance(case.body, dict) and "assistant_id" in case.body and "graph_id" not in case.body:
            case.body["assistant_id"] = "steps"
        if isinstance(case.body, dict) and isinstance(case.body.get("after_seconds"), (int, float)):
            case.body["after_seconds"] = min(case.body["after_seconds"], _LATEST_START)

        answer = case.call(base_url=api_server.url, session=session, timeout=60)

        assert answer.status_code < 500, case.as_curl_command()
        if answer.status_code >= 400 and case.method != "HEAD":
            told = answer.json()
            assert told.get("detail") or told.get("message") or told.get("error"), case.as_curl_command()

    attack()
