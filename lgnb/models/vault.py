"""How values are kept from whoever reads the database: sealed before they are stored, opened after."""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Literal, Protocol, TypeGuard

from ..errors import InvalidState, SealedValue
from .checkpoints import Blob

AES_MARK = "+aes"
HANDLER_MARK = "+sealed"
"""What a sealed blob's type ends with, by the kind of vault that opens it; an encryption context may follow."""

FIELD_MARK = "__encryption__"
"""The first key of a sealed JSON object. Beside it are the keys of the object itself, as the handler left them."""

Model = Literal["assistant", "thread", "run", "cron", "store", "checkpoint"]


@dataclass(frozen=True, slots=True)
class Sealing:
    """In whose name values are sealed.

    Attributes:
        context: what handlers get as `ctx.metadata`; stored with every value, and so known to who opens it.
        readable: keys by which rows are found for their owners; a handler must leave their values alone.
        off: nothing is sealed: what is stored is the server's own.
    """

    context: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))
    readable: set[str] = field(default_factory=set[str])
    off: bool = False


# It goes beside the arguments: it decides nothing but how a value is stored, and every way to the database would have
# to pass it on.
_sealing: ContextVar[Sealing | None] = ContextVar("sealing", default=None)


def current_sealing() -> Sealing:
    """That of the request or the run that is being served."""
    return _sealing.get() or Sealing()


def begin_sealing(context: Mapping[str, Any]) -> None:
    """From now on, this task and those it begins seal in this name."""
    _sealing.set(Sealing(context))


@contextmanager
def sealing_for(context: Mapping[str, Any], *, off: bool = False) -> Generator[None]:
    """Seal in another name until the block ends."""
    token = _sealing.set(Sealing(context, off=off))
    try:
        yield
    finally:
        _sealing.reset(token)


class Fields(Protocol):
    """Seals and opens JSON, value by value.

    Attributes:
        seals: False where everything is stored as it is, so that nothing need be prepared.
    """

    @property
    def seals(self) -> bool: ...

    async def seal(self, model: Model, field: str, value: Any) -> Any:
        """The value as it is stored. Raises EncryptionFailed, and InvalidRequest for what may not be stored so."""
        ...

    async def open(self, model: Model, field: str, value: dict[str, Any]) -> Any:
        """What `is_sealed` as it was before. Raises SealedValue when it cannot be opened."""
        ...


class Vault(Protocol):
    """Seals and opens blobs and JSON. What it did not seal, it gives back as it is."""

    @property
    def fields(self) -> Fields: ...

    async def derive_context(self, user: Any, sent: Mapping[str, Any]) -> dict[str, Any]:
        """In whose name to seal while a request of this user is served.

        Args:
            sent: what the request itself says.

        Raises:
            EncryptionFailed: the operator's handler raised, or its answer cannot be stored.
        """
        ...

    async def seal(self, blobs: Sequence[Blob]) -> list[Blob]: ...

    async def open(self, blobs: Sequence[Blob]) -> list[Blob]:
        """Raises SealedValue when a blob cannot be opened."""
        ...


class PlainFields:
    """JSON is stored as it is."""

    seals = False

    async def seal(self, model: Model, field: str, value: Any) -> Any:
        if is_sealed(value):
            raise InvalidState(f"The key {FIELD_MARK} is reserved.")
        return value

    async def open(self, model: Model, field: str, value: dict[str, Any]) -> Any:
        by_key = value[FIELD_MARK].get("by") == "key"
        means = "LGNB_AES_KEY and LGNB_AES_JSON_KEYS" if by_key else "encryption.path"
        raise SealedValue(f"The stored {model}.{field} is encrypted: start with the {means} it was written with.")


class NoVault:
    """Everything is stored as it is."""

    fields: Fields = PlainFields()

    async def derive_context(self, user: Any, sent: Mapping[str, Any]) -> dict[str, Any]:
        return {}

    async def seal(self, blobs: Sequence[Blob]) -> list[Blob]:
        return list(blobs)

    async def open(self, blobs: Sequence[Blob]) -> list[Blob]:
        for blob in blobs:
            refuse_foreign(blob)
        return list(blobs)


def is_sealed(value: Any) -> TypeGuard[dict[str, Any]]:
    """Whether this is stored JSON that must be opened."""
    return isinstance(value, dict) and FIELD_MARK in value


def context_of(value: dict[str, Any]) -> dict[str, Any]:
    """The encryption context that a sealed value was stored with."""
    return value[FIELD_MARK].get("context") or {}


def refuse_foreign(blob: Blob) -> None:
    """Raise SealedValue for a blob that another kind of vault has sealed."""
    if blob.type.endswith(AES_MARK):
        raise SealedValue("Stored checkpoints are encrypted: start with the LGNB_AES_KEY they were written with.")
    if HANDLER_MARK in blob.type:
        raise SealedValue("Stored checkpoints are encrypted: start with the encryption.path they were written with.")
