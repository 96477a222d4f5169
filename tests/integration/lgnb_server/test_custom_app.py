"""The operator's own application among our routes: FastAPI with middleware, and a plain Starlette without."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import websockets

_FASTAPI = """
from contextlib import asynccontextmanager

from fastapi import FastAPI, Request, WebSocket
from fastapi.responses import JSONResponse, StreamingResponse
from langgraph_sdk import get_client
from pydantic import BaseModel

seen = {"started": 0, "stopped": 0, "disconnected": 0, "pieces": 0}

@asynccontextmanager
async def lifespan(app):
    seen["started"] += 1
    yield {"greeting": "hello"}
    seen["stopped"] += 1

app = FastAPI(lifespan=lifespan)

class Refused(Exception): ...

class Run(BaseModel):
    note: str

@app.exception_handler(Refused)
async def refused(request, error):
    return JSONResponse({"refused": True}, status_code=418)

@app.middleware("http")
async def stamp(request: Request, call_next):
    answer = await call_next(request)
    answer.headers["x-stamp"] = request.headers.get("authorization", "nobody")[:6]
    return answer

@app.get("/info")
async def info(request: Request):
    return {"greeting": request.state.greeting, "base": str(request.base_url), "root": request.scope["root_path"]}

@app.get("/ok")
async def never():
    return "mine"

@app.post("/notes/{name}")
async def note(name: str, run: Run):
    return {"name": name, "note": run.note}

@app.get("/fails")
async def fails():
    raise ValueError("secret detail")

@app.get("/refuses")
async def refuses():
    raise Refused

@app.post("/size")
async def size(request: Request):
    async for chunk in request.stream():
        seen["pieces"] += 1
        seen["size"] = seen.get("size", 0) + len(chunk)
    return seen["size"]

@app.get("/drops")
async def drops():
    async def pieces():
        try:
            while True:
                yield b"x"
                import asyncio
                await asyncio.sleep(0.01)
        finally:
            seen["disconnected"] += 1
    return StreamingResponse(pieces(), headers={"set-cookie": "a=b"})

@app.get("/threads-of-all")
async def threads():
    return await get_client().threads.count()

@app.websocket("/echo")
async def echo(socket: WebSocket):
    if "no" in socket.query_params:
        await socket.close()
        return
    await socket.accept(subprotocol=next(iter(socket.scope["subprotocols"]), None))
    while True:
        text = await socket.receive_text()
        if text == "bye":
            await socket.close(4001, "bye")
            return
        await socket.send_text(text.upper())
"""

_STARLETTE = """
from starlette.applications import Starlette
from starlette.responses import JSONResponse, PlainTextResponse
from starlette.routing import Route

async def who(request):
    return JSONResponse({"user": request.user.display_name if "user" in request.scope else None})

async def home(request):
    return PlainTextResponse("home")

