"""The reference is true, and nothing that fits or breaks it makes the server fail."""

from __future__ import annotations

from typing import Any

import httpx
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from lgnb_server.routes import ROUTES

# Long answers have tests of their own.
_SHORT = [route for route in ROUTES if route.content_type == "application/json" and not route.path.endswith("/wait")]
_ID = "00000000-0000-4000-8000-000000000000"

_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@st.composite
def requests(draw: st.DrawFn) -> tuple[str, str, Any]:
    route = draw(st.sampled_from(_SHORT))
    path = route.public_path
    for name in route.parameters:
        path = path.replace(f"{{{name}}}", draw(st.sampled_from([_ID, "x", "%00", "%ff", "a%2Fb", "1" * 40])))
    names = list(route.body.model_fields) if route.body else []
    body = draw(st.dictionaries(st.sampled_from(names), _json) | _json) if names else None
    if isinstance(body, dict) and route.body and "assistant_id" in names and "graph_id" not in names:
        body["assistant_id"] = draw(st.sampled_from(["nobody", _ID, 1]))
    return route.method, path, body


async def test_nothing_a_client_can_send_makes_the_server_fail(jupyter: Any) -> None:
    client: httpx.AsyncClient = jupyter.api
    sent: list[tuple[str, str, Any]] = []

    @settings(max_examples=400, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(requests())
    def collect(request: tuple[str, str, Any]) -> None:
        sent.append(request)

    collect()
    for method, path, body in sent:
        answer = await client.request(method, path, json=body)
        assert answer.status_code < 500, (method, path, body, answer.text)
        if answer.status_code >= 400:
            # Some protocols are refused in words of their own.
            refused = answer.json()
            assert refused.get("detail") or refused.get("message") or refused["error"], (method, path, body)


async def test_the_reference_is_served_as_the_route_table_says(jupyter: Any) -> None:
    document = (await jupyter.anonymous.get("/openapi.json")).json()

    assert document["openapi"] == "3.1.0"
    served = {(method.upper(), path) for path, verbs in document["paths"].items() for method in verbs}
    assert served == {(route.method, route.public_path) for route in ROUTES}


async def test_idle_means_no_activity_and_a_run_means_some(jupyter: Any) -> None:
    assert jupyter.extension.current_activity() == 0
    assert not jupyter.app.extension_manager.any_activity()

    jupyter.extension.host.resources.system._active = 2

    assert jupyter.app.extension_manager.any_activity()
