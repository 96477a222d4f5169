"""What a worker answered to a call, back as a result or as an error of our tree."""

from __future__ import annotations

from typing import Any

from ..errors import LgnbError, error_named
from ..queue.calls import Reply


class RemoteError(LgnbError):
    """A worker failed at a call with an error that is not of our tree."""


def failure(error: LgnbError) -> Reply:
    """The reply that carries an error."""
    return Reply(error=type(error).__name__, message=str(error))


def unwrap(reply: Reply) -> Any:
    """The result of a reply, or its error raised again."""
    if reply.error is None:
        return reply.result
    raise error_named(reply.error, reply.message or "", otherwise=RemoteError)
