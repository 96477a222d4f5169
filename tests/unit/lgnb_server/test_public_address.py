from __future__ import annotations

import pytest
from lgnb_server.public_address import public_root
from tornado.httputil import HTTPHeaders


def _root(headers: dict[str, str], *, base_url: str = "/", trusts_proxy: bool = True) -> str:
    protocol = headers.get("X-Forwarded-Proto", "http") if trusts_proxy else "http"
    return public_root(
        protocol=protocol,
        host="127.0.0.1:8888",
        headers=HTTPHeaders(headers),
        base_url=base_url,
        trusts_proxy=trusts_proxy,
    )


def test_without_a_proxy_it_is_the_host_that_the_client_named() -> None:
    assert _root({}, base_url="/user/ada/") == "http://127.0.0.1:8888/user/ada/"


def test_a_trusted_proxy_says_how_it_is_reached() -> None:
    headers = {"X-Forwarded-Proto": "https", "X-Forwarded-Host": "hub.example.org, inner", "X-Forwarded-Prefix": "/lab"}

    assert _root(headers) == "https://hub.example.org/lab/"
    assert _root(headers, base_url="/lab/") == "https://hub.example.org/lab/"
    assert _root(headers, base_url="/user/ada/") == "https://hub.example.org/lab/user/ada/"


def test_nobody_else_may_say_so() -> None:
    headers = {"X-Forwarded-Proto": "https", "X-Forwarded-Host": "evil.example.org", "X-Forwarded-Prefix": "/x"}

    assert _root(headers, trusts_proxy=False) == "http://127.0.0.1:8888/"


@pytest.mark.parametrize("host", ["a b", "x/y", "x?y", "<script>", "a@b", ""])
def test_a_host_that_is_none_is_left_alone(host: str) -> None:
    assert _root({"X-Forwarded-Host": host}) == "http://127.0.0.1:8888/"
