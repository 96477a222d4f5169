"""JSON-RPC 2.0, as far as MCP and A2A share it: what a request is, and how it is answered."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

from lgnb.errors import Conflict, InvalidRequest, LgnbError, NotFound

PARSE_ERROR = -32700
INVALID_REQUEST = -32600
METHOD_NOT_FOUND = -32601
INVALID_PARAMS = -32602
INTERNAL_ERROR = -32603

_MOST_SHOWN = 64

RequestId = str | int | float | None


class RpcError(Exception):
    """A request is answered with an error; `str(error)` is one sentence for the caller."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True, slots=True)
class Request:
    """A call, or a notification when `id` is None."""

    id: RequestId
    method: str
    params: Mapping[str, Any]


def read_request(value: Any) -> Request:
    """A request from JSON.

    Raises:
        RpcError: it is none; params that are no object are wrong params.
    """
    if not isinstance(value, dict):
        raise RpcError(INVALID_REQUEST, "A request is one JSON object; batches are not supported.")
    given = cast("dict[str, Any]", value)
    if given.get("jsonrpc") != "2.0":
        raise RpcError(INVALID_REQUEST, 'A request says "jsonrpc": "2.0".')
    method = given.get("method")
    if not isinstance(method, str) or not method:
        raise RpcError(INVALID_REQUEST, "A request names its method.")
    request_id = given.get("id")
    if isinstance(request_id, bool) or not isinstance(request_id, str | int | float | None):
        raise RpcError(INVALID_REQUEST, "The id of a request is a text or a number.")
    params = given.get("params")
    if params is not None and not isinstance(params, dict):
        raise RpcError(INVALID_PARAMS, "params must be an object.")
    return Request(request_id, method, cast("dict[str, Any]", params or {}))


def id_of(value: Any) -> RequestId:
    """The id to answer under, whatever else is wrong with a request."""
    request_id = cast("dict[str, Any]", value).get("id") if isinstance(value, dict) else None
    return request_id if isinstance(request_id, str | int | float) and not isinstance(request_id, bool) else None


def success(request_id: RequestId, result: Any) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": request_id, "result": result}


def failure(request_id: RequestId, error: RpcError) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": request_id, "error": {"code": error.code, "message": str(error)}}


def unknown_method(method: str) -> RpcError:
    return RpcError(METHOD_NOT_FOUND, f"There is no method {method[:_MOST_SHOWN]!r}.")


def translated(error: LgnbError) -> RpcError:
    """An error of ours in the words of JSON-RPC."""
    wrong = isinstance(error, InvalidRequest | NotFound | Conflict)
    return RpcError(INVALID_PARAMS if wrong else INTERNAL_ERROR, str(error))


def object_param(params: Mapping[str, Any], name: str) -> dict[str, Any]:
    """A parameter that is an object, or absent; raises RpcError otherwise."""
    value = params.get(name)
    if value is not None and not isinstance(value, dict):
        raise RpcError(INVALID_PARAMS, f"{name} must be an object.")
    return cast("dict[str, Any]", value or {})


def text_param(params: Mapping[str, Any], name: str) -> str:
    """A parameter that is a text and not empty; raises RpcError otherwise."""
    value = params.get(name)
    if not isinstance(value, str) or not value:
        raise RpcError(INVALID_PARAMS, f"{name} is missing: it must be a text.")
    return value


def number_param(params: Mapping[str, Any], name: str, *, default: int, least: int, most: int) -> int:
    """A whole number within bounds, or the default where it is absent; raises RpcError otherwise."""
    value = params.get(name)
    if value is None:
        return default
    if type(value) is not int or not least <= value <= most:
        raise RpcError(INVALID_PARAMS, f"{name} must be a whole number from {least} to {most}.")
    return value
