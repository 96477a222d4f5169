"""Under a JupyterHub, what would let users cross is refused at the start, and the reason is told to whoever asks."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

import pytest
from jupyter_server.auth import IdentityProvider, User
from tornado.web import HTTPError

_OF_A_SERVICE = {
    "JUPYTERHUB_SERVICE_NAME": "agents",
    "JUPYTERHUB_SERVICE_URL": "http://127.0.0.1:10101",
    "JUPYTERHUB_SERVICE_PREFIX": "/services/agents/",
    "JUPYTERHUB_API_TOKEN": "t",
    "JUPYTERHUB_API_URL": "http://127.0.0.1:8081/hub/api",
}


class TestAWholeJupyterServerAsAService:
    @pytest.fixture(autouse=True)
    def _as_a_service(self, monkeypatch: pytest.MonkeyPatch) -> None:
        for name, value in _OF_A_SERVICE.items():
            monkeypatch.setenv(name, value)

    async def test_does_not_serve_the_api(self, jupyter: Any) -> None:
        answer = await jupyter.api.post("/threads/search", json={})

        assert answer.status_code == 503
        assert "each of them could run code as its account" in answer.json()["detail"]


class TestTheServerOfOneUserOnADatabaseOfMany:
    @pytest.fixture(autouse=True)
    def _of_alice(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("JUPYTERHUB_API_TOKEN", "t")
        monkeypatch.setenv("JUPYTERHUB_USER", "alice")

    @pytest.fixture
    def lgnb_config(self, lgnb_config: dict[str, Any], request: pytest.FixtureRequest) -> dict[str, Any]:
        return lgnb_config | {"workers": request.param}

    @pytest.mark.parametrize("lgnb_config", [1], indirect=True)
    async def test_starts_no_workers(self, jupyter: Any) -> None:
        answer = await jupyter.api.post("/threads/search", json={})

        assert answer.status_code == 503
        assert "Set LGNB_WORKERS=0 and run `lgnb worker` apart" in answer.json()["detail"]

    @pytest.mark.parametrize("lgnb_config", [0], indirect=True)
    async def test_owns_what_its_own_key_makes(self, jupyter: Any) -> None:
        assert (await jupyter.api.post("/threads", json={})).json()["metadata"] == {"owner": "alice"}


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"LGNB_TOKEN": "one-for-all"}, "is opened by the tokens of its users; leave out --token and LGNB_TOKEN"),
        ({"JUPYTERHUB_SERVICE_PREFIX": ""}, "has no address: give it a url"),
    ],
)
def test_a_service_that_cannot_be_one_says_why_and_ends(changes: dict[str, str], reason: str) -> None:
    ended = subprocess.run(
        [sys.executable, "-P", "-m", "lgnb", "serve"],
        env=os.environ | _OF_A_SERVICE | changes,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert (ended.returncode, ended.stdout) == (2, "")
    assert reason in ended.stderr
    assert "Traceback" not in ended.stderr


class HubIsAway(IdentityProvider):
    """What the Hub's own provider does when it cannot ask the Hub."""

    async def get_user(self, handler: Any) -> User | None:
        raise HTTPError(500, "Failed to connect to Hub API at 'http://10.0.0.7:8081/hub/api'.")


class TestWhileTheHubIsAway:
    @pytest.fixture
    def jupyter_config(self) -> dict[str, Any]:
        return {"ServerApp": {"identity_provider_class": HubIsAway}}

    async def test_nobody_gets_in_and_the_answer_says_to_come_back_and_not_where_the_hub_is(
        self, jupyter: Any, caplog: pytest.LogCaptureFixture
    ) -> None:
        answer = await jupyter.anonymous.post("/threads", json={}, headers={"Authorization": "token of-alice"})

        assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
        assert "10.0.0.7" not in answer.text
        assert "10.0.0.7" in caplog.text


class OfTheHub(IdentityProvider):
    """Knows a user and a service of the same name, by tokens that say which they are."""

    async def get_user(self, handler: Any) -> User | None:
        kind = self.get_token(handler)
        if kind not in ("user", "service"):
            return None
        handler._token_authenticated = True
        user = User("alice")
        user.hub_user = {"name": "alice", "kind": kind}  # pyright: ignore[reportAttributeAccessIssue]
        return user


_APPLICATION = """
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route


async def who(request):
    return PlainTextResponse(request.user.identity)


app = Starlette(routes=[Route("/who", who)])
"""


class TestAnApplicationOfTheOperator:
    @pytest.fixture
    def jupyter_config(self) -> dict[str, Any]:
        return {"ServerApp": {"identity_provider_class": OfTheHub}}

    @pytest.fixture
    def lgnb_config(self, lgnb_config: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
        project = tmp_path_factory.mktemp("project")
        # A module of its own, since Python keeps what it has imported.
        (project / "hub_web.py").write_text(_APPLICATION)
        content = {"graphs": {"g": "g:g"}, "http": {"app": "./hub_web.py:app", "enable_custom_route_auth": True}}
        (project / "langgraph.json").write_text(json.dumps(content))
        return lgnb_config | {"langgraph_json": str(project / "langgraph.json"), "ownership": "always"}

    async def test_knows_a_caller_by_the_name_under_which_he_owns(self, jupyter: Any) -> None:
        async def ask(kind: str) -> tuple[int, str]:
            answer = await jupyter.anonymous.get("/who", headers={"Authorization": f"token {kind}"})
            return answer.status_code, answer.text

        assert await ask("user") == (200, "alice")
        assert await ask("service") == (200, "service:alice")
        assert (await ask("nobody"))[0] == 401
