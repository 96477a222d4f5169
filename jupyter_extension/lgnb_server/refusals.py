"""What a client is told when something goes wrong: our error tree, and Tornado's errors, as status and JSON."""

from __future__ import annotations

import http.client
from dataclasses import dataclass, field

from tornado.web import HTTPError

from lgnb.errors import (
    AccessDenied,
    Conflict,
    EncryptionFailed,
    GraphLoadError,
    InvalidRequest,
    InvalidState,
    LgnbError,
    LimitReached,
    NotFound,
    NotReady,
    SealedValue,
    SuperstepsFailed,
)

# The first class that fits decides, so a subclass stands before its base.
_STATUS: tuple[tuple[type[LgnbError], int], ...] = (
    (SuperstepsFailed, 201),
    (InvalidState, 400),
    (InvalidRequest, 422),
    (NotFound, 404),
    (Conflict, 409),
    (LimitReached, 429),
    (NotReady, 503),
    (SealedValue, 503),
    (EncryptionFailed, 503),
)


_CHALLENGE = {"WWW-Authenticate": "Bearer"}


@dataclass(frozen=True, slots=True)
class Refusal:
    """Status, sentence and headers of an answer that is not a success."""

    status: int
    detail: str
    headers: dict[str, str] = field(default_factory=dict[str, str])
    traceback: str = ""

    @property
    def body(self) -> dict[str, str]:
        """LangGraph clients read `detail`, Jupyter's read `message`."""
        told = {"detail": self.detail, "message": self.detail}
        return told | {"traceback": self.traceback} if self.traceback else told


def refusal(error: BaseException | None, *, status: int, request_id: str) -> Refusal:
    """How to answer `error`; `status` is Tornado's opinion, used where no error says more.

    An error that nobody planned becomes a 500 which tells only the id under which the log has the rest.
    """
    if isinstance(error, HTTPError):
        return _of_http_error(error)
    if isinstance(error, AccessDenied):
        return Refusal(error.status, str(error), (_CHALLENGE if error.status == 401 else {}) | error.headers)
    if isinstance(error, GraphLoadError):
        # Of the user's own code, for whoever may use the graph.
        return Refusal(424, str(error), traceback=error.traceback)
    for kind, planned in _STATUS:
        if isinstance(error, kind):
            return Refusal(planned, str(error), _retry_after(error))
    if error is None:
        return Refusal(status, http.client.responses.get(status, "Error"))
    return Refusal(500, f"The server failed to answer; its log has the reason under {request_id}.")


def _of_http_error(error: HTTPError) -> Refusal:
    text = http.client.responses.get(error.status_code, "Error")
    if error.log_message and error.status_code not in (404, 405):
        # Also without arguments: Tornado has doubled every percent sign.
        text = error.log_message % error.args
    return Refusal(error.status_code, text, dict(_CHALLENGE) if error.status_code == 401 else {})


def _retry_after(error: LgnbError) -> dict[str, str]:
    if isinstance(error, LimitReached):
        return {"Retry-After": str(error.retry_after_seconds)}
    return {"Retry-After": "1"} if isinstance(error, NotReady | SealedValue | EncryptionFailed) else {}
