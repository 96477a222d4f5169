"""What goes over the wire: shapes, headers, refusals."""

from __future__ import annotations

import re
from typing import Any
from uuid import uuid4

import pytest

_MISSING = "01980000-0000-7000-8000-000000000000"


async def test_readiness_and_the_reference_need_no_credentials(jupyter: Any) -> None:
    for path in ("/ok", "/", "", "/info", "/metrics", "/metrics?format=json", "/docs", "/openapi.json"):
        assert (await jupyter.anonymous.get(path)).status_code == 200, path

    assert (await jupyter.anonymous.get("/ok")).json() == {"ok": True, "services": {}}
    checked = (await jupyter.anonymous.get("/ok?check_db=1")).json()
    assert checked == {"ok": True, "services": {"postgres": "healthy", "redis": "healthy"}}


async def test_metrics_count_requests_in_both_forms(jupyter: Any) -> None:
    await jupyter.api.post("/threads/count", json={})

    figures = (await jupyter.anonymous.get("/metrics?format=json")).json()
    text = (await jupyter.anonymous.get("/metrics")).text

    assert figures["queue"]["n_pending"] == 0
    assert any(row["handler"] == "ThreadCountHandler" for row in figures["api"]["http_requests_total"])
    assert re.search(r'^lgnb_api_http_requests_total\{handler="ThreadCountHandler".* \d+$', text, re.MULTILINE)
    assert (await jupyter.anonymous.get("/metrics?format=xml")).status_code == 422


async def test_unknown_paths_and_verbs_are_refused_in_the_shape_of_all_errors(jupyter: Any) -> None:
    missing = await jupyter.api.get("/nothing/here")
    wrong_verb = await jupyter.api.put("/threads", json={})

    assert (missing.status_code, missing.json()["detail"]) == (404, "Not Found")
    assert (wrong_verb.status_code, wrong_verb.json()["detail"]) == (405, "Method Not Allowed")
    assert (await jupyter.api.get("/threads/")).status_code == 404


async def test_head_answers_wherever_get_does(jupyter: Any) -> None:
    thread = (await jupyter.api.post("/threads", json={})).json()

    head = await jupyter.api.head(f"/threads/{thread['thread_id']}")

    assert (head.status_code, head.content) == (200, b"")
    assert (await jupyter.api.head("/threads")).status_code == 405
    assert (await jupyter.anonymous.head(f"/threads/{thread['thread_id']}")).status_code == 401
    assert (await jupyter.anonymous.head("/ok")).status_code == 200


async def test_a_request_id_comes_back_and_one_is_made_where_none_was_sent(jupyter: Any) -> None:
    sent = await jupyter.api.get(f"/threads/{_MISSING}", headers={"x-request-id": "mine-1"})
    made = await jupyter.api.get("/nothing")

    assert (sent.status_code, sent.headers["x-request-id"]) == (404, "mine-1")
    assert len(made.headers["x-request-id"]) == 36


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b"null", b'"text"', b'{"metadata": 1}', b'{"metadata": {"a": "\\u0000"}}']
)
async def test_a_wrong_body_is_422_and_changes_nothing(jupyter: Any, body: bytes) -> None:
    answer = await jupyter.api.post("/threads", content=body)

    assert answer.status_code == 422
    assert answer.json()["detail"]
    assert (await jupyter.api.post("/threads/count", json={})).json() == 0


@pytest.mark.parametrize(
    "address", ["/threads/x", "/threads/%00", "/threads/%ff", f"/threads/{'1' * 32}", "/threads/{}"]
)
async def test_what_is_no_id_is_422(jupyter: Any, address: str) -> None:
    assert (await jupyter.api.get(address)).status_code == 422


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", f"/threads/{_MISSING}", 404),
        ("DELETE", f"/threads/{_MISSING}", 404),
        ("POST", f"/threads/{_MISSING}/copy", 409),
        ("GET", f"/threads/{_MISSING}/runs", 404),
        ("GET", f"/threads/{_MISSING}/runs/{_MISSING}", 404),
        ("GET", f"/threads/{_MISSING}/runs/{_MISSING}/join", 404),
        ("GET", f"/threads/{_MISSING}/runs/{_MISSING}/stream", 404),
        ("GET", f"/runs/{_MISSING}/stream", 404),
        ("POST", f"/threads/{_MISSING}/runs/{_MISSING}/cancel", 404),
        ("GET", f"/assistants/{_MISSING}", 404),
        ("GET", f"/assistants/{_MISSING}/graph?xray=-1", 422),
        ("GET", f"/threads/{_MISSING}/runs?limit=0", 422),
        ("GET", f"/threads/{_MISSING}/runs?limit=1e3", 422),
        ("GET", f"/threads/{_MISSING}/runs?offset=99999999999999999999", 422),
        ("GET", f"/threads/{_MISSING}/runs?status=done", 422),
        ("GET", f"/threads/{_MISSING}/runs?select=secret", 422),
    ],
)
async def test_what_does_not_exist_is_404_and_what_makes_no_sense_422(
    jupyter: Any, method: str, path: str, status: int
) -> None:
    answer = await jupyter.api.request(method, path)

    assert answer.status_code == status
    assert answer.json()["detail"] == answer.json()["message"]


