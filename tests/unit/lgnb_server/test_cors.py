from __future__ import annotations

import pytest
from lgnb_server.cors import answer_headers, preflight
from tornado.httputil import HTTPHeaders

from lgnb.models.http import CorsConfig

_PAGE = "https://page.example"


def _asked(method: str, headers: str = "") -> HTTPHeaders:
    return HTTPHeaders({"Access-Control-Request-Method": method, "Access-Control-Request-Headers": headers})


def test_a_named_origin_may_call_with_credentials_and_others_may_not() -> None:
    config = CorsConfig(allow_origins=(_PAGE,), allow_credentials=True, expose_headers=("location",))

    assert answer_headers(config, _PAGE) == {
        "Access-Control-Allow-Origin": _PAGE,
        "Vary": "Origin",
        "Access-Control-Allow-Credentials": "true",
        "Access-Control-Expose-Headers": "location",
    }
    assert answer_headers(config, "https://other.example") == {}


def test_an_origin_must_fit_the_whole_pattern() -> None:
    config = CorsConfig(allow_origin_regex=r"https://.*\.example")

    assert config.grants("https://a.example")
    assert not config.grants("https://a.example.org")


@pytest.mark.parametrize(
    ("config", "asked", "status"),
    [
        (CorsConfig(allow_origins=("*",)), _asked("GET"), 200),
        (CorsConfig(allow_origins=("*",)), _asked("POST"), 400),
        (CorsConfig(allow_origins=("*",), allow_methods=("*",)), _asked("POST", "content-type"), 200),
        (CorsConfig(allow_origins=("*",), allow_methods=("*",)), _asked("POST", "x-api-key"), 400),
        (CorsConfig(allow_origins=("*",), allow_headers=("x-api-key",)), _asked("GET", "X-Api-Key"), 200),
        (CorsConfig(allow_origins=("https://other.example",)), _asked("GET"), 400),
    ],
)
def test_a_preflight_is_answered_by_what_is_allowed(config: CorsConfig, asked: HTTPHeaders, status: int) -> None:
    assert preflight(config, _PAGE, asked).status == status


def test_where_all_headers_are_allowed_the_browser_is_told_those_it_asked_for() -> None:
    told = preflight(CorsConfig(allow_origins=("*",), allow_headers=("*",)), _PAGE, _asked("GET", "x-a, x-b"))

    assert told.headers["Access-Control-Allow-Headers"] == "x-a, x-b"
    assert told.headers["Access-Control-Max-Age"] == "600"
