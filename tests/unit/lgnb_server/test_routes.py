from __future__ import annotations

import json
import re
from itertools import pairwise
from typing import Any

import pytest
from lgnb_server.host import Host
from lgnb_server.keys import Keys
from lgnb_server.reference import html_page, openapi
from lgnb_server.route import Route
from lgnb_server.routes import ROUTES, enabled_routes, url_patterns
from tornado.web import RequestHandler

from lgnb.models.http import HttpConfig
from lgnb.settings import Settings


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: f"{route.method} {route.path}")
def test_a_route_is_served_by_a_method_of_its_handler_under_the_rule_it_names(route: Route) -> None:
    method = getattr(route.handler, route.method.lower())

    assert method is not RequestHandler._unimplemented_method
    assert hasattr(method, "__allow_unauthenticated") == route.public
    assert (route.resource is None) == route.public


def test_no_two_routes_are_the_same() -> None:
    addresses = [(route.method, route.path) for route in ROUTES]

    assert len(set(addresses)) == len(addresses)


def test_an_address_with_a_fixed_word_is_tried_before_one_with_a_parameter_in_its_place() -> None:
    patterns = [route.pattern for route in ROUTES]

    for route in ROUTES:
        example = route.public_path if "{" not in route.path else re.sub(r"\{\w+\}", "x-1", route.public_path)
        first = next(pattern for pattern in patterns if re.fullmatch(pattern, example))
        assert first == route.pattern


def test_every_pattern_stays_below_the_mount() -> None:
    host = Host(settings=Settings(), keys=Keys())

    patterns = [pattern for pattern, _, _ in url_patterns(host)]

    assert all(pattern.startswith("/lgnb/") for pattern in patterns)
    assert patterns[-1] == "/lgnb/.*"
    assert len(set(patterns)) == len(patterns)


def test_the_reference_describes_every_route_with_resolvable_references() -> None:
    document = openapi(ROUTES)

    operations = {(method.upper(), path) for path, verbs in document["paths"].items() for method in verbs}
    assert operations == {(route.method, route.public_path) for route in ROUTES}
    ids = sorted(operation["operationId"] for verbs in document["paths"].values() for operation in verbs.values())
    assert all(one != other for one, other in pairwise(ids))
    for reference in re.findall(r'"\$ref": "#/components/schemas/([^"]+)"', json.dumps(document)):
        assert reference in document["components"]["schemas"]


def test_the_page_names_every_route_and_loads_nothing() -> None:
    page = html_page(ROUTES)

    assert all(route.public_path in page for route in ROUTES)
    assert "<script" not in page
    assert "//" not in page.replace("<!doctype html>", "")


def _paths(**http: Any) -> set[str]:
    return {f"{route.method} {route.path}" for route in enabled_routes(HttpConfig(**http))}


@pytest.mark.parametrize(
    ("group", "gone", "left"),
    [
        ("assistants", ["POST /assistants/search"], ["POST /threads"]),
        ("threads", ["POST /threads", "GET /threads/{thread_id}/state"], ["POST /threads/{thread_id}/runs"]),
        (
            "runs",
            [
                "POST /runs/wait",
                "POST /threads/{thread_id}/runs",
                "POST /runs/crons",
                "POST /threads/{thread_id}/commands",
            ],
            ["POST /threads", "GET /ok"],
        ),
        ("store", ["PUT /store/items"], ["POST /threads"]),
        ("meta", ["GET /info", "GET /metrics", "GET /docs", "GET /openapi.json"], ["GET /ok", "GET /"]),
        ("event_streaming", ["POST /threads/{thread_id}/stream/events"], ["GET /threads/{thread_id}/stream"]),
    ],
)
def test_a_disabled_group_takes_its_routes_away(group: str, gone: list[str], left: list[str]) -> None:
    paths = _paths(disabled=frozenset({group}))

    assert paths.isdisjoint(gone)
    assert paths.issuperset(left)
    assert _paths().issuperset(gone)


def test_everything_moves_below_the_prefix_and_what_clusters_ask_for_stays_at_the_root_too() -> None:
    host = Host(settings=Settings(), keys=Keys(), http=HttpConfig(mount_prefix="/v1.0"))

    patterns = [pattern for pattern, _, _ in url_patterns(host)]

    served = [
        path
        for path in ("/lgnb/threads", "/lgnb/v1.0/threads", "/lgnb/v1.0/", "/lgnb/ok", "/lgnb/metrics")
        if any(re.fullmatch(pattern, path) for pattern in patterns[:-1])
    ]
    assert served == ["/lgnb/v1.0/threads", "/lgnb/v1.0/", "/lgnb/ok", "/lgnb/metrics"]
