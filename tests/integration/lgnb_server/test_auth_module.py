"""An auth module in a Jupyter server: what it is asked, what a browser may do, and what happens when it cannot work."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import websockets

_MODULE = """
from langgraph_sdk import Auth

auth = Auth()


@auth.authenticate
async def authenticate(request, path):
    name = request.cookies.get("session") or request.headers.get("x-name")
    if name is None:
        raise Auth.exceptions.HTTPException(401, "No name.", {"WWW-Authenticate": "Name"})
    if name == "broken":
        return None
    return {"identity": name, "path": path}


@auth.on.threads.create
async def deny(ctx, value):
    raise Auth.exceptions.HTTPException(429, f"{ctx.user.identity} made too many, at {ctx.user.path}.")


@auth.on.crons
async def senseless(ctx, value):
    return 1
"""


@pytest.fixture
def module() -> str:
    return _MODULE


@pytest.fixture
def lgnb_config(lgnb_config: dict[str, Any], module: str, tmp_path: Path) -> dict[str, Any]:
    # Not in the folder of the notebooks, where every server would find it.
    project = tmp_path / "project"
    project.mkdir()
    openapi = {
        "securitySchemes": {"name": {"type": "apiKey", "in": "header", "name": "x-name"}},
        "security": [{"name": []}],
        "paths": {"/own": {"get": {"summary": "Own."}}},
    }
    content = {"graphs": {"g": "g:g"}, "auth": {"path": "./auth.py:auth", "openapi": openapi}}
    (project / "auth.py").write_text(module)
    (project / "langgraph.json").write_text(json.dumps(content))
    return lgnb_config | {"langgraph_json": str(project / "langgraph.json")}


async def test_the_module_is_asked_and_what_it_says_is_answered(jupyter: Any) -> None:
    http = jupyter.anonymous

    refused = await http.post("/threads/search", json={})
    assert (refused.status_code, refused.json()["detail"]) == (401, "No name.")
    assert refused.headers["www-authenticate"] == "Name"
    assert (await http.post("/threads/search", json={}, headers={"x-name": "a"})).json() == []
    limited = await http.post("/threads", json={}, headers={"x-name": "a"})
    assert (limited.status_code, limited.json()["detail"]) == (429, "a made too many, at /threads.")
    assert (await http.post("/threads/search", json={}, headers={"x-name": "broken"})).status_code == 500
    assert (await http.post("/runs/crons/search", json={}, headers={"x-name": "a"})).status_code == 500
    assert (await jupyter.api.post("/threads/search", json={})).status_code == 401
    assert (await http.get("/no-such-path")).status_code == 401


async def test_a_foreign_page_cannot_use_the_cookie_that_a_module_accepts(jupyter: Any) -> None:
    own = jupyter.url.split("/a%40b")[0]
    cookie = {"Cookie": "session=alice"}

    async def post(**headers: str) -> int:
        # The fixture's client takes cookies away, so this one is put back behind it.
        request = jupyter.api.build_request("POST", "/threads/search", json={}, headers=cookie | headers)
        del request.headers["x-api-key"]
        return (await jupyter.api.send(request)).status_code

    assert await post() == 200
    assert await post(Origin=own) == 200
    assert await post(Origin="https://evil.example") in (403, 404)
    assert await post(Origin="null") in (403, 404)


async def test_the_reference_names_the_credentials_of_the_module(jupyter: Any) -> None:
    document = (await jupyter.anonymous.get("/openapi.json")).json()

    assert list(document["components"]["securitySchemes"]) == ["name"]
    assert document["paths"]["/threads"]["post"]["security"] == [{"name": []}]
    assert document["paths"]["/info"]["get"]["security"] == []
    assert document["paths"]["/own"] == {"get": {"summary": "Own."}}


class TestWithAModuleThatDoesNotLoad:
    @pytest.fixture
    def module(self) -> str:
        return "raise RuntimeError('no key')"

    async def test_everything_answers_503_with_the_reason(self, jupyter: Any) -> None:
        reason = "auth.path './auth.py:auth' cannot be loaded: RuntimeError: no key"
        for client in (jupyter.anonymous, jupyter.api):
            for method, path in (("POST", "/threads/search"), ("GET", "/ok"), ("GET", "/nothing"), ("POST", "/runs")):
                answer = await client.request(method, path, content=b"{}")
                assert (answer.status_code, answer.json()["detail"]) == (503, reason), path
        assert (await jupyter.anonymous.get(f"{jupyter.url.removesuffix('lgnb')}api")).status_code == 200


class TestOwnersOnAPlainServer:
    @pytest.fixture
    def lgnb_config(self, lgnb_config: dict[str, Any]) -> dict[str, Any]:
        return {key: value for key, value in lgnb_config.items() if key != "langgraph_json"} | {"ownership": "always"}

    async def test_a_key_or_a_token_names_nobody_and_owns_nothing(self, jupyter: Any) -> None:
        bearer = {"Authorization": f"Bearer {jupyter.app.identity_provider.token}"}

        assert (await jupyter.api.post("/threads", json={})).status_code == 403
        assert (await jupyter.anonymous.post("/threads", json={}, headers=bearer)).status_code == 403
        assert (await jupyter.anonymous.post("/threads", json={})).status_code == 401

    async def test_the_key_stands_for_the_one_user_of_a_hubs_server(
        self, jupyter: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(jupyter.extension.host.owners, "_of_server", "alice")

        assert (await jupyter.api.post("/threads", json={})).json()["metadata"] == {"owner": "alice"}


_APPLICATION = """
from langgraph_sdk import get_client
from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Route, WebSocketRoute