async def test_unknown_fields_are_named_in_a_header(jupyter: Any) -> None:
    answer = await jupyter.api.post("/threads", json={"foo": 1, "bar\r\nSet-Cookie: x": 2})

    assert answer.status_code == 200
    assert answer.headers["x-lgnb-ignored-fields"] == "foo, bar%0D%0ASet-Cookie%3A x"
    assert "set-cookie" not in answer.headers


async def test_hostile_metadata_keys_are_only_keys(jupyter: Any) -> None:
    metadata = {"'; DROP TABLE threads; --": 1, "%s": "%(x)s", "a.b[0]": {"$ne": None}, "": "", "__proto__": []}
    created = (await jupyter.api.post("/threads", json={"metadata": metadata})).json()

    found = (await jupyter.api.post("/threads/search", json={"metadata": metadata})).json()

    assert created["metadata"] == metadata
    assert [thread["thread_id"] for thread in found] == [created["thread_id"]]
    assert (await jupyter.api.post("/threads/count", json={"metadata": {"%s": "other"}})).json() == 0


async def test_pages_say_where_the_next_one_begins(jupyter: Any) -> None:
    for _ in range(3):
        await jupyter.api.post("/threads", json={})

    first = await jupyter.api.post("/threads/search", json={"limit": 2})
    last = await jupyter.api.post("/threads/search", json={"limit": 2, "offset": 2})

    assert (first.headers["x-pagination-total"], first.headers["x-pagination-next"]) == ("3", "2")
    assert last.headers["x-pagination-total"] == "3"
    assert "x-pagination-next" not in last.headers
    ids = [row["thread_id"] for row in first.json() + last.json()]
    assert len(set(ids)) == 3


async def test_select_and_extract_choose_what_a_row_shows(jupyter: Any) -> None:
    await jupyter.api.post("/threads", json={"metadata": {"owner": {"name": "Ada"}}})
    body = {"select": ["status"], "extract": {"owner": "metadata.owner.name", "last": "values.messages[-1]"}}

    answer = await jupyter.api.post("/threads/search", json=body)

    assert answer.json() == [{"status": "idle", "extracted": {"owner": "Ada", "last": None}}]
    assert (await jupyter.api.post("/threads/search", json={"ids": ["x"]})).status_code == 400


async def test_a_thread_lives_through_its_verbs(jupyter: Any) -> None:
    thread_id = str(uuid4())
    created = await jupyter.api.post("/threads", json={"thread_id": thread_id, "ttl": {"ttl": 5}})
    again = await jupyter.api.post("/threads", json={"thread_id": thread_id})
    kept = await jupyter.api.post("/threads", json={"thread_id": thread_id, "if_exists": "do_nothing"})
    patched = await jupyter.api.patch(f"/threads/{thread_id}", json={"metadata": {"a": None}})
    minimal = await jupyter.api.patch(
        f"/threads/{thread_id}", json={"metadata": {}}, headers={"Prefer": "return=minimal"}
    )
    with_ttl = await jupyter.api.get(f"/threads/{thread_id}", params={"include": "ttl"})
    state = await jupyter.api.get(f"/threads/{thread_id}/state", params={"select": ["values", "next"]})
    copied = await jupyter.api.post(f"/threads/{thread_id}/copy")
    deleted = await jupyter.api.delete(f"/threads/{thread_id}")

    assert created.json()["thread_id"] == thread_id
    assert (again.status_code, kept.status_code) == (409, 200)
    assert patched.json()["metadata"] == {"a": None}
    assert (minimal.status_code, minimal.content) == (204, b"")
    assert with_ttl.json()["ttl"]["ttl_minutes"] == 5
    assert with_ttl.json()["ttl"]["strategy"] == "delete"
    assert state.json() == {"values": {}, "next": []}
    assert copied.json()["thread_id"] != thread_id
    assert (deleted.status_code, deleted.content) == (204, b"")
    assert (await jupyter.api.get(f"/threads/{thread_id}")).status_code == 404


