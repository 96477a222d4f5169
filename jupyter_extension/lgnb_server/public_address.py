"""The address under which a client reached this server, also through proxies that Jupyter was told to trust."""

from __future__ import annotations

import re
from collections.abc import Mapping

from jupyter_server.utils import url_path_join

_HOST = re.compile(r"[A-Za-z0-9._:\[\]-]{1,255}")
_PREFIX = re.compile(r"/[\w.~%@/-]{0,255}", re.ASCII)


def public_root(*, protocol: str, host: str, headers: Mapping[str, str], base_url: str, trusts_proxy: bool) -> str:
    """The address of Jupyter itself, with its base URL.

    `protocol` is that of the client: Tornado has read `X-Forwarded-Proto` by then, where the proxy is trusted.
    """
    prefix = ""
    if trusts_proxy:
        forwarded = _first(headers.get("X-Forwarded-Host", ""))
        host = forwarded if _HOST.fullmatch(forwarded) else host
        stripped = _first(headers.get("X-Forwarded-Prefix", ""))
        prefix = stripped if _PREFIX.fullmatch(stripped) else ""
    # A proxy that also says its prefix, but has not stripped it, is answered without doubling it.
    path = base_url if base_url.startswith(f"{prefix.rstrip('/')}/") else url_path_join(prefix, base_url)
    return url_path_join(f"{protocol}://{host}", path)


def _first(header: str) -> str:
    return header.partition(",")[0].strip()