async def who(request):
    user = request.user if "user" in request.scope else None
    return JSONResponse({
        "name": user and user.identity,
        "shown": user and user.display_name,
        "path": user and user.path,
        "scopes": user and list(request.auth.scopes),
        "body": (await request.body()).decode(),
    })


async def count(request):
    return JSONResponse(await get_client().threads.count())


async def echo(socket):
    await socket.accept()
    await socket.send_text(socket.user.identity if "user" in socket.scope else "nobody")
    await socket.close()


app = Starlette(
    routes=[Route("/who", who, methods=["GET", "POST"]), Route("/count", count), WebSocketRoute("/echo", echo)]
)
"""


class TestWithAnApplication:
    """Routes of `http.app` beside an auth module."""

    @pytest.fixture
    def http_section(self) -> dict[str, Any]:
        return {"enable_custom_route_auth": True}

    @pytest.fixture
    def module(self) -> str:
        return _MODULE.replace('"path": path}', '"path": path, "permissions": ["tea"]}')

    @pytest.fixture
    def lgnb_config(self, lgnb_config: dict[str, Any], http_section: dict[str, Any]) -> dict[str, Any]:
        file = Path(lgnb_config["langgraph_json"])
        # A module of its own for each test, since Python keeps what it has imported.
        name = f"web_{uuid4().hex}"
        (file.parent / f"{name}.py").write_text(_APPLICATION)
        content = json.loads(file.read_text()) | {"http": {"app": f"./{name}.py:app", **http_section}}
        file.write_text(json.dumps(content))
        return lgnb_config

    async def test_its_routes_go_through_the_module_and_know_the_caller(self, jupyter: Any) -> None:
        http = jupyter.anonymous
        refused = await http.get("/who")
        known = await http.post("/who", content=b"hello", headers={"x-name": "alice"})

        assert (refused.status_code, refused.json()["detail"]) == (401, "No name.")
        assert refused.headers["www-authenticate"] == "Name"
        assert known.json() == {
            "name": "alice",
            "shown": "alice",
            "path": "/who",
            "scopes": ["authenticated", "tea"],
            "body": "hello",
        }
        # No other way in: neither the keys of the server nor Jupyter's token.
        assert (await jupyter.api.get("/who")).status_code == 401
        bearer = {"Authorization": f"Bearer {jupyter.app.identity_provider.token}"}
        assert (await http.get("/who", headers=bearer)).status_code == 401
        assert (await http.get("/count", headers={"x-name": "alice"})).json() == 0

    async def test_a_foreign_page_cannot_use_the_cookie_of_a_caller_on_them(self, jupyter: Any) -> None:
        request = jupyter.api.build_request(
            "POST", "/who", headers={"Cookie": "session=alice", "Origin": "https://evil.example"}
        )
        assert (await jupyter.api.send(request)).status_code in (403, 404)

    async def test_their_sockets_ask_the_module_too(self, jupyter: Any) -> None:
        address = jupyter.url.replace("http://", "ws://") + "/echo"

        async with websockets.connect(address, additional_headers={"x-name": "alice"}) as socket:
            assert await socket.recv() == "alice"
        handshake = {"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13"}
        key = {"Sec-WebSocket-Key": "bGduYiBzYXlzIGhlbGxvIQ=="}
        assert (await jupyter.anonymous.get("/echo", headers=handshake | key)).status_code == 401

    @pytest.mark.parametrize("http_section", [{"enable_custom_route_auth": True, "middleware_order": "auth_first"}])
    async def test_the_module_may_come_before_the_middleware(self, jupyter: Any) -> None:
        assert (await jupyter.anonymous.get("/who")).status_code == 401
        known = await jupyter.anonymous.get("/who", headers={"x-name": "alice"})
        assert (known.status_code, known.json()["name"]) == (200, "alice")

    @pytest.mark.parametrize("http_section", [{}])
    async def test_they_are_open_where_nothing_else_is_said(self, jupyter: Any) -> None:
        assert (await jupyter.anonymous.get("/who")).json()["name"] is None
        assert (await jupyter.anonymous.post("/threads/search", json={})).status_code == 401
