"""The vaults there are: a key of the operator's, or handlers of the operator's."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from .errors import SealedValue, SettingsError
from .models.checkpoints import Blob
from .models.vault import AES_MARK, HANDLER_MARK, refuse_foreign

if TYPE_CHECKING:
    from langgraph_sdk.encryption import Encryption

_KEY_BYTES = (16, 24, 32)
_NONCE_BYTES = 12


class AesVault:
    """AES-GCM with one key; each blob has a nonce of its own, and cannot be passed off as one of another type."""

    def __init__(self, key: str) -> None:
        """Raises SettingsError when the key has a wrong length, or the package for it is missing."""
        if len(key.encode()) not in _KEY_BYTES:
            raise SettingsError(f"aes_key has {len(key.encode())} bytes, but must have 16, 24 or 32.")
        try:
            from cryptography.hazmat.primitives.ciphers.aead import AESGCM
        except ImportError:
            raise SettingsError(
                "aes_key needs the package cryptography; install it: pip install 'jupyter-lgnb[encryption]'"
            ) from None
        self._cipher = AESGCM(key.encode())

    async def seal(self, blobs: Sequence[Blob]) -> list[Blob]:
        return [self._sealed(blob) for blob in blobs]

    async def open(self, blobs: Sequence[Blob]) -> list[Blob]:
        return [self._opened(blob) for blob in blobs]

    def _sealed(self, blob: Blob) -> Blob:
        nonce = os.urandom(_NONCE_BYTES)
        return Blob(blob.type + AES_MARK, nonce + self._cipher.encrypt(nonce, blob.data, blob.type.encode()))

    def _opened(self, blob: Blob) -> Blob:
        if not blob.type.endswith(AES_MARK):
            refuse_foreign(blob)
            return blob
        from cryptography.exceptions import InvalidTag

        kind = blob.type.removesuffix(AES_MARK)
        nonce, sealed = blob.data[:_NONCE_BYTES], blob.data[_NONCE_BYTES:]
        try:
            return Blob(kind, self._cipher.decrypt(nonce, sealed, kind.encode()))
        except (InvalidTag, ValueError):
            raise SealedValue("A stored checkpoint cannot be decrypted with this LGNB_AES_KEY.") from None


class HandlerVault:
    """The blob handlers of an `Encryption` object of the LangGraph SDK."""

    def __init__(self, encryption: Encryption) -> None:
        """Raises SettingsError for an object that does less, or more, than lgnb can honour."""
        found: Any = encryption
        self._encrypt, self._decrypt = found._blob_encryptor, found._blob_decryptor
        if self._encrypt is None or self._decrypt is None:
            raise SettingsError("encryption.path must register both encrypt.blob and decrypt.blob.")
        # Going on would store in plain what its operator believes to be encrypted.
        for name, registered in (
            ("encrypt.json", found._json_encryptor or found._json_decryptor),
            ("context", found._context_handler),
        ):
            if registered is not None:
                raise SettingsError(
                    f"encryption.path registers {name}, which lgnb does not honour: it encrypts the blobs of "
                    "checkpoints only. Remove the handler, and encrypt the disk of Postgres for the rest."
                )

    async def seal(self, blobs: Sequence[Blob]) -> list[Blob]:
        return [Blob(blob.type + HANDLER_MARK, await self._encrypt(_context(), blob.data)) for blob in blobs]

    async def open(self, blobs: Sequence[Blob]) -> list[Blob]:
        return [await self._opened(blob) for blob in blobs]

    async def _opened(self, blob: Blob) -> Blob:
        if not blob.type.endswith(HANDLER_MARK):
            refuse_foreign(blob)
            return blob
        try:
            plain = await self._decrypt(_context(), blob.data)
        except Exception as error:  # an operator's handler may raise anything
            raise SealedValue(f"decrypt.blob failed on a stored checkpoint: {type(error).__name__}: {error}") from error
        # A handler may answer with the plain text and a replacement for what is stored; the stored one stays good.
        return Blob(blob.type.removesuffix(HANDLER_MARK), getattr(plain, "plaintext", plain))


def _context() -> Any:
    from langgraph_sdk.encryption.types import EncryptionContext

    return EncryptionContext(model="checkpoint")
