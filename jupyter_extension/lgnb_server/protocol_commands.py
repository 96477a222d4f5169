"""Commands of the thread protocol: their envelopes, and who carries them out. The same over HTTP and WebSocket."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol, cast
from uuid import UUID, uuid4

from lgnb.errors import CommandRefused, LgnbError
from lgnb.models.protocol import Subscription, is_channel
from lgnb.resources import Resources

from .refusals import refusal

_MALFORMED = "A command is an object with an integer id, a method and its params."


@dataclass(frozen=True, slots=True)
class Command:
    id: int
    method: str
    params: Mapping[str, Any]


class MalformedCommand(Exception):
    """What arrived is no command; `answer` says so."""

    def __init__(self, command_id: Any) -> None:
        super().__init__(_MALFORMED)
        self.answer = failure(command_id, "invalid_argument", _MALFORMED)


class Session(Protocol):
    """What a WebSocket can do besides. `applied_through` is the highest number that was sent on it."""

    applied_through: int

    async def subscribe(self, params: Mapping[str, Any]) -> dict[str, Any]: ...

    def unsubscribe(self, subscription_id: Any) -> None: ...

    def tree(self) -> dict[str, Any]: ...


def read_command(value: Any) -> Command:
    """A command from JSON; raises MalformedCommand."""
    given = cast("dict[str, Any]", value) if isinstance(value, dict) else {}
    command_id, method, params = given.get("id"), given.get("method"), given.get("params")
    if type(command_id) is not int or not isinstance(method, str):
        raise MalformedCommand(command_id if isinstance(command_id, int | str) else None)
    return Command(command_id, method, cast("dict[str, Any]", params) if isinstance(params, dict) else {})


def read_subscription(params: Mapping[str, Any]) -> tuple[Subscription, int]:
    """What a client subscribes to, and the number it has everything up to. Malformed limits count as absent.

    Raises:
        CommandRefused: the channels are missing or unknown.
    """
    channels: Any = params.get("channels")
    if not isinstance(channels, list) or not channels:
        raise CommandRefused("invalid_argument", "channels must be a list with at least one channel.")
    names = cast("list[Any]", channels)
    if unknown := [str(name)[:64] for name in names if not is_channel(name)]:
        raise CommandRefused("invalid_argument", f"These are no channels: {', '.join(unknown)}.")
    depth, since = params.get("depth"), params.get("since")
    subscription = Subscription(
        channels=frozenset(names),
        namespaces=_namespaces(params.get("namespaces")),
        depth=depth if type(depth) is int and depth >= 0 else None,
    )
    return subscription, since if type(since) is int and since > 0 else 0


def _namespaces(given: Any) -> tuple[tuple[str, ...], ...] | None:
    if not isinstance(given, list):
        return None
    paths = cast("list[Any]", given)
    if not all(isinstance(path, list) and all(isinstance(s, str) for s in cast("list[Any]", path)) for path in paths):
        return None
    return tuple(tuple(path) for path in paths)


def success(command_id: int, result: Mapping[str, Any], *, applied_through: int) -> dict[str, Any]:
    meta = {"applied_through_seq": applied_through}
    return {"type": "success", "id": command_id, "result": result, "meta": meta}


def failure(command_id: Any, code: str, message: str) -> dict[str, Any]:
    return {"type": "error", "id": command_id, "error": code, "message": message}


class CommandRunner:
    """Carries out commands on one thread for one client."""

    def __init__(self, resources: Resources, thread_id: UUID, *, request_id: str, headers: dict[str, str]) -> None:
        self._resources = resources
        self._thread_id = thread_id
        self._given: Any = {"request_id": request_id, "headers": headers}

    async def answer(self, command: Command, session: Session | None = None) -> dict[str, Any]:
        """The response to a command; nothing that goes wrong with it is raised."""
        try:
            result = await self._carry_out(command, session)
        except CommandRefused as error:
            return failure(command.id, error.code, str(error))
        except LgnbError as error:
            refused = refusal(error, status=500, request_id=self._given["request_id"])
            return failure(command.id, "unknown_error", f"{refused.status}: {refused.detail}")
        return success(command.id, result, applied_through=session.applied_through if session else 0)

    async def _carry_out(self, command: Command, session: Session | None) -> Mapping[str, Any]:
        commands = self._resources.thread_commands
        match command.method:
            case "run.start":
                run = await commands.start(self._thread_id, command.params, **self._given)
                return {"run_id": str(run.run_id)}
            case "input.respond":
                await commands.respond(self._thread_id, command.params, **self._given)
                return {}
            case "subscription.subscribe":
                if session is not None:
                    return await session.subscribe(command.params)
                # Without a socket nothing can be delivered; the answer is that of a subscription nobody feeds.
                read_subscription(command.params)
                return {"subscription_id": str(uuid4()), "replayed_events": 0}
            case "subscription.reconnect":
                if session is None:
                    raise CommandRefused("no_such_run", "There is no session to go back to over HTTP.")
                if (old := command.params.get("subscription_id")) is not None:
                    session.unsubscribe(old)
                return await session.subscribe(command.params)
            case "subscription.unsubscribe":
                subscription_id = command.params.get("subscription_id")
                if session is None:
                    raise CommandRefused("no_such_subscription", f"There is no subscription {subscription_id}.")
                session.unsubscribe(subscription_id)
                return {}
            case "agent.getTree":
                if session is None:
                    raise CommandRefused("no_such_run", "A tree belongs to a session, and HTTP has none.")
                return {"tree": session.tree()}
            case _:
                raise CommandRefused("unknown_command", f"There is no command {command.method[:64]!r}.")
