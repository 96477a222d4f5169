"""Where LGNB_REDIS_URI leads: to one server, to the primary that Sentinels watch over, or to the nodes of a Cluster.

| URI | means |
|---|---|
| redis://host:6379/0, rediss://… (TLS), unix:///path | one server |
| redis+sentinel://sentinel-1:26379,sentinel-2:26379/name/0 | the primary that these Sentinels know by that name |
| redis+cluster://node-1:6379,node-2:6379 | a Cluster, of which some nodes are named |

User, password and options stand where they do for one server, and rediss+… is TLS to all. Sentinels that want a
password get the options `sentinel_username` and `sentinel_password`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal
from urllib.parse import SplitResult, parse_qsl, quote, urlencode, urlsplit

from ..errors import SettingsError

Kind = Literal["standalone", "sentinel", "cluster"]

EXAMPLES: dict[Kind, str] = {
    "standalone": "redis://host:6379/0",
    "sentinel": "redis+sentinel://sentinel-1:26379,sentinel-2:26379/name-of-the-primary",
    "cluster": "redis+cluster://node-1:6379,node-2:6379",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """What a URI says.

    Attributes:
        server_uris: of the one server, of each Sentinel, or of each node that is named.
        data_uri: of who has the data. Where several may have it, the place is left out; see `at`.
        primary: the name that the Sentinels know.
    """

    kind: Kind
    server_uris: tuple[str, ...]
    data_uri: str
    primary: str = ""

    def at(self, host: str, port: int) -> str:
        """The URI of a server there, with the user, password and options of this address."""
        return _at(urlsplit(self.data_uri), f"{f'[{host}]' if ':' in host else host}:{port}")


def parse(uri: str) -> Address:
    """
    Raises:
        SettingsError: it cannot be read. The sentence does not quote it, as there may be a password in it.
    """
    scheme, _, rest = uri.partition("://")
    scheme, _, wanted = scheme.partition("+")
    kind: Kind = "sentinel" if wanted == "sentinel" else "cluster" if wanted == "cluster" else "standalone"
    try:
        parts = urlsplit(f"{scheme}://{rest}")
        if kind == "sentinel":
            return _sentinel(parts)
        if kind == "cluster":
            return _cluster(parts)
        _ = parts.port  # raises, too
        return Address(kind=kind, server_uris=(uri,), data_uri=uri)
    except ValueError:
        raise SettingsError(f"LGNB_REDIS_URI cannot be read; write it as {EXAMPLES[kind]}") from None


def _cluster(parts: SplitResult) -> Address:
    if parts.path.strip("/") not in ("", "0"):
        raise ValueError("a Cluster has only the database 0")
    credentials, places = _split(parts.netloc, port=6379)
    data = parts._replace(netloc=credentials, path="")
    return Address(kind="cluster", server_uris=tuple(_at(data, place) for place in places), data_uri=data.geturl())


def _sentinel(parts: SplitResult) -> Address:
    credentials, places = _split(parts.netloc, port=26379)
    primary, _, database = parts.path.strip("/").partition("/")
    if not primary:
        raise ValueError("the name of the primary is missing")
    options = dict(parse_qsl(parts.query))
    user, password = (quote(options.pop(f"sentinel_{word}", ""), safe="") for word in ("username", "password"))
    data = parts._replace(netloc=credentials, path=f"/{database}", query=urlencode(options))
    sentinel = data._replace(netloc=f"{user}:{password}@" if password else "", path="")
    return Address(
        kind="sentinel",
        server_uris=tuple(_at(sentinel, place) for place in places),
        data_uri=data.geturl(),
        primary=primary,
    )


def _split(netloc: str, *, port: int) -> tuple[str, list[str]]:
    """User and password as they stand before a place, and the places."""
    credentials, at, places = netloc.rpartition("@")
    return credentials + at, [_whole(place, port) for place in places.split(",")]


def _whole(place: str, port: int) -> str:
    parts = urlsplit(f"//{place}")
    if not parts.hostname:
        raise ValueError("a host is missing")
    return place if parts.port else f"{place}:{port}"


def _at(parts: SplitResult, place: str) -> str:
    return parts._replace(netloc=parts.netloc + place).geturl()
