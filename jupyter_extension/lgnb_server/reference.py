"""The reference of the API, drawn from the route table: `openapi.json` and a page that needs no network."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from typing import Any, cast

from pydantic import TypeAdapter
from pydantic.json_schema import models_json_schema

from lgnb import __version__

from .auth.section import OpenApiSection
from .route import UUID_PARAMETERS, Route

_REFERENCE = "#/components/schemas/{model}"

# What an application cannot shadow.
_KEPT_PATHS = ("/ok", "/metrics", "/docs", "/openapi.json")

_ERROR = {
    "type": "object",
    "properties": {"detail": {"type": "string"}, "message": {"type": "string"}},
    "required": ["detail"],
}


def openapi(routes: Sequence[Route], own: OpenApiSection | None = None) -> dict[str, Any]:
    """The description of every route, as OpenAPI 3.1. Its one server is the place it was read from.

    Args:
        own: what the operator's configuration says about credentials, and adds.
    """
    models = sorted({route.body for route in routes if route.body}, key=lambda model: model.__name__)
    schemas = models_json_schema([(model, "validation") for model in models], ref_template=_REFERENCE)[1]
    components: dict[str, Any] = {**schemas.get("$defs", {}), "Error": _ERROR}
    paths: dict[str, dict[str, Any]] = {}
    for route in routes:
        operations = paths.setdefault(route.public_path, {})
        operations[route.method.lower()] = _operation(route, components)
    document: dict[str, Any] = {
        "openapi": "3.1.0",
        "info": {
            "title": "lgnb",
            "version": __version__,
            "description": "The LangGraph API of a Jupyter server.",
            "license": {"name": "BSD-3-Clause"},
        },
        "servers": [{"url": "."}],
        "paths": paths,
        "components": {
            "schemas": components,
            "securitySchemes": {
                "key": {"type": "apiKey", "in": "header", "name": "x-api-key"},
                "token": {"type": "http", "scheme": "bearer"},
            },
        },
    }
    return document if own is None else _with_own(document, own)


def _with_own(document: dict[str, Any], own: OpenApiSection) -> dict[str, Any]:
    """The reference where an auth module decides: its schemes stand in place of ours."""
    components: dict[str, Any] = document["components"]
    if own.securitySchemes:
        components["securitySchemes"] = own.securitySchemes
    for operations in document["paths"].values():
        for operation in operations.values():
            if operation["security"] and (own.security is not None or own.securitySchemes):
                operation["security"] = own.security or [{name: []} for name in own.securitySchemes]
    for path, operations in own.paths.items():
        document["paths"][path] = {**document["paths"].get(path, {}), **operations}
    return document


def merged(ours: dict[str, Any], theirs: dict[str, Any] | None) -> dict[str, Any]:
    """Our description with that of the operator's application, whose paths come first as they do in serving.

    A part of theirs that is called like one of ours gets a name of its own.
    """
    if not theirs:
        return ours
    taken = ours["components"]["schemas"]
    schemas: dict[str, Any] = theirs.get("components", {}).get("schemas", {})
    names = {name: f"App{name}" if taken.get(name, schema) != schema else name for name, schema in schemas.items()}
    references = {_REFERENCE.format(model=old): _REFERENCE.format(model=new) for old, new in names.items()}
    description = _renamed(theirs, references)
    paths = {path: verbs for path, verbs in description.get("paths", {}).items() if path not in _KEPT_PATHS}
    components = {kind: dict(parts) for kind, parts in ours["components"].items()}
    for kind, parts in description.get("components", {}).items():
        renamed = {names[name]: part for name, part in parts.items()} if kind == "schemas" else parts
        components.setdefault(kind, {}).update(renamed)
    return {**ours, "paths": {**ours["paths"], **paths}, "components": components}


def _renamed(value: Any, references: dict[str, str]) -> Any:
    if isinstance(value, dict):
        found = cast("dict[str, Any]", value)
        return {
            key: references.get(part, part) if key == "$ref" else _renamed(part, references)
            for key, part in found.items()
        }
    if isinstance(value, list):
        return [_renamed(part, references) for part in cast("list[Any]", value)]
    return value


def html_page(routes: Sequence[Route]) -> str:
    """The operations as one page, without scripts."""
    rows = "".join(
        f"<tr><td><code>{route.method}</code></td><td><code>{escape(route.public_path)}</code></td>"
        f"<td>{escape(route.summary)}</td><td>{escape(route.answer)}</td></tr>"
        for route in routes
    )
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>lgnb API</title><style>'
        "body{font:15px/1.5 system-ui,sans-serif;max-width:70rem;margin:2rem auto;padding:0 1rem}"
        "table{border-collapse:collapse;width:100%}"
        "td,th{text-align:left;padding:.3rem .6rem;border-bottom:1px solid #ccc}"
        f"</style></head><body><h1>lgnb {__version__}</h1><p>Every operation of this server. The whole description, "
        'with the shape of each body, is <a href="openapi.json">openapi.json</a>.</p>'
        "<table><thead><tr><th>Method</th><th>Path</th><th>What it does</th><th>Answer</th></tr></thead>"
        f"<tbody>{rows}</tbody></table></body></html>"
    )


def _operation(route: Route, components: dict[str, Any]) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "operationId": _operation_id(route),
        "summary": route.summary,
        "tags": [(route.resource or "lgnb:system").removeprefix("lgnb:")],
        "parameters": [*_path_parameters(route), *_query_parameters(route)],
        "responses": {str(route.status): _response(route, components)} | _refusals(route),
        "security": [] if route.public else [{"key": []}, {"token": []}],
    }
    if route.body:
        schema: dict[str, Any] = {"$ref": _REFERENCE.format(model=route.body.__name__)}
        if route.body_is_list:
            schema = {"type": "array", "items": schema, "minItems": 1}
        operation["requestBody"] = {"required": True, "content": {"application/json": {"schema": schema}}}
    return operation


def _operation_id(route: Route) -> str:
    words = [word.strip("{}") for word in route.public_path.split("/") if word]
    return "_".join([route.method.lower(), *(word.replace(".", "_") for word in words)])


def _path_parameters(route: Route) -> Iterable[dict[str, Any]]:
    for name in route.parameters:
        schema = {"type": "string", "format": "uuid"} if name in UUID_PARAMETERS else {"type": "string", "minLength": 1}
        yield {"name": name, "in": "path", "required": True, "schema": schema}


def _query_parameters(route: Route) -> Iterable[dict[str, Any]]:
    for query in route.queries:
        yield {"name": query.name, "in": "query", "description": query.about, "schema": query.schema}


def _response(route: Route, components: dict[str, Any]) -> dict[str, Any]:
    response: dict[str, Any] = {"description": route.answer}
    if route.status in (101, 202, 204):
        return response
    schema: dict[str, Any] = {}
    if route.returns is not None:
        schema = TypeAdapter(route.returns).json_schema(ref_template=_REFERENCE, mode="serialization")
        components |= schema.pop("$defs", {})
    response["content"] = {route.content_type: {"schema": schema}}
    return response


def _refusals(route: Route) -> dict[str, Any]:
    content = {"application/json": {"schema": {"$ref": _REFERENCE.format(model="Error")}}}
    told = {"503": "The server is starting, or a part of it is missing.", "422": "The request breaks a rule."}
    if not route.public:
        told |= {"401": "Credentials are missing or wrong.", "403": "The authorizer refused."}
    if route.parameters or route.body:
        told |= {"400": "The request means something impossible.", "404": "The named thing does not exist."}
    if route.method != "GET":
        told |= {"409": "The present state does not allow it.", "413": "The body is too large."}
    return {status: {"description": text, "content": content} for status, text in told.items()}
