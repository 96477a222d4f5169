from __future__ import annotations

from typing import Any

import pytest
from lgnb_server.jsonrpc import (
    INTERNAL_ERROR,
    INVALID_PARAMS,
    INVALID_REQUEST,
    RpcError,
    failure,
    id_of,
    number_param,
    object_param,
    read_request,
    text_param,
    translated,
)

from lgnb.errors import DatabaseUnavailable, InvalidRequest, RunConflict, ThreadNotFound


def test_a_request_is_read() -> None:
    request = read_request({"jsonrpc": "2.0", "id": 1, "method": "ping"})

    assert (request.id, request.method, request.params) == (1, "ping", {})


@pytest.mark.parametrize(
    ("value", "code"),
    [
        (None, INVALID_REQUEST),
        ([], INVALID_REQUEST),
        ({"id": 1, "method": "x"}, INVALID_REQUEST),
        ({"jsonrpc": "1.0", "id": 1, "method": "x"}, INVALID_REQUEST),
        ({"jsonrpc": "2.0", "id": 1}, INVALID_REQUEST),
        ({"jsonrpc": "2.0", "id": 1, "method": 5}, INVALID_REQUEST),
        ({"jsonrpc": "2.0", "id": {}, "method": "x"}, INVALID_REQUEST),
        ({"jsonrpc": "2.0", "id": True, "method": "x"}, INVALID_REQUEST),
        ({"jsonrpc": "2.0", "id": 1, "method": "x", "params": []}, INVALID_PARAMS),
    ],
)
def test_what_is_no_request_is_told_so(value: Any, code: int) -> None:
    with pytest.raises(RpcError) as refused:
        read_request(value)

    assert refused.value.code == code


@pytest.mark.parametrize(("value", "expected"), [({"id": "a"}, "a"), ({"id": 0}, 0), ({"id": []}, None), ([], None)])
def test_an_error_is_answered_under_the_id_where_there_is_one(value: Any, expected: Any) -> None:
    assert id_of(value) == expected
    assert failure(id_of(value), RpcError(-1, "x"))["id"] == expected


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (InvalidRequest("x"), INVALID_PARAMS),
        (ThreadNotFound("x"), INVALID_PARAMS),
        (RunConflict("x"), INVALID_PARAMS),
        (DatabaseUnavailable("x"), INTERNAL_ERROR),
    ],
)
def test_the_callers_mistakes_are_told_from_ours(error: Any, code: int) -> None:
    assert translated(error).code == code


def test_params_are_checked() -> None:
    params = {"object": {"a": 1}, "text": "x", "number": 3}

    assert object_param(params, "object") == {"a": 1}
    assert object_param(params, "absent") == {}
    assert text_param(params, "text") == "x"
    assert number_param(params, "number", default=1, least=0, most=3) == 3
    assert number_param(params, "absent", default=1, least=0, most=3) == 1
    for wrong in (
        lambda: object_param(params, "text"),
        lambda: text_param(params, "number"),
        lambda: text_param(params, "absent"),
        lambda: number_param(params, "text", default=1, least=0, most=3),
        lambda: number_param({"flag": True}, "flag", default=1, least=0, most=3),
        lambda: number_param(params, "number", default=1, least=0, most=2),
    ):
        with pytest.raises(RpcError):
            wrong()
