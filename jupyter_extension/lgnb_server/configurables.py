"""What a run's configurable takes from the headers of its request: tracing, and what `http` in langgraph.json names."""

from __future__ import annotations

from typing import Any, cast
from urllib.parse import unquote

import orjson
from tornado.httputil import HTTPHeaders

from lgnb.models.http import HeaderRule

_MOST_CHARACTERS = 8192


def configurables_of(headers: HTTPHeaders, rule: HeaderRule) -> dict[str, Any]:
    """The headers of the rule, and the LangSmith parts of `langsmith-trace` and `baggage`.

    What cannot be read is left out.
    """
    found: dict[str, Any] = picked(headers, rule)
    if trace := headers.get("langsmith-trace", "")[:_MOST_CHARACTERS]:
        found["langsmith-trace"] = trace
    for part in headers.get("baggage", "")[:_MOST_CHARACTERS].split(","):
        name, _, quoted = part.strip().partition("=")
        value = unquote(quoted)
        if name == "langsmith-project":
            found[name] = value
        elif name == "langsmith-tags":
            found[name] = value.split(",")
        elif name == "langsmith-metadata" and (metadata := _object(value)) is not None:
            found[name] = metadata
    return found


def picked(headers: HTTPHeaders, rule: HeaderRule) -> dict[str, str]:
    """The headers that a rule picks, by their names in lower case; a repeated one joined by commas."""
    if not rule.includes:
        return {}
    return {name.lower(): value[:_MOST_CHARACTERS] for name, value in headers.items() if rule.picks(name)}


def _object(text: str) -> dict[str, Any] | None:
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError:
        return None
    return cast(dict[str, Any], value) if isinstance(value, dict) else None
