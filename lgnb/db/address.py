"""What a Postgres URI asks of each connection, besides where to connect."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit


def connection_arguments(uri: str) -> tuple[str, dict[str, Any]]:
    """The URI for the library, and the arguments that go with it.

    `?pgbouncer=true` is ours: behind a pgbouncer in transaction mode the next statement may reach another session,
    so that none may be prepared and no session be given options.
    """
    parts = urlsplit(uri)
    query = parse_qsl(parts.query, keep_blank_values=True)
    kept = [(name, value) for name, value in query if name != "pgbouncer"]
    if len(kept) == len(query):
        return uri, {"options": "-c timezone=UTC"}
    behind = dict(query)["pgbouncer"].lower() in ("true", "1", "yes")
    uri = urlunsplit(parts._replace(query=urlencode(kept)))
    return uri, {"prepare_threshold": None} if behind else {"options": "-c timezone=UTC"}