app = Starlette(routes=[Route("/who", who, methods=["GET", "POST"]), Route("/", home)])
hooked = Starlette()
hooked.router.on_startup = [print]
not_an_app = {}
"""


@pytest.fixture
def http_section() -> dict[str, Any]:
    return {"app": "./web.py:app"}


@pytest.fixture
def web(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Path:
    folder = tmp_path_factory.mktemp("web")
    # A module of its own for each test, since Python keeps what it has imported.
    (folder / "web.py").write_text(getattr(request, "param", _FASTAPI))
    return folder


@pytest.fixture
def lgnb_config(lgnb_config: dict[str, Any], http_section: dict[str, Any], web: Path) -> dict[str, Any]:
    name = f"web_{web.name.replace('-', '_')}"
    (web / "web.py").rename(web / f"{name}.py")
    section = json.loads(json.dumps(http_section).replace("./web.py", f"./{name}.py"))
    (web / "langgraph.json").write_text(
        json.dumps({"graphs": {"echo": "lgnb.testing.graphs:echo"}, "dependencies": ["."], "http": section})
    )
    return lgnb_config | {"langgraph_json": str(web / "langgraph.json")}


async def test_its_routes_come_first_and_the_rest_is_ours(jupyter: Any) -> None:
    info = (await jupyter.anonymous.get("/info")).json()
    note = await jupyter.api.post("/notes/one", json={"note": "hi"})
    wrong = await jupyter.api.post("/notes/one", json={})
    ours = await jupyter.api.post("/threads", json={})
    nothing = await jupyter.api.get("/nothing")

    assert info == {"greeting": "hello", "base": f"{jupyter.url.replace('%40', '@')}/", "root": "/a@b/lgnb"}
    assert note.json() == {"name": "one", "note": "hi"}
    assert (wrong.status_code, wrong.json()["detail"][0]["loc"]) == (422, ["body", "note"])
    assert (ours.status_code, ours.json()["status"]) == (200, "idle")
    assert (nothing.status_code, nothing.json()["detail"]) == (404, "Not Found")
    assert (await jupyter.api.get("/ok")).json()["ok"] is True


async def test_its_middleware_sees_every_request_and_credentials_are_looked_at_behind_it(jupyter: Any) -> None:
    stranger = await jupyter.anonymous.post("/threads", json={}, headers={"Authorization": "Bearer wrong"})
    known = await jupyter.api.post("/threads/count", json={}, headers={"Authorization": "Bearer other"})
    public = await jupyter.anonymous.get("/ok")

    assert (stranger.status_code, stranger.headers["x-stamp"]) == (401, "Bearer")
    assert (known.status_code, known.json(), known.headers["x-stamp"]) == (200, 0, "Bearer")
    assert (public.status_code, public.headers["x-stamp"]) == (200, "nobody")


async def test_its_exceptions_are_handled_by_it_and_tell_nothing(jupyter: Any) -> None:
    refuses = await jupyter.anonymous.get("/refuses")
    fails = await jupyter.anonymous.get("/fails")

    assert (refuses.status_code, refuses.json()) == (418, {"refused": True})
    assert (fails.status_code, "secret" in fails.text) == (500, False)


async def test_a_long_body_arrives_in_pieces_and_one_that_is_too_long_is_refused(jupyter: Any) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(50):
            yield b"x" * 100_000

    answer = await jupyter.api.post("/size", content=pieces())

    assert answer.json() == 5_000_000
    assert _seen(jupyter)["pieces"] > 10
    limit = jupyter.extension.host.settings.max_body_bytes
    head = f"POST /a%40b/lgnb/size HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {limit + 1}\r\n\r\n"
    reader, writer = await asyncio.open_connection("127.0.0.1", jupyter.app.port)
    writer.write(head.encode())
    assert b" 413 " in await asyncio.wait_for(reader.readline(), 10)
    writer.close()


async def test_an_answer_flows_in_pieces_and_the_application_hears_when_the_client_leaves(jupyter: Any) -> None:
    async with jupyter.api.stream("GET", "/drops") as answer:
        assert answer.headers["set-cookie"] == "a=b"
        first = await anext(answer.aiter_raw())
        assert first.startswith(b"x")

    async with asyncio.timeout(10):
        while _seen(jupyter)["disconnected"] == 0:
            await asyncio.sleep(0.02)


async def test_a_websocket_is_accepted_answered_closed_and_refused_by_it(jupyter: Any) -> None:
    address = jupyter.url.replace("http://", "ws://") + "/echo"

    async with websockets.connect(address, subprotocols=["a", "b"]) as socket:
        await socket.send("hello")
        assert await socket.recv() == "HELLO"
        assert socket.subprotocol == "a"
        await socket.send("bye")
        with pytest.raises(websockets.ConnectionClosed) as closed:
            await socket.recv()
        assert (closed.value.rcvd.code, closed.value.rcvd.reason) == (4001, "bye")
    with pytest.raises(websockets.InvalidStatus) as refused:
        async with websockets.connect(address + "?no=1"):
            pass
    assert refused.value.response.status_code == 403


async def test_a_client_without_a_url_reaches_this_server(jupyter: Any) -> None:
    await jupyter.api.post("/threads", json={})

    assert (await jupyter.anonymous.get("/threads-of-all")).json() == 1


async def test_its_description_is_merged_with_ours(jupyter: Any) -> None:
    document = (await jupyter.api.get("/openapi.json")).json()

    assert "/notes/{name}" in document["paths"]
    assert "/threads" in document["paths"]
    assert document["paths"]["/ok"]["get"]["summary"] == "Ask whether runs can execute."
    reference = document["paths"]["/notes/{name}"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    assert document["components"]["schemas"]["AppRun"]["required"] == ["note"]
    assert reference == {"$ref": "#/components/schemas/AppRun"}
    assert "thread_id" in document["components"]["schemas"]["Run"]["properties"]


async def test_its_life_is_around_that_of_the_server(jupyter: Any) -> None:
    seen = _seen(jupyter)
    assert (seen["started"], seen["stopped"]) == (1, 0)

    await jupyter.extension.stop_extension()

    assert seen["stopped"] == 1


@pytest.mark.parametrize("web", [_STARLETTE], indirect=True)
@pytest.mark.parametrize("http_section", [{"app": "./web.py:app", "enable_custom_route_auth": True}])
async def test_its_routes_ask_for_credentials_where_that_is_configured(jupyter: Any) -> None:
    stranger = await jupyter.anonymous.post("/who")
    known = await jupyter.api.post("/who")

    assert (stranger.status_code, set(stranger.json())) == (401, {"detail", "message"})
    assert known.json() == {"user": "lgnb"}
    assert (await jupyter.api.get("/")).text == "home"
    assert (await jupyter.api.delete("/who")).status_code == 405


@pytest.mark.parametrize("http_section", [{"app": "./web.py:app", "middleware_order": "auth_first"}])
async def test_credentials_come_before_the_middleware_where_that_is_configured(jupyter: Any) -> None:
    stranger = await jupyter.anonymous.post("/threads/count", json={})
    open_route = await jupyter.anonymous.get("/info")
    known = await jupyter.api.post("/threads/count", json={})

    assert (stranger.status_code, "x-stamp" in stranger.headers) == (401, False)
    assert (open_route.status_code, known.json(), known.headers["x-stamp"]) == (200, 0, "nobody")
    assert (await jupyter.anonymous.get("/ok")).status_code == 200


@pytest.mark.parametrize("http_section", [{"app": "./web.py:app", "mount_prefix": "/v1", "disable_store": True}])
async def test_a_prefix_moves_the_application_too(jupyter: Any) -> None:
    info = (await jupyter.anonymous.get("/v1/info")).json()

    assert info["root"] == "/a@b/lgnb/v1"
    assert (await jupyter.api.post("/v1/threads", json={})).status_code == 200
    assert (await jupyter.api.post("/threads", json={})).status_code == 404
    assert (await jupyter.api.post("/v1/store/items/search", json={})).status_code == 404
    assert [(await jupyter.api.get(path)).status_code for path in ("/ok", "/metrics", "/info")] == [200, 200, 404]
    assert jupyter.extension.api_url.endswith("/lgnb/v1")


@pytest.mark.parametrize("web", [_STARLETTE], indirect=True)
@pytest.mark.parametrize(
    ("http_section", "sentence"),
    [
        ({"app": "./web.py:hooked"}, "lifespan"),
        ({"app": "./web.py:not_an_app"}, "Starlette or FastAPI"),
        ({"app": "./web.py:gone"}, "no variable 'gone'"),
        ({"app": "./gone.py:app"}, "gone.py"),
    ],
)
async def test_what_is_no_application_is_refused_at_the_start(jupyter: Any, sentence: str) -> None:
    answer = await jupyter.api.post("/threads", json={})

    assert answer.status_code == 503
    assert sentence in answer.json()["detail"]


@pytest.mark.parametrize(
    "web",
    ["from starlette.applications import Starlette\nfrom contextlib import asynccontextmanager\n"
     "@asynccontextmanager\nasync def life(app):\n    raise RuntimeError('no tea')\n    yield\n"
     "app = Starlette(lifespan=life)\n"],
    indirect=True,
)  # fmt: skip
async def test_an_application_that_does_not_start_says_why(jupyter: Any) -> None:
    answer = await jupyter.api.post("/threads", json={})

    assert answer.status_code == 503
    assert "no tea" in answer.json()["detail"]


def _seen(jupyter: Any) -> dict[str, int]:
    import sys

    app = jupyter.extension.host.application._app
    route = next(route for route in app.routes if route.path == "/size")
    return vars(sys.modules[route.endpoint.__module__])["seen"]
