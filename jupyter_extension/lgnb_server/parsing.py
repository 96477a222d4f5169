"""From the bytes of a request body to a checked model; everything that is wrong with a body is said here."""

from __future__ import annotations

import re
from typing import Any, TypeVar, cast
from urllib.parse import quote

import orjson
from pydantic import BaseModel, TypeAdapter, ValidationError

from lgnb.errors import InvalidRequest

_ESCAPED_NUL = re.compile(rb"(?<!\\)(?:\\\\)*\\u0000")
# Answers wrap what a client sent into objects of their own and must still be encodable.
_SPARE_LEVELS = 32
_MOST_NAMED_FIELDS = 16

M = TypeVar("M", bound=BaseModel)
T = TypeVar("T")


def read_json(body: bytes) -> Any:
    """The JSON value of a body.

    Raises:
        InvalidRequest: the body is empty, no UTF-8 JSON, nested too deeply, or holds a NUL character.
    """
    if not body.strip():
        raise InvalidRequest("The request needs a JSON body, but it is empty.")
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise InvalidRequest(f"The body is not valid JSON: {error}.") from None
    if _ESCAPED_NUL.search(body):
        raise InvalidRequest("The body holds a NUL character, which cannot be stored.")
    if body.count(b"[") + body.count(b"{") > _SPARE_LEVELS:
        _check_depth(value)
    return value


def read_model(model: type[M], body: bytes) -> tuple[M, list[str]]:
    """The body as `model`, and the names of its fields that the model does not know.

    Raises:
        InvalidRequest: the body is no such object; the message names each wrong field.
    """
    value = read_json(body)
    return check(model, value), _unknown(model, value)


def read_models(model: type[M], body: bytes) -> tuple[list[M], list[str]]:
    """The same for a list of them."""
    entries = read_json(body)
    parsed = check_list(model, entries)
    return parsed, list(dict.fromkeys(name for entry in entries for name in _unknown(model, entry)))


def check(kind: type[T], value: Any) -> T:
    """`value` as `kind`; raises InvalidRequest with one line per mistake."""
    try:
        if issubclass(kind, BaseModel):
            return kind.model_validate(value)
        return TypeAdapter(kind).validate_python(value)
    except ValidationError as error:
        raise InvalidRequest(_mistakes(error)) from None


def check_list(model: type[M], value: Any) -> list[M]:
    """A list of at least one `model`."""
    entries = cast(list[Any], value) if isinstance(value, list) else []
    if not entries:
        raise InvalidRequest("The body must be a list with at least one entry.")
    return [check(model, entry) for entry in entries]


def ignored_fields_header(names: list[str]) -> str:
    """Names for `x-lgnb-ignored-fields`; whatever a client made up, the result is safe in a header."""
    safe = [quote(name[:64], safe="._-$@ ") for name in names[:_MOST_NAMED_FIELDS]]
    return ", ".join(safe + ["..."] * (len(names) > _MOST_NAMED_FIELDS))


def _unknown(model: type[BaseModel], fields: dict[str, Any]) -> list[str]:
    known = {name for key, spec in model.model_fields.items() for name in (key, spec.alias) if name}
    return [name for name in fields if name not in known]


def _mistakes(error: ValidationError) -> str:
    lines: list[str] = []
    for mistake in error.errors(include_url=False, include_context=False, include_input=False):
        place = ".".join(str(part)[:64] for part in mistake["loc"])
        lines.append(f"{place}: {mistake['msg']}" if place else mistake["msg"])
    return "\n".join(dict.fromkeys(lines))


def _check_depth(value: Any) -> None:
    # orjson refuses to write what is nested too deeply, at C speed; writing it with levels to spare is the check.
    for _ in range(_SPARE_LEVELS):
        value = [value]
    try:
        orjson.dumps(value)
    except TypeError:
        raise InvalidRequest("The body is nested too deeply.") from None
