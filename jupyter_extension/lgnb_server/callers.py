"""Whose request it is, where that is counted and not where it is decided what may be done."""

from __future__ import annotations

import hashlib
from typing import Any

from jupyter_server.auth import IdentityProvider, PasswordIdentityProvider

from .keys import authorization_secret

# They make up a new user for each request that shows a token; what is derived from them (a hub's) knows better.
_NAMELESS = (IdentityProvider, PasswordIdentityProvider)

KEY_USER_NAME = "lgnb"
"""The user that stands for whoever shows a key of this server."""


def caller_of(handler: Any) -> str:
    """A name that stays the same from one request of a caller to the next, and tells no secret.

    That is the user whom the identity provider or the auth module knows, or the key or token where it is only known
    that one is right.
    """
    provider, user = handler.identity_provider, handler.current_user
    if not provider.auth_enabled:
        return "everybody"
    known = handler.access.caller
    if known is not None and user is not None and user.username != KEY_USER_NAME:
        return f"user {known.identity}"  # also when it is his run that calls
    headers = handler.request.headers
    secret = headers.get("X-Api-Key") or authorization_secret(headers.get("Authorization", ""))
    is_nameless = type(provider) in _NAMELESS or (user is not None and user.username == KEY_USER_NAME)
    if secret and handler.token_authenticated and is_nameless:
        return f"key {hashlib.sha256(secret.encode('utf-8', 'surrogatepass')).hexdigest()[:16]}"
    return f"user {user.username}" if user else "nobody"
