"""The Model Context Protocol over streamable HTTP, with answers in JSON."""

from __future__ import annotations

from typing import Any, cast

from tornado.web import HTTPError, authenticated

from lgnb.errors import InvalidRequest

from .. import parsing
from ..accepting import accepts
from ..jsonrpc import Request, RpcError, failure, id_of, read_request, success
from ..mcp.server import McpServer
from ..mcp.tools import call_result
from .runs import RunHandlerBase


class McpHandler(RunHandlerBase):
    """One message in, one answer out. A caller who leaves before a tool has answered cancels its run."""

    @authenticated
    async def post(self) -> None:
        try:
            message = self._message()
        except InvalidRequest as error:
            self.answer({"error": str(error)}, status=400)
            return
        server = McpServer(self.resources, request_id=self.request_id, headers=self.configurables())
        if _expects_no_answer(message):
            self.answer_empty(status=202)
            return
        try:
            request = read_request(message)
            if request.method == "tools/call":
                await self._call(server, request)
            else:
                self.answer(success(request.id, await server.answer(request)))
        except RpcError as error:
            self.answer(failure(id_of(message), error))

    @authenticated
    async def delete(self) -> None:
        """There is no session to end."""
        raise HTTPError(404)

    async def _call(self, server: McpServer, request: Request) -> None:
        run = await server.call(request.params)

        async def result() -> dict[str, Any]:
            return success(request.id, call_result(await self.resources.runs.result(run)))

        await self.send_when_there(run, result(), cancel_on_disconnect=True)

    def _message(self) -> dict[str, Any]:
        """The message of the body; raises InvalidRequest where it is none of this protocol."""
        if not accepts(self.request.headers.get("Accept", ""), "application/json", "text/event-stream"):
            raise InvalidRequest("Answers are application/json, which the Accept header does not allow.")
        value = parsing.read_json(self.request.body)
        message = cast("dict[str, Any]", value) if isinstance(value, dict) else {}
        if message.get("jsonrpc") != "2.0":
            raise InvalidRequest('The body must be one JSON-RPC message, an object with "jsonrpc": "2.0".')
        return message


def _expects_no_answer(message: dict[str, Any]) -> bool:
    """Whether this is a notification, or the response to a request that this server never made."""
    if "method" in message:
        return "id" not in message
    return "result" in message or "error" in message
