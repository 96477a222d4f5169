"""Stored values as plain JSON, without the graph and without reviving any type of the user's.

The result equals what `json_encoding` makes of the live object. Only scalars of the standard library are rebuilt on
the way, from a fixed table; the names stored with a value are compared, never imported.
"""

from __future__ import annotations

import logging
import math
import struct
from collections.abc import Callable, Sequence
from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal
from pathlib import PurePosixPath, PureWindowsPath
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import orjson
import ormsgpack

from ..json_encoding import jsonable
from ..models.checkpoints import ITEMS, PARTS, Blob, parts_of
from .compression import expanded

logger = logging.getLogger(__name__)

# The extension codes of the library's msgpack serializer. A payload is (module, name, argument, ...).
_ONE_ARGUMENT, _ARGUMENTS, _FIELDS, _METHOD, _PYDANTIC_1, _PYDANTIC_2, _ARRAY, _DELTA = range(8)

_LARGEST_EXPONENT = 400  # of a decimal; one beyond would be written out digit by digit
_MOST_EMPTY_LISTS = 10_000
_SECRETS = ("SecretStr", "SecretBytes")


def view(blob: Blob) -> Any:
    """The JSON value (dict, list, str, int, float, bool, None) of a stored one; null where it cannot be read."""
    try:
        if blob.type == PARTS:
            return [element for part in parts_of(blob) for element in view(part)]
        return jsonable(_unpacked(expanded(blob)))
    except (ValueError, TypeError, AttributeError, RecursionError, MemoryError, struct.error):
        # One damaged value must not hide the rest of a thread.
        logger.warning("A stored value of type %s cannot be read.", blob.type, exc_info=True)
        return None


def _unpacked(blob: Blob) -> Any:
    if blob.type == "msgpack":
        return _unpack(blob.data)
    if blob.type == ITEMS:
        return [_unpack(item)[0] for item in _unpack(blob.data)]
    if blob.type in ("bytes", "bytearray"):
        return blob.data
    if blob.type == "json":
        return orjson.loads(blob.data)
    if blob.type == "null":
        return None
    raise ValueError(f"The encoding {blob.type} is not known.")


def _unpack(data: bytes) -> Any:
    return ormsgpack.unpackb(data, ext_hook=_extension, option=ormsgpack.OPT_NON_STR_KEYS)


def _extension(code: int, data: bytes) -> Any:
    content: Any = _unpack(data)
    if code == _DELTA:
        return content
    if code == _ARRAY:
        return _array(*content)
    parts: list[Any] = content
    module, name, argument = parts[:3]
    if module.startswith("pydantic.") and name in _SECRETS:
        return None
    rebuild = _REBUILT.get((module, name))
    if rebuild is None:
        # A model, dataclass, named tuple, enum, set: its fields, its value, its members.
        return _public(argument) if code == _FIELDS else argument
    try:
        return rebuild(argument)
    except (ValueError, TypeError, OverflowError, ArithmeticError, KeyError, IndexError):
        return argument


def _public(fields: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if not name.startswith("_")}


def _decimal(text: str) -> Decimal | None:
    number = Decimal(text)
    return number if not number.is_finite() or abs(number.adjusted()) <= _LARGEST_EXPONENT else None


def _send(arguments: Sequence[Any]) -> dict[str, Any]:
    return {"node": arguments[0], "args": arguments[1]}


def _zone(key: str) -> ZoneInfo | str:
    # Only names of zones; anything else might be meant as a path.
    return ZoneInfo(key) if key.replace("/", "").replace("_", "").replace("-", "").replace("+", "").isalnum() else key


def _posix_path(parts: Sequence[str]) -> PurePosixPath:
    return PurePosixPath(*parts)


def _windows_path(parts: Sequence[str]) -> PureWindowsPath:
    return PureWindowsPath(*parts)


_REBUILT: dict[tuple[str, str], Callable[[Any], Any]] = {
    ("uuid", "UUID"): lambda text: UUID(hex=text),
    ("decimal", "Decimal"): _decimal,
    ("datetime", "datetime"): datetime.fromisoformat,
    ("datetime", "date"): lambda parts: date(*parts),
    ("datetime", "time"): lambda fields: time(**fields),
    ("datetime", "timedelta"): lambda parts: timedelta(*parts),
    ("datetime", "timezone"): lambda parts: timezone(*parts),
    ("zoneinfo", "ZoneInfo"): _zone,
    ("re", "compile"): lambda parts: parts[0],
    ("langgraph.types", "Send"): _send,
    ("pathlib", "Path"): _posix_path,
    ("pathlib", "PosixPath"): _posix_path,
    ("pathlib", "WindowsPath"): _windows_path,
    ("pathlib._local", "Path"): _posix_path,
    ("pathlib._local", "PosixPath"): _posix_path,
    ("pathlib._local", "WindowsPath"): _windows_path,
}


def _array(dtype: str, shape: Sequence[int], order: str, buffer: bytes) -> Any:
    """Nested lists of a numpy array of numbers, flags or text; null for other kinds."""
    kind, size = dtype[1], int(dtype[2:].partition("[")[0] or 0)
    flat: list[Any]
    if kind == "U":
        codec = "utf-32-be" if dtype[0] == ">" else "utf-32-le"
        step = 4 * size
        flat = [bytes(buffer[at : at + step]).decode(codec).rstrip("\0") for at in range(0, len(buffer), step) if step]
    else:
        letter = _LETTERS.get(f"{kind}{size}")
        if letter is None:
            return None
        count = len(buffer) // struct.calcsize(f"={letter}")
        flat = list(struct.unpack(f"{'>' if dtype[0] == '>' else '<'}{count}{letter}", buffer))
        if letter in "ef":
            flat = [_shortest(number) for number in flat]
    # Every list of the result must be paid for by stored bytes, except a few empty ones.
    if any(length < 0 for length in shape) or (
        math.prod(shape) != len(flat) or math.prod(length or 1 for length in shape) > max(len(flat), _MOST_EMPTY_LISTS)
    ):
        return None
    if order == "F":
        # Stored with the first index running fastest: that is the array of reversed shape, transposed.
        return _nested(flat, shape, _steps_first_fastest(shape), 0)
    return _nested(flat, shape, _steps_last_fastest(shape), 0)


_LETTERS = {
    "b1": "?",
    "i1": "b",
    "i2": "h",
    "i4": "i",
    "i8": "q",
    "u1": "B",
    "u2": "H",
    "u4": "I",
    "u8": "Q",
    "f2": "e",
    "f4": "f",
    "f8": "d",
}


def _shortest(number: float) -> float:
    """The shortest decimal that is this float of at most 4 bytes, as JSON encoders of arrays write it."""
    if number != number or number in (float("inf"), float("-inf")):
        return number
    for digits in range(6, 10):
        short = float(f"{number:.{digits}g}")
        if struct.pack("<f", short) == struct.pack("<f", number):
            return short
    return number


def _steps_last_fastest(shape: Sequence[int]) -> list[int]:
    steps: list[int] = []
    step = 1
    for length in reversed(shape):
        steps.insert(0, step)
        step *= length
    return steps


def _steps_first_fastest(shape: Sequence[int]) -> list[int]:
    steps: list[int] = []
    step = 1
    for length in shape:
        steps.append(step)
        step *= length
    return steps


def _nested(flat: list[Any], shape: Sequence[int], steps: Sequence[int], start: int) -> Any:
    if not shape:
        return flat[start]
    return [_nested(flat, shape[1:], steps[1:], start + index * steps[0]) for index in range(shape[0])]
