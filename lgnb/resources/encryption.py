"""In whose name the values of a request are sealed: what it says, and what the operator's handler makes of that."""

from __future__ import annotations

import base64
import binascii
from typing import Any, Self, cast
from uuid import UUID

import orjson

from ..db.database import Database
from ..db.runs import RunRepository
from ..errors import InvalidRequest
from ..models.access import Access, Condition, ResourceName
from ..models.identity import Caller
from ..models.vault import begin_sealing, current_sealing
from ..sealing import HandlerVault

HEADER = "X-Encryption-Context"


class Encryption:
    """Where JSON is sealed, or in somebody's name; elsewhere there is none of it."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._vault = database.vault

    @classmethod
    def of(cls, database: Database) -> Self | None:
        vault = database.vault
        return cls(database) if vault.fields.seals or isinstance(vault, HandlerVault) else None

    async def begin(self, sent: str | None, *, caller: Caller, calling_run: UUID | None) -> None:
        """From now on, until the request is served, values are sealed in its name.

        Args:
            sent: the header, if there is one. Without it, a graph that calls goes on in the name of its run.

        Raises:
            InvalidRequest: the header is no JSON object in base64.
            EncryptionFailed: the operator's context handler failed.
        """
        if sent is None and calling_run is not None:
            async with self._database.connection() as connection:
                told = await RunRepository(connection).encryption_context(calling_run)
        else:
            told = _parsed(sent) if sent else {}
        begin_sealing(await self._vault.derive_context(caller, told))


class ReadableKeys:
    """Rights as they are, noting the keys that conditions ask for: these must stay readable where they are stored."""

    def __init__(self, access: Access) -> None:
        self._access = access
        self.caller = access.caller
        self.restricts = access.restricts

    async def ask(self, resource: ResourceName, action: str, value: dict[str, Any]) -> Condition | None:
        condition = await self._access.ask(resource, action, value)
        if condition is not None:
            current_sealing().readable.update(condition.keys())
        return condition


def _parsed(sent: str) -> dict[str, Any]:
    try:
        found: Any = orjson.loads(base64.b64decode(sent, validate=True))
    except (binascii.Error, ValueError):
        found = None
    if not isinstance(found, dict):
        raise InvalidRequest(f"{HEADER} must be a JSON object in base64.")
    return cast("dict[str, Any]", found)
