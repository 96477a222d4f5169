"""The methods of MCP. There are no sessions: every message stands for itself."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from typing import Any, cast

from lgnb import __version__
from lgnb.errors import GraphLoadError, InvalidRequest, LgnbError, NotFound
from lgnb.models.assistants import Assistant
from lgnb.models.runs import Run, RunRequest
from lgnb.resources import Resources

from ..jsonrpc import INVALID_PARAMS, Request, RpcError, object_param, text_param, translated, unknown_method
from .tools import tool, tool_name, tool_schema

VERSIONS = ("2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25")

_PAGE = 100
_MOST_AT_ONCE = 1000


class McpServer:
    """Answers the messages of one caller."""

    def __init__(self, resources: Resources, *, request_id: str, headers: dict[str, Any]) -> None:
        self._resources = resources
        self._request_id = request_id
        self._headers = headers

    async def answer(self, request: Request) -> dict[str, Any]:
        """The result of every method but `tools/call`, whose result comes with the end of a run.

        Raises:
            RpcError: the method or its params are wrong.
        """
        match request.method:
            case "initialize":
                return _initialized(request.params)
            case "ping":
                return {}
            case "tools/list":
                try:
                    return await self._tools(_cursor(request.params))
                except LgnbError as error:
                    raise translated(error) from error
            case _:
                raise unknown_method(request.method)

    async def call(self, params: Mapping[str, Any]) -> Run:
        """`tools/call`: a stateless run of the assistant with this name.

        Raises:
            RpcError: there is no such tool, or the arguments are wrong.
        """
        name = text_param(params, "name")
        arguments = object_param(params, "arguments")
        context = object_param(params, "context")
        try:
            assistant = await self._named(name)
            request = RunRequest(assistant_id=str(assistant.assistant_id), input=arguments, context=context)
            return await self._resources.runs.create(
                None, request, request_id=self._request_id, headers_configurable=self._headers
            )
        except LgnbError as error:
            raise translated(error) from error

    async def _tools(self, offset: int) -> dict[str, Any]:
        page = await self._resources.assistants.search(limit=_PAGE, offset=offset)
        schemas: dict[str, dict[str, Any] | None] = {}
        tools: dict[str, dict[str, Any]] = {}
        for assistant in page.items:
            if assistant.graph_id not in schemas:
                schemas[assistant.graph_id] = await self._schema(assistant)
            schema = schemas[assistant.graph_id]
            if schema is not None:
                tools.setdefault(tool_name(assistant), tool(assistant, schema))
        listed: dict[str, Any] = {"tools": list(tools.values())}
        if page.next_offset is not None:
            listed["nextCursor"] = str(page.next_offset)
        return listed

    async def _schema(self, assistant: Assistant) -> dict[str, Any] | None:
        try:
            schemas = await self._resources.assistants.schemas(assistant.assistant_id)
        except (GraphLoadError, InvalidRequest, NotFound):
            return None
        return tool_schema(schemas["input_schema"])

    async def _named(self, name: str) -> Assistant:
        found = [assistant async for assistant in self._assistants() if tool_name(assistant) == name]
        if not found:
            raise RpcError(INVALID_PARAMS, f"There is no tool {name[:128]!r}; tools/list names them all.")
        if len(found) > 1:
            raise RpcError(INVALID_PARAMS, f"{len(found)} assistants are called {name!r}; give them different names.")
        return found[0]

    async def _assistants(self) -> AsyncGenerator[Assistant]:
        offset: int | None = 0
        while offset is not None:
            page = await self._resources.assistants.search(limit=_MOST_AT_ONCE, offset=offset)
            for assistant in page.items:
                yield assistant
            offset = page.next_offset


def _initialized(params: Mapping[str, Any]) -> dict[str, Any]:
    asked: Any = cast("Any", params.get("protocolVersion"))
    return {
        "protocolVersion": asked if asked in VERSIONS else VERSIONS[-1],
        "capabilities": {"tools": {"listChanged": False}},
        "serverInfo": {"name": "lgnb", "version": __version__},
    }


def _cursor(params: Mapping[str, Any]) -> int:
    cursor: Any = params.get("cursor")
    if cursor is None:
        return 0
    text = str(cursor)
    if isinstance(cursor, bool) or not text.isascii() or not text.isdecimal() or len(text) > 9:
        raise RpcError(INVALID_PARAMS, "cursor is not one that this server gave.")
    return int(text)
