"""`lgnb.server()`: the server of this kernel; `lgnb.connect()`: name it instead of letting lgnb find it."""

from __future__ import annotations

from .connection import Connection
from .discovery import Server
from .session import current_session
from .twins import awaitable


def server() -> Server:
    """The server of this kernel, found or started: its `url` and `api_key` are what any client of the API needs."""
    return current_session().connection().server


def connect(url: str | None = None, *, api_key: str | None = None) -> Connection:
    """Use the server at this address from now on; without an address, search again.

    Args:
        url: the API root, such as `http://127.0.0.1:8123/lgnb`.
        api_key: sent as `x-api-key`.

    Raises:
        ConnectError: the server does not answer, or refuses the key.
    """
    session = current_session()
    if url is None:
        session.close()
        return session.connection()
    return session.connect(url=url, api_key=api_key)


aconnect = awaitable(connect)
