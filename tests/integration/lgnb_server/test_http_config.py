"""The section `http` of langgraph.json and its settings, as clients see them."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from lgnb.graphs.descriptor_views import GraphDescriptor

_PAGE = "https://page.example"
_HEADERS = {"X-Tenant": "acme", "X-Secret-Code": "7", "X-Other": "no"}


@pytest.fixture
def http_section() -> dict[str, Any]:
    return {}


@pytest.fixture
def lgnb_config(lgnb_config: dict[str, Any], http_section: dict[str, Any], tmp_path: Path) -> dict[str, Any]:
    path = tmp_path / "langgraph.json"
    content = {"graphs": {"sums": "a:g"}, "http": http_section, "stroe": {}, "ui": {"a": "b"}}
    path.write_text(json.dumps(content))
    return lgnb_config | {"langgraph_json": str(path)}


@pytest.mark.parametrize(
    "http_section", [{"configurable_headers": {"includes": ["x-*", "authorization"], "excludes": ["x-secret-*"]}}]
)
async def test_runs_get_the_headers_that_are_named_and_never_a_credential(jupyter: Any) -> None:
    resources = jupyter.extension.host.resources
    await resources.assistants.register(GraphDescriptor(graph_id="sums", name="sums"))
    headers = {**_HEADERS, "Authorization": f"Bearer {jupyter.extension.host.keys.own}", "X-Service-Key": "s"}

    one = (await jupyter.api.post("/runs", json={"assistant_id": "sums"}, headers=headers)).json()
    batch = (await jupyter.api.post("/runs/batch", json=[{"assistant_id": "sums"}], headers=headers)).json()

    for run in (one, *batch):
        configurable = run["kwargs"]["config"]["configurable"]
        assert {name: value for name, value in configurable.items() if name.startswith("x-")} == {
            "x-tenant": "acme",
            "x-other": "no",
        }
        assert "authorization" not in configurable


@pytest.mark.parametrize("http_section", [{"logging_headers": {"includes": ["x-tenant", "x-api-key"]}}])
async def test_headers_are_copied_to_the_log_where_they_are_named(
    jupyter: Any, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)

    await jupyter.api.post("/threads/count", json={}, headers={"X-Tenant": "a\tcme"})

    assert 'POST /a%40b/lgnb/threads/count 200 x-tenant="a\\tcme"' in caplog.text
    assert jupyter.extension.host.keys.own not in caplog.text


async def test_jupyter_decides_about_foreign_pages_unless_the_configuration_does(jupyter: Any) -> None:
    asked = {"Origin": _PAGE, "Access-Control-Request-Method": "POST"}

    preflight = await jupyter.anonymous.options("/threads", headers=asked)
    answer = await jupyter.api.post("/threads", json={}, headers={"Origin": _PAGE})

    assert preflight.status_code == 400
    assert "access-control-allow-origin" not in answer.headers


@pytest.mark.parametrize(
    "http_section",
    [{"cors": {"allow_origins": [_PAGE], "allow_methods": ["POST"], "allow_headers": ["x-api-key"]}}],
)
async def test_the_configuration_lets_named_pages_in(jupyter: Any) -> None:
    asked = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "x-api-key"}

    named = await jupyter.anonymous.options("/threads", headers={"Origin": _PAGE, **asked})
    other = await jupyter.anonymous.options("/threads", headers={"Origin": "https://other.example", **asked})
    answer = await jupyter.api.post("/threads", json={}, headers={"Origin": _PAGE})
    refused = await jupyter.anonymous.post("/threads", json={}, headers={"Origin": _PAGE})

    assert (named.status_code, named.text, named.headers["access-control-allow-origin"]) == (200, "OK", _PAGE)
    assert (other.status_code, "access-control-allow-origin" in other.headers) == (400, False)
    assert (answer.status_code, answer.headers["access-control-allow-origin"]) == (200, _PAGE)
    # A page has to be able to read why.
    assert (refused.status_code, refused.headers.get("access-control-allow-origin")) == (401, _PAGE)


@pytest.mark.parametrize("http_section", [{"disable_runs": True, "disable_meta": True, "disable_assistants": True}])
async def test_disabled_groups_are_not_there(jupyter: Any) -> None:
    thread = (await jupyter.api.post("/threads", json={})).json()["thread_id"]

    for method, path in (
        ("POST", "/runs/wait"),
        ("GET", f"/threads/{thread}/runs"),
        ("POST", f"/threads/{thread}/commands"),
        ("POST", "/runs/crons/search"),
        ("POST", "/assistants/search"),
        ("GET", f"/assistants/{uuid4()}"),
        ("GET", "/info"),
        ("GET", "/metrics"),
        ("GET", "/docs"),
        ("GET", "/openapi.json"),
    ):
        assert (await jupyter.api.request(method, path, json={})).status_code == 404, path
    assert (await jupyter.anonymous.get("/ok")).json() == {"ok": True}
    assert (await jupyter.api.get(f"/threads/{thread}/state")).status_code == 200


@pytest.mark.parametrize("http_section", [{"mount": "/x"}])
async def test_every_key_that_is_not_honoured_is_named_at_the_start(
    capsys: pytest.CaptureFixture[str], jupyter: Any
) -> None:
    text = capsys.readouterr().err

    assert "the key 'stroe' is unknown and ignored; did you mean 'store'?" in text
    assert "the key 'http.mount' is unknown and ignored; did you mean 'mount_prefix'?" in text
    assert "'ui' is not honoured: lgnb serves no bundles of user interfaces." in text


@pytest.mark.parametrize("http_section", [{"mount_prefix": "v1/"}])
async def test_a_wrong_value_keeps_the_api_closed_and_says_why(jupyter: Any) -> None:
    answer = await jupyter.api.get("/ok")

    assert answer.status_code == 503
    assert "http.mount_prefix" in answer.json()["detail"]
