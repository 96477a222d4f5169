"""Tenants by their names: everybody reaches what is his own, and the system's assistants."""

from __future__ import annotations

from typing import Any

from langgraph_sdk import Auth

auth = Auth()


@auth.authenticate
async def authenticate(authorization: str | None) -> Auth.types.MinimalUserDict:
    scheme, _, name = (authorization or "").partition(" ")
    if scheme != "Bearer" or name not in ("alice", "bob"):
        raise Auth.exceptions.HTTPException(status_code=401, detail="Who are you?")
    return {"identity": name, "permissions": ["all"]}


@auth.on
async def own(ctx: Auth.types.AuthContext, value: dict[str, Any]) -> Auth.types.FilterType:
    value.setdefault("metadata", {})
    value["metadata"] = {**(value["metadata"] or {}), "owner": ctx.user.identity}
    return {"owner": ctx.user.identity}


@auth.on.store
async def own_namespace(ctx: Auth.types.AuthContext, value: dict[str, Any]) -> None:
    if value["namespace"] == () and "key" not in value:
        value["namespace"] = (ctx.user.identity,)
    assert value["namespace"][:1] == (ctx.user.identity,), "This namespace is not yours."