async def test_a_run_of_an_unknown_assistant_is_refused(jupyter: Any) -> None:
    thread = (await jupyter.api.post("/threads", json={})).json()["thread_id"]

    for path in (f"/threads/{thread}/runs", f"/threads/{thread}/runs/stream", "/runs/wait", "/runs"):
        answer = await jupyter.api.post(path, json={"assistant_id": "nobody"})
        assert answer.status_code in (404, 422), path
        assert answer.json()["detail"]


class TestWithSmallLimits:
    @pytest.fixture
    def lgnb_config(self, lgnb_config: dict[str, Any]) -> dict[str, Any]:
        return lgnb_config | {"max_body_bytes": 2048}

    async def test_a_body_over_the_limit_is_413(self, jupyter: Any) -> None:
        fits = await jupyter.api.post("/threads", json={"metadata": {"a": "x" * 1900}})
        too_large = await jupyter.api.post("/threads", json={"metadata": {"a": "x" * 2048}})

        assert (fits.status_code, too_large.status_code) == (200, 413)
        assert too_large.json()["detail"]


class TestBeforeTheStart:
    @pytest.fixture
    def lgnb_config(self, lgnb_config: dict[str, Any]) -> dict[str, Any]:
        return lgnb_config | {"jobs": "many"}

    async def test_every_request_is_told_the_reason_and_to_come_back(self, jupyter: Any) -> None:
        ok = await jupyter.anonymous.get("/ok")
        threads = await jupyter.api.post("/threads", json={})

        assert (ok.status_code, ok.json()["ok"]) == (503, False)
        assert "jobs is 'many', but must be a whole number." in ok.json()["detail"]
        assert (threads.status_code, threads.headers["retry-after"]) == (503, "1")
        assert (await jupyter.anonymous.get("/docs")).status_code == 200


async def test_an_unplanned_failure_tells_an_id_and_nothing_else(
    jupyter: Any, monkeypatch: pytest.MonkeyPatch, caplog: Any
) -> None:
    async def fail(*args: Any, **kwargs: Any) -> None:
        raise RuntimeError("password=hunter2 in /srv/secret.py")

    monkeypatch.setattr(type(jupyter.extension.host.resources.threads), "get", fail)
    answer = await jupyter.api.get(f"/threads/{_MISSING}", headers={"x-request-id": "look-for-me"})

    assert answer.status_code == 500
    assert "look-for-me" in answer.json()["detail"]
    assert "hunter2" not in answer.text
    assert "Traceback" not in answer.text
    assert "hunter2" in caplog.text


class TestOtherOrigins:
    _ORIGIN = "https://studio.example"

    @pytest.fixture
    def jupyter_config(self) -> dict[str, Any]:
        return {"ServerApp": {"allow_origin": self._ORIGIN}}

    async def test_a_preflight_of_an_allowed_origin_grants_what_sdks_send(self, jupyter: Any) -> None:
        headers = {"Origin": self._ORIGIN, "Access-Control-Request-Method": "POST"}

        answer = await jupyter.anonymous.options("/runs/stream", headers=headers)

        assert answer.status_code == 200
        assert answer.headers["access-control-allow-origin"] == self._ORIGIN
        granted = answer.headers["access-control-allow-headers"]
        assert all(name in granted for name in ("x-api-key", "last-event-id", "x-auth-scheme", "content-type"))

    async def test_an_answer_lets_the_allowed_origin_read_its_headers_also_when_it_refuses(self, jupyter: Any) -> None:
        for path, status in (("/threads/count", 200), ("/threads/search?", 422)):
            body = b"{}" if status == 200 else b"{"
            answer = await jupyter.api.post(path, content=body, headers={"Origin": self._ORIGIN})
            assert answer.status_code == status
            assert answer.headers["access-control-allow-origin"] == self._ORIGIN
            assert "content-location" in answer.headers["access-control-expose-headers"]

    async def test_no_other_origin_is_granted_anything(self, jupyter: Any) -> None:
        headers = {"Origin": "https://evil.example", "Access-Control-Request-Method": "POST"}

        preflight = await jupyter.anonymous.options("/runs/stream", headers=headers)
        answer = await jupyter.api.post("/threads/count", json={}, headers=headers)

        assert preflight.status_code == 400
        assert "access-control-allow-origin" not in preflight.headers
        assert "access-control-allow-origin" not in answer.headers


async def test_without_allow_origin_a_token_grants_no_origin(jupyter: Any) -> None:
    headers = {"Origin": "https://evil.example"}

    assert (await jupyter.anonymous.options("/threads", headers=headers)).status_code == 400
    answer = await jupyter.api.post("/threads/count", json={}, headers=headers)
    assert "access-control-allow-origin" not in answer.headers
