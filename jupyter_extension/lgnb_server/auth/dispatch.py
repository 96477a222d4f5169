"""The `@auth.on` handlers of the operator: which one decides, and what its answer means."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any, cast

from lgnb.errors import AccessDenied
from lgnb.models.access import Condition, ResourceName
from lgnb.models.identity import Caller

logger = logging.getLogger(__name__)


class HandlerFailed(RuntimeError):
    """A handler answered with something that has no meaning: the answer is a 500, the log has the reason."""


class Handlers:
    """The handlers of one Auth object. Exactly one decides: the one that names most of resource and action."""

    def __init__(self, auth: Any) -> None:
        # The SDK keeps them under these names and offers no other way to them.
        self._by_name: dict[tuple[str, str], list[Any]] = auth._handlers
        self._global: list[Any] = auth._global_handlers
        self._http_exception: type[Exception] = auth.exceptions.HTTPException
        self._warned: set[tuple[str, str]] = set()

    def find(self, resource: str, action: str) -> Any | None:
        """The handler for this, or None: then it is allowed."""
        for name in ((resource, action), (resource, "*"), ("*", action), ("*", "*")):
            if registered := self._by_name.get(name):
                return registered[-1]
        return self._global[-1] if self._global else None

    async def ask(self, caller: Caller, resource: ResourceName, action: str, value: dict[str, Any]) -> Any:
        """What the handler answers; an answer of None or True allows."""
        handler = self.find(resource, action)
        if handler is None:
            return None
        from langgraph_sdk.auth.types import AuthContext

        context = AuthContext(
            permissions=caller.permissions,
            user=_user_of(caller),
            resource=resource,
            action=cast(Any, action),
        )
        try:
            return await handler(ctx=context, value=value)
        except self._http_exception as error:
            refused: Any = error
            raise AccessDenied(refused.detail, status=refused.status_code, headers=refused.headers) from error
        except AssertionError as error:
            raise AccessDenied(str(error) or _refusal(resource, action)) from error

    def warn_about_filter(self, resource: str, action: str) -> None:
        """Say once that a filter does nothing here."""
        if (resource, action) not in self._warned:
            self._warned.add((resource, action))
            logger.warning(
                "The auth handler for %s.%s returned a filter, which only store.search honours. "
                'Change value["namespace"] instead, or raise.',
                resource,
                action,
            )


class ModuleAccess:
    """The rights of one caller, by the handlers of the auth module."""

    restricts = True

    def __init__(self, handlers: Handlers, caller: Caller) -> None:
        self._handlers = handlers
        self.caller: Caller | None = caller
        self._known = caller

    async def ask(self, resource: ResourceName, action: str, value: dict[str, Any]) -> Condition | None:
        answer = await self._handlers.ask(self._known, resource, action, value)
        if answer is None or answer is True:
            return None
        if answer is False:
            raise AccessDenied(_refusal(resource, action))
        if not isinstance(answer, Mapping):
            raise HandlerFailed(
                f"The auth handler for {resource}.{action} returned a {type(answer).__name__}, "
                "but must return None, True, False or a filter."
            )
        try:
            condition = Condition.parse(cast("Mapping[Any, Any]", answer))
        except ValueError as error:
            raise HandlerFailed(f"The filter for {resource}.{action} cannot be used: {error}.") from error
        if resource == "store" and action != "search":
            if condition is not None:
                self._handlers.warn_about_filter(resource, action)
            return None
        return condition


def _user_of(caller: Caller) -> Any:
    from langgraph_sdk.auth.types import StudioUser

    original = getattr(caller, "_original", None)
    # Handlers tell it by its type.
    return original if isinstance(original, StudioUser) else caller


def _refusal(resource: str, action: str) -> str:
    return f"You may not do this: {resource}.{action}."
