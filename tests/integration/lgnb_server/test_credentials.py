"""Who gets in, by which credentials, and what the authorizer is asked."""

from __future__ import annotations

from typing import Any, ClassVar

import httpx
import pytest
from jupyter_server.auth import Authorizer
from lgnb_server.routes import ROUTES

_ID = "00000000-0000-4000-8000-000000000000"
_TOKEN = "the-token-of-this-test"


class Recorder(Authorizer):
    """Allows nothing, and remembers what it was asked."""

    asked: ClassVar[list[tuple[str, str]]] = []
    users: ClassVar[list[str]] = []

    def is_authorized(self, handler: Any, user: Any, action: str, resource: str) -> bool:
        self.asked.append((action, resource))
        self.users.append(user.username)
        return False


def address_of(route: Any) -> str:
    path: str = route.public_path
    for name in route.parameters:
        path = path.replace(f"{{{name}}}", _ID)
    return path


async def count(client: httpx.AsyncClient, **headers: str) -> int:
    answer = await client.post("/threads/count", json={}, headers={k.replace("_", "-"): v for k, v in headers.items()})
    return answer.status_code


@pytest.fixture
def lgnb_config(lgnb_config: dict[str, Any]) -> dict[str, Any]:
    return lgnb_config | {"api_keys": "of-alice, of-bob"}


async def test_every_route_but_the_public_ones_refuses_a_stranger(jupyter: Any) -> None:
    for route in ROUTES:
        for headers in ({}, {"x-api-key": "wrong"}, {"Authorization": "Bearer wrong"}):
            answer = await jupyter.anonymous.request(route.method, address_of(route), headers=headers, content=b"{}")
            assert (answer.status_code == 401) is not route.public, (route.method, route.path, headers)
            if not route.public:
                assert set(answer.json()) == {"detail", "message"}


async def test_keys_and_the_jupyter_token_open_the_api_in_every_form_clients_use(jupyter: Any) -> None:
    own = jupyter.extension.host.keys.own

    for secret in (own, "of-alice", "of-bob", _TOKEN):
        assert await count(jupyter.anonymous, x_api_key=secret) == 200
        assert await count(jupyter.anonymous, Authorization=f"Bearer {secret}") == 200
        assert await count(jupyter.anonymous, Authorization=f"token {secret}") == 200
    assert await count(jupyter.anonymous, x_api_key="of-carol") == 401


async def test_a_foreign_key_beside_good_credentials_is_neither_an_error_nor_logged(jupyter: Any, caplog: Any) -> None:
    foreign = "lsv2_pt_key_of_another_service"

    assert await count(jupyter.anonymous, x_api_key=foreign, Authorization=f"Bearer {_TOKEN}") == 200
    assert await count(jupyter.anonymous, x_api_key=foreign) == 401

    assert foreign not in caplog.text
    assert _TOKEN not in caplog.text.replace("Config changed", "")[-4000:]


async def test_a_key_sets_no_cookie(jupyter: Any) -> None:
    answer = await jupyter.api.post("/threads/count", json={})

    assert "set-cookie" not in answer.headers


async def test_a_browser_needs_the_xsrf_token_beside_its_cookie(jupyter: Any) -> None:
    site = jupyter.url.removesuffix("lgnb")
    async with httpx.AsyncClient(base_url=jupyter.url) as browser:
        await browser.get(f"{site}login")
        await browser.get(f"{site}api/status", params={"token": _TOKEN})

        assert await count(browser) == 403
        assert await count(browser, X_XSRFToken=browser.cookies["_xsrf"]) == 200
        assert (await browser.get(f"/threads/{_ID}")).status_code == 404


class TestWithAuthenticationOff:
    @pytest.fixture
    def jupyter_config(self) -> dict[str, Any]:
        return {"IdentityProvider": {"token": ""}}

    async def test_a_script_may_do_everything_and_a_foreign_page_nothing(self, jupyter: Any) -> None:
        assert await count(jupyter.anonymous) == 200
        assert await count(jupyter.anonymous, Origin="https://evil.example") in (403, 404)
        assert await count(jupyter.anonymous, Sec_Fetch_Site="cross-site") == 403


class TestTheKeyOfWorkers:
    @pytest.fixture
    def lgnb_config(self, lgnb_config: dict[str, Any]) -> dict[str, Any]:
        return lgnb_config | {"worker_key": "of-the-workers"}

    @pytest.fixture
    def jupyter_config(self) -> dict[str, Any]:
        Recorder.users = []
        return {"ServerApp": {"authorizer_class": Recorder}}

    async def test_only_with_it_a_caller_is_taken_for_the_run_that_it_names(self, jupyter: Any) -> None:
        run = {"x_lgnb_run": _ID}

        assert await count(jupyter.anonymous, x_api_key="of-the-workers", **run) == 403
        assert await count(jupyter.anonymous, x_api_key="of-the-workers") == 403
        assert await count(jupyter.anonymous, x_api_key="of-alice", **run) == 403
        assert await count(jupyter.api, **run) == 403

        assert Recorder.users == [f"run-{_ID}", "lgnb-worker", "lgnb", "lgnb"]

    async def test_what_it_calls_a_run_must_be_an_id(self, jupyter: Any) -> None:
        assert await count(jupyter.anonymous, x_api_key="of-the-workers", x_lgnb_run="all") == 422


class TestWithAnAuthorizer:
    @pytest.fixture
    def jupyter_config(self) -> dict[str, Any]:
        Recorder.asked = []
        return {"ServerApp": {"authorizer_class": Recorder}}

    async def test_each_route_asks_for_its_own_action_and_resource_and_obeys(self, jupyter: Any) -> None:
        for route in ROUTES:
            Recorder.asked.clear()
            answer = await jupyter.api.request(route.method, address_of(route), content=b"{}")
            if route.public:
                assert Recorder.asked == []
            else:
                assert answer.status_code == 403
                assert Recorder.asked == [(route.action, route.resource)]
