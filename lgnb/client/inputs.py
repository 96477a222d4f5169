"""From what a person typed to what a graph takes: a run's input, or the answer of an interrupt."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Literal

import yaml

from ..errors import InvalidRequest

Format = Literal["auto", "text", "json", "yaml"]
FORMATS: tuple[Format, ...] = ("auto", "text", "json", "yaml")


def run_input(text: str, *, schema: Mapping[str, Any] | None, form: Format = "auto") -> Any:
    """The input of a run.

    An object written as JSON, or as YAML whose keys the graph knows, is taken as it is; any other text becomes a user's
    message, or the value of the graph's only text field where it takes no messages.

    Args:
        schema: the graph's input schema, or None when nobody can tell it.

    Raises:
        InvalidRequest: the text is not what `form` says, or the graph takes no plain text.
    """
    text = text.strip()
    if not text and form != "text":
        return {}
    match form:
        case "json":
            return _json(text)
        case "yaml":
            return _yaml(text)
        case "text":
            return _said(text, schema)
        case _:
            pass
    if text[0] in "{[":
        return _json(text)
    mapping = _yaml_object(text, schema)
    return _said(text, schema) if mapping is None else mapping


def answer(text: str) -> Any:
    """The value that answers an interrupt: JSON where the text is JSON, otherwise the text itself."""
    text = text.strip()
    try:
        return json.loads(text)
    except ValueError:
        return text


def scalar(text: str) -> Any:
    """The value of a `key=value` option: JSON where it reads as JSON, otherwise the text."""
    return answer(text)


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError as error:
        raise InvalidRequest(f"The input is not valid JSON ({error}); use --input text to send it as it is.") from None


def _yaml(text: str) -> Any:
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        reason = str(error).splitlines()[0]
        raise InvalidRequest(f"The input is not valid YAML ({reason}); use --input text to send it as it is.") from None


def _yaml_object(text: str, schema: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """The object in the text if each of its keys is a field of the graph: `Note: buy milk` stays a sentence."""
    if ":" not in text or schema is None:
        return None
    try:
        found = yaml.safe_load(text)
    except yaml.YAMLError:
        return None
    if isinstance(found, dict) and found and set(found) <= set(_fields(schema)):
        return found
    return None


def _said(text: str, schema: Mapping[str, Any] | None) -> dict[str, Any]:
    message = {"messages": [{"role": "user", "content": text}]}
    fields = _fields(schema or {})
    if not fields or "messages" in fields:
        return message
    required = [name for name in (schema or {}).get("required", []) if name in fields]
    texts = [name for name, field in fields.items() if _takes_text(field)]
    for candidates in ([name for name in required if name in texts], texts):
        if len(candidates) == 1:
            return {candidates[0]: text}
    example = json.dumps({name: "…" for name in list(fields)[:2]}, ensure_ascii=False)
    raise InvalidRequest(f"This graph takes no messages; give its input as an object, such as {example}.")


def _fields(schema: Mapping[str, Any]) -> dict[str, Any]:
    fields = schema.get("properties")
    return dict(fields) if isinstance(fields, Mapping) else {}


def _takes_text(field: Any) -> bool:
    return isinstance(field, Mapping) and field.get("type") == "string"
