"""How values are kept from whoever reads the database: sealed before they are stored, opened after."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from ..errors import SealedValue
from .checkpoints import Blob

AES_MARK = "+aes"
HANDLER_MARK = "+sealed"
"""What a sealed blob's type ends with, by the kind of vault that opens it."""


class Vault(Protocol):
    """Seals and opens blobs. What it did not seal, it gives back as it is."""

    async def seal(self, blobs: Sequence[Blob]) -> list[Blob]: ...

    async def open(self, blobs: Sequence[Blob]) -> list[Blob]:
        """Raises SealedValue when a blob cannot be opened."""
        ...


class NoVault:
    """Everything is stored as it is."""

    async def seal(self, blobs: Sequence[Blob]) -> list[Blob]:
        return list(blobs)

    async def open(self, blobs: Sequence[Blob]) -> list[Blob]:
        for blob in blobs:
            refuse_foreign(blob)
        return list(blobs)


def refuse_foreign(blob: Blob) -> None:
    """Raise SealedValue for a blob that another kind of vault has sealed."""
    if blob.type.endswith(AES_MARK):
        raise SealedValue("Stored checkpoints are encrypted: start with the LGNB_AES_KEY they were written with.")
    if blob.type.endswith(HANDLER_MARK):
        raise SealedValue("Stored checkpoints are encrypted: start with the encryption.path they were written with.")
