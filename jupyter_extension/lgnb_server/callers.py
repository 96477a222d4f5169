"""Whose request it is, where that is counted and not where it is decided what may be done."""

from __future__ import annotations

import hashlib
from typing import Any

from jupyter_server.auth import IdentityProvider, PasswordIdentityProvider

from .keys import authorization_secret

# They make up a new user for each request that shows a token.
_NAMELESS = (IdentityProvider, PasswordIdentityProvider)


def caller_of(handler: Any) -> str:
    """A name that stays the same from one request of a caller to the next, and tells no secret.

    That is the user whom the identity provider knows, or the key or token where it only knows that one is right.
    """
    provider = handler.identity_provider
    if not provider.auth_enabled:
        return "everybody"
    user = handler.current_user
    headers = handler.request.headers
    secret = headers.get("X-Api-Key") or authorization_secret(headers.get("Authorization", ""))
    if secret and handler.token_authenticated and isinstance(provider, _NAMELESS):
        return f"key {hashlib.sha256(secret.encode('utf-8', 'surrogatepass')).hexdigest()[:16]}"
    return f"user {user.username}" if user else "nobody"
