"""One row of the route table: what is called, by which verb, with which body, and who may do so."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import BaseModel
from tornado.web import RequestHandler

Method = Literal["GET", "POST", "PUT", "PATCH", "DELETE"]
Action = Literal["read", "write", "execute"]

# The path below Jupyter's base URL under which everything is served.
MOUNT = "lgnb"

# Parameters whose value is checked to be a UUID before a handler sees it.
UUID_PARAMETERS = ("assistant_id", "thread_id", "run_id", "cron_id")

_PARAMETER = re.compile(r"\{(\w+)(:path)?\}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """A query parameter, for the reference."""

    name: str
    about: str
    schema: dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """An operation of the API.

    `action` and `resource` are what Jupyter's authorizer is asked about; without them anybody may call.
    `body` is a model, or `list` of one; `returns` is what pydantic can describe, or None for an empty answer.
    `slash_allowed` serves the path with a slash at its end alike.
    """

    method: Method
    path: str
    handler: type[RequestHandler]
    summary: str
    answer: str
    action: Action | None = None
    resource: str | None = None
    body: type[BaseModel] | None = None
    body_is_list: bool = False
    returns: Any = None
    status: int = 200
    queries: tuple[Query, ...] = ()
    content_type: str = "application/json"
    slash_allowed: bool = False

    @property
    def public(self) -> bool:
        """Whether no credentials are needed."""
        return self.action is None

    @property
    def parameters(self) -> list[str]:
        """Names of the path's parameters, in order."""
        return [match[1] for match in _PARAMETER.finditer(self.path)]

    @property
    def pattern(self) -> str:
        """The path as a regular expression with named groups. `{name:path}` may hold slashes."""
        named = _PARAMETER.sub(lambda match: rf"(?P<{match[1]}>{'.+' if match[2] else '[^/]+'})", self.path)
        return f"{named}/?" if self.slash_allowed else named

    @property
    def public_path(self) -> str:
        """The path as OpenAPI writes it."""
        return _PARAMETER.sub(r"{\1}", self.path)
