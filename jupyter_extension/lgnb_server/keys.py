"""The keys that open this server beside Jupyter's own credentials, compared in constant time."""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from collections.abc import Iterable

_AUTHORIZATION = re.compile(r"\s*(?:bearer|token)\s+(\S.*?)\s*", re.IGNORECASE)


class Keys:
    """A random key of this server, written to its runtime file, that of its workers, and those of the operator.

    Only digests of the configured keys are held.
    """

    def __init__(self, configured: Iterable[str] = (), *, worker: str | None = None) -> None:
        self.own = secrets.token_urlsafe(32)
        self.worker = worker or secrets.token_urlsafe(32)
        # Of the operator's application, which runs in this process; it is written nowhere.
        self.application = secrets.token_urlsafe(32)
        self._digests = [_digest(key) for key in (self.own, self.application, *configured)]

    def accept(self, candidate: str) -> bool:
        """Whether `candidate` is one of the keys."""
        digest = _digest(candidate)
        # No early exit: the time tells neither which key matched nor how far.
        return bool(sum([hmac.compare_digest(digest, known) for known in self._digests]))

    def is_application(self, candidate: str) -> bool:
        """Whether `candidate` is the key of the operator's application."""
        return same_secret(candidate, self.application)

    def is_worker(self, candidate: str) -> bool:
        """Whether `candidate` is the key of workers, which may say for which of their runs they call."""
        return same_secret(candidate, self.worker)


def same_secret(candidate: str, secret: str) -> bool:
    """Whether two secrets are equal, in a time that does not depend on where they differ."""
    return hmac.compare_digest(_digest(candidate), _digest(secret))


def configured_keys(text: str) -> list[str]:
    """The keys in a comma separated list."""
    return [key for part in text.split(",") if (key := part.strip())]


def authorization_secret(header: str) -> str | None:
    """What `Authorization: Bearer X` or `Authorization: token X` carries."""
    match = _AUTHORIZATION.fullmatch(header)
    return match[1] if match else None


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()
