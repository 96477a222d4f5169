"""What browsers are told about other origins, where `http.cors` says it instead of Jupyter."""

from __future__ import annotations

from dataclasses import dataclass, field

from tornado.httputil import HTTPHeaders

from lgnb.models.http import CorsConfig

_METHODS = "DELETE, GET, HEAD, OPTIONS, PATCH, POST, PUT"
# What a page may send without being allowed to, and may therefore also ask for.
_ALWAYS = ("accept", "accept-language", "content-language", "content-type")


@dataclass(frozen=True, slots=True)
class Preflight:
    """The answer to a browser that asks before it calls."""

    status: int
    text: str
    headers: dict[str, str] = field(default_factory=dict[str, str])


def answer_headers(config: CorsConfig, origin: str) -> dict[str, str]:
    """Headers of an answer to a page of this origin; none when it may not call."""
    if not config.grants(origin):
        return {}
    headers = _origin(config, origin)
    if config.expose_headers:
        headers["Access-Control-Expose-Headers"] = ", ".join(config.expose_headers)
    return headers


def preflight(config: CorsConfig, origin: str, asked: HTTPHeaders) -> Preflight:
    """Whether a page may send what its browser asks about."""
    refused: list[str] = []
    method = asked.get("Access-Control-Request-Method", "")
    names = [name.strip().lower() for name in asked.get("Access-Control-Request-Headers", "").split(",")]
    if not config.grants(origin):
        refused.append("origin")
    if method and "*" not in config.allow_methods and method not in config.allow_methods:
        refused.append("method")
    allowed = {*_ALWAYS, *config.allow_headers}
    if "*" not in config.allow_headers and any(name and name not in allowed for name in names):
        refused.append("headers")
    headers = _origin(config, origin) if "origin" not in refused else {}
    headers["Access-Control-Max-Age"] = str(config.max_age_seconds)
    headers["Access-Control-Allow-Methods"] = (
        _METHODS if "*" in config.allow_methods else ", ".join(config.allow_methods)
    )
    # A browser that sends credentials does not take the star for an answer, so it is told what it asked for.
    headers["Access-Control-Allow-Headers"] = ", ".join(
        filter(None, names) if "*" in config.allow_headers else sorted(allowed)
    )
    if refused:
        return Preflight(400, f"Disallowed: {', '.join(refused)}.", headers)
    return Preflight(200, "OK", headers)


def _origin(config: CorsConfig, origin: str) -> dict[str, str]:
    if "*" in config.allow_origins:
        return {"Access-Control-Allow-Origin": "*"}
    headers = {"Access-Control-Allow-Origin": origin, "Vary": "Origin"}
    if config.allow_credentials:
        headers["Access-Control-Allow-Credentials"] = "true"
    return headers
