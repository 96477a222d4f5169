"""Whose request counts as whose."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from jupyter_server.auth import IdentityProvider, User
from lgnb_server.callers import KEY_USER_NAME, caller_of

from lgnb.models.access import Unrestricted
from lgnb.models.identity import Caller


class OfAHub(IdentityProvider):
    """Knows the user behind each token."""


def request(
    *,
    user: str,
    provider: type[IdentityProvider] = IdentityProvider,
    by_token: bool = True,
    known: str | None = None,
    **headers: str,
) -> Any:
    names = {name.replace("_", "-").title(): value for name, value in headers.items()}
    return SimpleNamespace(
        identity_provider=provider(token="t"),
        current_user=User(username=user),
        token_authenticated=by_token,
        access=Unrestricted(Caller(known) if known else None),
        request=SimpleNamespace(headers=names),
    )


def test_a_token_is_one_caller_although_jupyter_makes_up_a_user_for_each_request() -> None:
    first = caller_of(request(user="random-1", authorization="Bearer secret"))
    second = caller_of(request(user="random-2", authorization="token secret"))

    assert first == second
    assert "secret" not in first
    assert first != caller_of(request(user="random-1", authorization="Bearer other"))


@pytest.mark.parametrize("provider", [IdentityProvider, OfAHub])
def test_each_key_of_the_server_is_a_caller(provider: type[IdentityProvider]) -> None:
    keys = [caller_of(request(user=KEY_USER_NAME, provider=provider, x_api_key=key)) for key in ("one", "two", "one")]

    assert keys[0] == keys[2] != keys[1]


def test_a_user_of_a_hub_is_one_caller_whatever_his_token() -> None:
    callers = {caller_of(request(user="ada", provider=OfAHub, authorization=f"token {t}")) for t in ("a", "b")}

    assert callers == {"user ada"}


def test_whoever_has_a_session_counts_by_name() -> None:
    assert caller_of(request(user="ada", by_token=False)) == "user ada"


def test_a_run_that_calls_counts_for_whoever_started_it() -> None:
    by_run = request(user="run-1", known="ada", x_api_key="the key of workers")

    assert caller_of(by_run) == caller_of(request(user="ada", known="ada", by_token=False)) == "user ada"
