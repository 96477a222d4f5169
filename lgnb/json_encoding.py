"""Python values as JSON, the way every LangGraph client expects them: states, stream payloads, metadata, errors.

Owns the encoding of API contract section 1.3 and nothing else. Imports neither LangChain nor pydantic nor
numpy, so the host and a notebook can use it at no cost; their objects are recognised by what they offer.
"""

from __future__ import annotations

import base64
import dataclasses
import re
from collections import deque
from collections.abc import Mapping
from datetime import date, datetime, time, timedelta, tzinfo
from decimal import Decimal
from enum import Enum
from ipaddress import (
    IPv4Address,
    IPv4Interface,
    IPv4Network,
    IPv6Address,
    IPv6Interface,
    IPv6Network,
)
from pathlib import PurePath
from typing import Any
from uuid import UUID

import orjson

from .errors import LgnbError

MAX_DEPTH = 250
"""Deepest nesting of lists and objects that can be encoded."""

HIDDEN_MESSAGE = "The graph failed with an error whose text is kept in the server's log."
"""Stands for the text of errors which could tell a stranger something about the inside of the server."""

_OPTIONS = orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_PASSTHROUGH_DATACLASS
_ESCAPED_NUL = re.compile(rb"(?<!\\)((?:\\\\)*)\\u0000")
_INT64 = range(-(2**63), 2**64)
_AS_TEXT = (UUID, PurePath, IPv4Address, IPv6Address, IPv4Network, IPv6Network, IPv4Interface, IPv6Interface, tzinfo)
_OPEN_ERRORS = (ValueError, TypeError, KeyError, AttributeError, RuntimeError, TimeoutError, LgnbError)
_OPEN_ERROR_MODULES = ("langgraph.errors", "langgraph_sdk.auth.exceptions", "starlette.exceptions", "tornado.web")


def encode(value: Any) -> bytes:
    """The UTF-8 JSON of any Python value; what has no JSON form becomes null.

    The result holds neither NUL characters nor lone surrogates, so that Postgres and every JSON parser take it.

    Raises:
        ValueError: the value is nested deeper than `MAX_DEPTH`, or contains itself.
    """
    try:
        encoded = orjson.dumps(value, default=_plain_once, option=_OPTIONS)
    except TypeError:
        # Rare: a key that is no string, a lone surrogate, an integer beyond 64 bit, too deep. orjson gives up on
        # the whole payload there, so it is rebuilt from plain parts first. (Its option for keys of other types
        # would double the time of every payload.)
        encoded = orjson.dumps(_plain(value, 0), option=orjson.OPT_SERIALIZE_NUMPY)
    if b"\\u0000" in encoded:
        encoded = _ESCAPED_NUL.sub(rb"\1" + "\ufffd".encode(), encoded)
    return encoded


def jsonable(value: Any) -> Any:
    """The same value made of dict, list, str, int, float, bool and None only.

    Raises:
        ValueError: as in `encode`.
    """
    return orjson.loads(encode(value))


def describe_error(error: BaseException) -> dict[str, str]:
    """An exception as clients see it: `{"error": class name, "message": text}`.

    The text is kept only for errors which are written for the caller; others may name files, hosts or
    statements, and get a fixed text instead.
    """
    return {"error": type(error).__name__, "message": str(error) if _is_open(error) else HIDDEN_MESSAGE}


def _is_open(error: BaseException) -> bool:
    if isinstance(error, _OPEN_ERRORS):
        return True
    # Cancellation is asyncio's or concurrent.futures'; the others are told by module, not imported here.
    return any(
        cls.__name__ == "CancelledError" or cls.__module__ in _OPEN_ERROR_MODULES for cls in type(error).__mro__[:-1]
    )


def _plain_once(value: Any) -> Any:
    """One step from an object that orjson does not know towards one that it knows."""
    if isinstance(value, type):
        return None  # a pydantic class offers model_dump as well, but has no values
    model_dump = getattr(value, "model_dump", None)
    if callable(model_dump) and hasattr(value, "__pydantic_fields__"):
        return model_dump(warnings=False)
    if isinstance(value, BaseException):
        return describe_error(value)
    if dataclasses.is_dataclass(value):
        names = [spec.name for spec in dataclasses.fields(value) if not spec.name.startswith("_")]
        return {name: getattr(value, name) for name in names if hasattr(value, name)}
    if isinstance(value, tuple):
        names = getattr(value, "_fields", None)
        return list(value) if names is None else dict(zip(names, value, strict=False))
    if isinstance(value, (set, frozenset, deque)):
        return list(value)
    if isinstance(value, (bytes, bytearray, memoryview)):
        return base64.b64encode(value).decode()
    return _plain_scalar(value)


def _plain_scalar(value: Any) -> Any:
    if isinstance(value, _AS_TEXT):
        return str(value)
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, (datetime, date, time)):
        return value.isoformat()
    if isinstance(value, Decimal):
        exponent = value.as_tuple().exponent
        return int(value) if isinstance(exponent, int) and exponent >= 0 else float(value)
    if isinstance(value, re.Pattern):
        return value.pattern
    return _plain_foreign(value)


def _plain_foreign(value: Any) -> Any:
    """Types of libraries that may or may not be installed, and mappings."""
    cls = type(value)
    if cls.__name__ == "UUID" and cls.__module__.startswith("uuid_utils"):
        return str(value)
    if cls.__name__ == "Send" and cls.__module__.startswith("langgraph."):
        return {"node": value.node, "args": value.arg}
    if hasattr(cls, "__fields__") and callable(getattr(value, "dict", None)):
        return value.dict()  # a model of pydantic 1
    if cls.__module__ == "numpy" or hasattr(cls, "__array_interface__"):
        return value.tolist()
    if isinstance(value, Mapping):
        return dict(value)
    return None


def _plain(value: Any, depth: int) -> Any:
    """The whole value rebuilt from plain parts, with the texts and numbers mended that orjson refuses."""
    if depth > MAX_DEPTH:
        raise ValueError(f"The value is nested deeper than {MAX_DEPTH} levels, or contains itself.")
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, Enum):
        return _plain(value.value, depth + 1)
    if isinstance(value, str):
        return _mended(value)
    if isinstance(value, int):
        return int(value) if value in _INT64 else _digits(value)
    if isinstance(value, float):
        return float(value)
    if isinstance(value, dict):
        return {_key(key): _plain(item, depth + 1) for key, item in value.items()}
    if isinstance(value, list) or type(value) is tuple:
        return [_plain(item, depth + 1) for item in value]
    if isinstance(value, (datetime, date, time)):
        return value.isoformat()
    return _plain(_plain_once(value), depth + 1)


def _key(key: Any) -> str:
    if isinstance(key, Enum):
        return _key(key.value)
    if isinstance(key, str):
        return _mended(key)
    if key is None or isinstance(key, (bool, float)):
        return orjson.dumps(key).decode()
    if isinstance(key, int):
        return _digits(key)
    if isinstance(key, (datetime, date, time)):
        return key.isoformat()
    return _mended(str(key))


def _digits(number: int) -> str:
    try:
        return str(int(number))
    except ValueError:  # Python refuses to write more than some thousand decimal digits
        return hex(number)


def _mended(text: str) -> str:
    return text.encode("utf-8", "replace").decode()
