"""The Agent2Agent protocol: an assistant's card, and its methods over JSON-RPC and SSE."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable
from contextlib import aclosing
from typing import Any
from uuid import UUID

from jupyter_server.utils import url_path_join
from tornado.web import authenticated

from lgnb.errors import InvalidRequest, InvalidState, LgnbError, LimitReached
from lgnb.json_encoding import encode
from lgnb.models.assistants import Assistant
from lgnb.models.streams import StreamEvent

from .. import parsing
from ..a2a.agent import Agent
from ..a2a.cards import HISTORY_HEADER, VERSION_HEADER, agent_card
from ..a2a.server import A2aServer, Later, Now, Stream, check_version, streams
from ..accepting import accepts
from ..jsonrpc import (
    INVALID_REQUEST,
    PARSE_ERROR,
    Request,
    RequestId,
    RpcError,
    failure,
    id_of,
    read_request,
    success,
    translated,
)
from ..public_address import public_root
from ..route import MOUNT
from ..streaming import one_by_one
from .base import LgnbHandler, read_uuid
from .runs import RunHandlerBase


class CardHandlerBase(LgnbHandler):
    """What gives an assistant's card."""

    def card_of(self, assistant: Assistant) -> dict[str, Any]:
        """The card of an assistant, with the address under which this caller reaches it."""
        root = public_root(
            protocol=self.request.protocol,
            host=self.request.host,
            headers=self.request.headers,
            base_url=self.base_url,
            trusts_proxy=self.settings["serverapp"].trust_xheaders,
        )
        return agent_card(assistant, url_path_join(root, MOUNT, "a2a", str(assistant.assistant_id)))


class AgentCardHandler(CardHandlerBase):
    @authenticated
    async def get(self, assistant_id: UUID) -> None:
        self.answer(self.card_of(await self.resources.assistants.get(assistant_id)))


class NamedAgentCardHandler(CardHandlerBase):
    """The card at the well-known address of the whole server, where the query has to say whose."""

    @authenticated
    async def get(self) -> None:
        named = self.get_query_argument("assistant_id", "")
        if not named:
            raise InvalidState("Say whose card: add ?assistant_id= with the id of an assistant.")
        assistant_id = read_uuid(named, name="assistant_id")
        self.answer(self.card_of(await self.resources.assistants.get(assistant_id)))


class A2aHandler(AgentCardHandler, RunHandlerBase):
    """Every method of the protocol. A client that leaves stops nothing: it finds its task again by the id."""

    @authenticated
    async def post(self, assistant_id: UUID) -> None:
        body: Any = None
        try:
            body = self._body()
            request = read_request(body)
            if request.id is None:
                raise RpcError(INVALID_REQUEST, "A request needs an id to be answered under.")
            check_version(self._version())
            if not self._is_accepted(request):
                return
            server = await self._server(assistant_id)
            # Whether the answer takes long is known when its run exists; a run must not be begun for nobody.
            with self.long_answer():
                await self._give(request, await server.answer(request))
        except LimitReached:
            raise  # a status that clients and proxies know to wait for
        except (RpcError, LgnbError) as error:
            self.answer(_failed(id_of(body), error))

    async def _server(self, assistant_id: UUID) -> A2aServer:
        assistant = await self.resources.assistants.get(assistant_id)
        headers = self.configurables()
        agent = Agent(self.resources, assistant, request_id=self.request_id, headers=headers)
        return A2aServer(agent, self.card_of(assistant), scope=self.request.headers.get(HISTORY_HEADER, ""))

    async def _give(self, request: Request, given: Now | Later | Stream) -> None:
        match given:
            case Now(result):
                self.answer(success(request.id, result))
            case Later(run, result):
                await self.send_when_there(run, _response(request.id, result), cancel_on_disconnect=False)
            case Stream(run, results):
                await self.relay(run, one_by_one(_events(request.id, results)), cancel_on_disconnect=False)

    def _version(self) -> str:
        """The version of the protocol that the client names, in a header or in the address."""
        return (self.request.headers.get(VERSION_HEADER) or self.get_query_argument(VERSION_HEADER, "")).strip()

    def _body(self) -> Any:
        try:
            return parsing.read_json(self.request.body)
        except InvalidRequest as error:
            raise RpcError(PARSE_ERROR, str(error)) from None

    def _is_accepted(self, request: Request) -> bool:
        """Whether the client takes the kind of answer that the method has; it is told so where not."""
        kind = "text/event-stream" if streams(request.method) else "application/json"
        if accepts(self.request.headers.get("Accept", ""), kind):
            return True
        text = f"{request.method} is answered with {kind}, which the Accept header does not allow."
        self.answer({"error": text}, status=400)
        return False


async def _response(request_id: RequestId, result: Awaitable[Any]) -> dict[str, Any]:
    """The response around a result. Its status went out already, so what goes wrong now is told inside."""
    try:
        return success(request_id, await result)
    except (RpcError, LgnbError) as error:
        return _failed(request_id, error)


async def _events(request_id: RequestId, results: AsyncGenerator[Any]) -> AsyncGenerator[StreamEvent]:
    try:
        async with aclosing(results):
            async for result in results:
                yield StreamEvent("message", encode(success(request_id, result)))
    except (RpcError, LgnbError) as error:
        yield StreamEvent("message", encode(_failed(request_id, error)))


def _failed(request_id: RequestId, error: RpcError | LgnbError) -> dict[str, Any]:
    return failure(request_id, error if isinstance(error, RpcError) else translated(error))
