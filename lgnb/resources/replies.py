"""What a worker answered to a call, back as a result or as an error of our tree."""

from __future__ import annotations

from typing import Any

from .. import errors
from ..errors import LgnbError
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
    kind = getattr(errors, reply.error, RemoteError)
    error = kind.__new__(kind)
    # Some errors take facts instead of a text; here only the text is known.
    Exception.__init__(error, reply.message or reply.error)
    raise error
