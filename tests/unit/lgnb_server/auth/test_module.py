"""Auth modules: what they may ask for and return, which handler decides, and what its answer means."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from langgraph_sdk import Auth
from lgnb_server.auth.dispatch import HandlerFailed
from lgnb_server.auth.module import AuthModule, AuthModuleFailed, caller_of, load_auth
from lgnb_server.auth.requests import RequestFacts
from lgnb_server.auth.section import AuthSection, CacheSection
from starlette.requests import Request
from tornado.httputil import HTTPHeaders, HTTPServerRequest, RequestStartLine

from lgnb.errors import AccessDenied, SettingsError
from lgnb.graphs.project import Project
from lgnb.models.access import Condition
from lgnb.models.identity import Caller


class Connection:
    """As much of a connection as a request looks at."""

    context: Any = None
    no_keep_alive = False

    def set_close_callback(self, callback: Any) -> None:
        """Nothing closes here."""


def facts(path: str = "/base/lgnb/threads/t?a=1", body: bytes = b"", **headers: str) -> RequestFacts:
    request = HTTPServerRequest(
        start_line=RequestStartLine("POST", path, "HTTP/1.1"),
        headers=HTTPHeaders({"Host": "here"} | {name.replace("_", "-"): value for name, value in headers.items()}),
        body=body,
        connection=Connection(),  # pyright: ignore[reportArgumentType]
    )
    return RequestFacts(request, root="/base/lgnb", path_params={"thread_id": "t"})


def module(authenticate: Any, **section: Any) -> AuthModule:
    auth = Auth()
    auth.authenticate(authenticate)
    return AuthModule(auth, AuthSection(**section))


async def test_parameters_are_filled_by_their_names() -> None:
    seen: dict[str, Any] = {}

    async def authenticate(
        request: Request,
        body: dict,
        user: Any,
        path: str,
        method: str,
        scopes: list[str],
        scope: dict,
        path_params: dict,
        query_params: dict,
        headers: dict[bytes, bytes],
        authorization: str | None,
        other: int = 3,
        **more: Any,
    ) -> str:
        seen.update(locals())
        seen["sent"] = await request.json()
        return "alice"

    caller = await module(authenticate).authenticate(facts(body=b'{"x": 1}', Authorization="Bearer b", X_Own="o"))

    assert caller.identity == "alice"
    assert (seen["body"], seen["sent"], seen["path"], seen["method"]) == ({"x": 1}, {"x": 1}, "/threads/t", "POST")
    assert (seen["path_params"], seen["query_params"]) == ({"thread_id": "t"}, {"a": "1"})
    assert (seen["headers"][b"x-own"], seen["authorization"]) == (b"o", "Bearer b")
    assert (seen["request"].headers["x-own"], seen["scope"]["path"]) == ("o", "/base/lgnb/threads/t")
    assert (seen["user"], seen["scopes"], seen["other"], seen["more"]) == (None, [], 3, {})


async def test_a_function_that_is_not_async_runs_in_a_thread() -> None:
    threads: list[int] = []

    def authenticate(path: str) -> str:
        threads.append(threading.get_ident())
        return "alice"

    await module(authenticate).authenticate(facts())

    assert threads != [threading.get_ident()]


async def test_a_dependency_is_called_first() -> None:
    class Depends:
        def __init__(self, dependency: Any) -> None:
            self.dependency = dependency

    async def key(headers: dict[bytes, bytes]) -> str:
        return headers[b"x-key"].decode()

    def authenticate(key: str = Depends(key)) -> str:  # pyright: ignore[reportArgumentType]
        return f"holder of {key}"

    assert (await module(authenticate).authenticate(facts(X_Key="k"))).identity == "holder of k"


@dataclass
class User:
    identity: str
    org: str = "x"

    def is_admin(self) -> bool:
        return self.org == "x"


def test_every_form_of_a_caller_is_understood() -> None:
    assert caller_of("alice").as_dict() == {
        "identity": "alice",
        "is_authenticated": True,
        "display_name": "alice",
        "permissions": [],
    }
    assert caller_of({"identity": "a", "permissions": ["p"], "org": "x"}).as_dict() == {
        "identity": "a",
        "is_authenticated": True,
        "display_name": "a",
        "org": "x",
        "permissions": ["p"],
    }
    assert caller_of(User("a"))["org"] == "x"
    assert caller_of(User("a")).is_admin()
    assert (caller_of((["p"], "a")).permissions, caller_of((["p"], User("a"))).org) == (["p"], "x")


@pytest.mark.parametrize("result", [None, 1, "", {}, {"identity": 1}, [], object()])
def test_anything_else_lets_nobody_in(result: Any) -> None:
    with pytest.raises(AuthModuleFailed, match="identity"):
        caller_of(result)


async def test_only_401_and_403_are_refusals() -> None:
    def raising(status: int) -> AuthModule:
        async def authenticate() -> str:
            raise Auth.exceptions.HTTPException(status, "no", {"X-Why": "because"})

        return module(authenticate)

    for status in (401, 403):
        with pytest.raises(AccessDenied, match="no") as refused:
            await raising(status).authenticate(facts())
        assert (refused.value.status, refused.value.headers) == (status, {"X-Why": "because"})
    with pytest.raises(AuthModuleFailed):
        await raising(429).authenticate(facts())


async def test_studio_is_let_in_only_where_that_was_asked_for() -> None:
    async def authenticate() -> str:
        return "alice"

    studio = {"X_Auth_Scheme": "langsmith"}

    assert (await module(authenticate).authenticate(facts(**studio))).identity == "alice"
    opened = module(authenticate, disable_studio_auth=False)
    assert (await opened.authenticate(facts(**studio))).identity == "langgraph-studio-user"
    assert (await opened.authenticate(facts())).identity == "alice"


async def test_the_cache_knows_callers_by_their_headers_until_their_time_is_over(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[str | None] = []

    async def authenticate(authorization: str | None) -> str:
        asked.append(authorization)
        if authorization is None:
            raise Auth.exceptions.HTTPException
        return authorization

    cached = module(authenticate, cache=CacheSection(cache_keys=["authorization"], ttl_seconds=10, max_size=2))
    now = 100.0
    monkeypatch.setattr("lgnb_server.auth.module.time.monotonic", lambda: now)

    for name in ("a", "a", "b", "a", "c", "b", "a"):
        assert (await cached.authenticate(facts(Authorization=name))).identity == name
    assert asked == ["a", "b", "c", "a"]
    now += 11
    await cached.authenticate(facts(Authorization="a"))
    assert asked[-1:] == ["a"]
    for _ in range(2):
        with pytest.raises(AccessDenied):
            await cached.authenticate(facts())
    assert asked[-2:] == [None, None]


class TestHandlers:
    def access(self, auth: Auth, name: str = "alice") -> Any:
        auth.authenticate(self._anybody)
        return AuthModule(auth, AuthSection()).access_of(Caller(name, permissions=["p"]))

    @staticmethod
    async def _anybody() -> str:
        return "alice"

    async def test_exactly_the_most_specific_one_decides(self) -> None:
        auth = Auth()
        called: list[str] = []

        def named(name: str) -> Any:
            async def handler(ctx: Any, value: Any) -> None:
                called.append(name)

            return handler

        auth.on(named("global"))
        auth.on(actions="read")(named("*.read"))
        auth.on.threads(named("threads.*"))
        auth.on.threads.create(named("threads.create"))
        access = self.access(auth)

        for question in (("threads", "create"), ("threads", "read"), ("crons", "read"), ("crons", "delete")):
            await access.ask(*question, {})
        assert called == ["threads.create", "threads.*", "*.read", "global"]

    async def test_without_a_handler_it_is_allowed(self) -> None:
        assert await self.access(Auth()).ask("threads", "delete", {}) is None

    async def test_the_handler_is_told_who_wants_what_and_may_change_it(self) -> None:
        auth = Auth()
        seen: list[Any] = []

        @auth.on
        async def handler(ctx: Any, value: Any) -> dict[str, Any]:
            seen.append((ctx.user.identity, list(ctx.permissions), ctx.resource, ctx.action))
            value["metadata"] = {"owner": ctx.user.identity}
            return {"owner": ctx.user.identity}

        value: dict[str, Any] = {}

        assert await self.access(auth).ask("threads", "create", value) == Condition({"owner": "alice"})
        assert (seen, value) == ([("alice", ["p"], "threads", "create")], {"metadata": {"owner": "alice"}})

    async def test_what_the_answers_mean(self) -> None:
        async def ask(outcome: Any) -> Any:
            auth = Auth()

            @auth.on
            async def handler(ctx: Any, value: Any) -> Any:
                if isinstance(outcome, Exception):
                    raise outcome
                return outcome

            return await self.access(auth).ask("threads", "read", {})

        assert [await ask(outcome) for outcome in (None, True, {})] == [None, None, None]
        for outcome, status in (
            (False, 403),
            (AssertionError("not yours"), 403),
            (Auth.exceptions.HTTPException(404, "gone"), 404),
        ):
            with pytest.raises(AccessDenied) as refused:
                await ask(outcome)
            assert refused.value.status == status
        for outcome in ("yes", 1, {"$or": []}, {"a": {"$gt": 1}}):
            with pytest.raises(HandlerFailed):
                await ask(outcome)
        with pytest.raises(ZeroDivisionError):
            await ask(ZeroDivisionError())

    async def test_of_the_store_only_search_takes_a_filter(self, caplog: pytest.LogCaptureFixture) -> None:
        auth = Auth()

        @auth.on
        async def handler(ctx: Any, value: Any) -> dict[str, Any]:
            return {"owner": "alice"}

        access = self.access(auth)

        assert await access.ask("store", "search", {}) == Condition({"owner": "alice"})
        assert [await access.ask("store", "get", {}) for _ in range(3)] == [None, None, None]
        assert caplog.text.count("store.get returned a filter") == 1


_BROKEN = {
    "no file": (None, "there is no file"),
    "raises": ("raise RuntimeError('no key')", "RuntimeError: no key"),
    "exits": ("import sys; sys.exit('stop')", "SystemExit: stop"),
    "no variable": ("x = 1", "has no variable 'auth'"),
    "no Auth": ("auth = 1", "it is a int, but must be an Auth"),
    "no authenticate": ("from langgraph_sdk import Auth\nauth = Auth()", "@auth.authenticate"),
    "a parameter too many": (
        "from langgraph_sdk import Auth\nauth = Auth()\n"
        "@auth.authenticate\nasync def who(header: str) -> str:\n    return header",
        "who.. has a parameter 'header' that nothing can fill",
    ),
    "yields": (
        "from langgraph_sdk import Auth\nauth = Auth()\n@auth.authenticate\nasync def who():\n    yield 'a'",
        "who.. yields",
    ),
}


@pytest.mark.parametrize("case", _BROKEN)
def test_a_module_that_cannot_do_its_work_stops_the_start_with_a_sentence(case: str, tmp_path: Path) -> None:
    text, problem = _BROKEN[case]
    if text is not None:
        (tmp_path / "auth.py").write_text(text)
    config = tmp_path / "langgraph.json"
    config.write_text('{"graphs": {"g": "g:g"}}')

    with pytest.raises(SettingsError, match=problem):
        load_auth(AuthSection(path="./auth.py:auth"), Project.load(config))


def test_without_a_path_there_is_no_module() -> None:
    assert load_auth(AuthSection(), Project.builtin()) is None
