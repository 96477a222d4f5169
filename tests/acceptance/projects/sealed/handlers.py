"""Handlers with a key per tenant: a toy cipher with a nonce, which notices when it is opened for another tenant."""

from __future__ import annotations

import base64
import json
import os
from typing import Any

from langgraph_sdk import Encryption, EncryptionContext

encryption = Encryption()

_READABLE = {"kind", "owner"}
_PREFIX = "sealed:"


@encryption.context
async def context(user: Any, ctx: EncryptionContext) -> dict[str, Any]:
    return {**ctx.metadata, "asked_by": user.identity}


@encryption.encrypt.blob
async def encrypt_blob(ctx: EncryptionContext, blob: bytes) -> bytes:
    return _sealed(ctx, blob)


@encryption.decrypt.blob
async def decrypt_blob(ctx: EncryptionContext, blob: bytes) -> bytes:
    return _opened(ctx, blob)


@encryption.encrypt.json
async def encrypt_json(ctx: EncryptionContext, data: dict[str, Any]) -> dict[str, Any]:
    return {key: value if key in _READABLE else _text(ctx, value) for key, value in data.items()}


@encryption.decrypt.json
async def decrypt_json(ctx: EncryptionContext, data: dict[str, Any]) -> dict[str, Any]:
    return {
        key: json.loads(_opened(ctx, base64.b64decode(value.removeprefix(_PREFIX))))
        if isinstance(value, str) and value.startswith(_PREFIX)
        else value
        for key, value in data.items()
    }


def _text(ctx: EncryptionContext, value: Any) -> str:
    return _PREFIX + base64.b64encode(_sealed(ctx, json.dumps(value).encode())).decode()


def _sealed(ctx: EncryptionContext, data: bytes) -> bytes:
    nonce = os.urandom(1)
    return _key(ctx) + nonce + _mixed(data, nonce[0])


def _opened(ctx: EncryptionContext, data: bytes) -> bytes:
    key = _key(ctx)
    if not data.startswith(key):
        raise ValueError(f"this was not sealed for {ctx.metadata['tenant']}")
    return _mixed(data[len(key) + 1 :], data[len(key)])


def _mixed(data: bytes, nonce: int) -> bytes:
    return bytes(byte ^ (nonce or 0xA5) for byte in data)


def _key(ctx: EncryptionContext) -> bytes:
    tenant = ctx.metadata.get("tenant")
    if not tenant:
        raise ValueError("the request names no tenant")
    return f"<{tenant}>".encode()
