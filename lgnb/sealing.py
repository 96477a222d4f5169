"""The vaults there are: a key of the operator's, or handlers of the operator's."""

from __future__ import annotations

import base64
import os
from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import orjson

from .errors import EncryptionFailed, SealedValue, SettingsError
from .models.checkpoints import Blob
from .models.vault import AES_MARK, HANDLER_MARK, Fields, NoVault, PlainFields, Vault, current_sealing, refuse_foreign
from .sealed_fields import HandlerFields

if TYPE_CHECKING:
    from langgraph_sdk.encryption import Encryption

_KEY_BYTES = (16, 24, 32)
_NONCE_BYTES = 12
_JSON = "json"
_TEXT_PREFIX = "aes:"


class AesVault:
    """AES-GCM with one key; each blob has a nonce of its own, and cannot be passed off as one of another type.

    Args:
        json_keys: keys whose values are sealed wherever they are in JSON.
    """

    def __init__(self, key: str, *, json_keys: Collection[str] = ()) -> None:
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
        self._json_keys = frozenset(json_keys)
        self.fields: Fields = PlainFields()
        if json_keys:
            self.fields = HandlerFields(self._seal_keys, self._open_keys, by="key")

    async def seal(self, blobs: Sequence[Blob]) -> list[Blob]:
        return [self._sealed(blob) for blob in blobs]

    async def open(self, blobs: Sequence[Blob]) -> list[Blob]:
        return [self._opened(blob) for blob in blobs]

    async def derive_context(self, user: Any, sent: Mapping[str, Any]) -> dict[str, Any]:
        return {}  # there is one key for everybody

    async def _seal_keys(self, context: Any, data: dict[str, Any]) -> dict[str, Any]:
        return {key: self._text(part) if self._is_meant(key, part) else part for key, part in data.items()}

    async def _open_keys(self, context: Any, data: dict[str, Any]) -> dict[str, Any]:
        return {key: self._value(part) if _is_text(part) else part for key, part in data.items()}

    def _is_meant(self, key: str, part: Any) -> bool:
        # Nobody shall pass off a text of his own as one that is sealed.
        return (key in self._json_keys and part is not None) or _is_text(part)

    def _text(self, part: Any) -> str:
        sealed = self._sealed(Blob(_JSON, orjson.dumps(part)))
        return _TEXT_PREFIX + base64.b64encode(sealed.data).decode()

    def _value(self, text: str) -> Any:
        sealed = base64.b64decode(text.removeprefix(_TEXT_PREFIX))
        return orjson.loads(self._opened(Blob(_JSON + AES_MARK, sealed)).data)

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
            raise SealedValue("A stored value cannot be decrypted with this LGNB_AES_KEY.") from None


def _is_text(part: Any) -> bool:
    return isinstance(part, str) and part.startswith(_TEXT_PREFIX)


class HandlerVault:
    """The handlers of an `Encryption` object of the LangGraph SDK: for blobs, for JSON, or for both.

    Args:
        beside: seals what there are no handlers for, and opens what it sealed before there were.
    """

    def __init__(self, encryption: Encryption, *, beside: Vault | None = None) -> None:
        """Raises SettingsError for an object that could not open what it seals."""
        self._beside = beside or NoVault()
        # The SDK keeps them under these names and offers no other way to them.
        found: Any = encryption
        self._encrypt, self._decrypt = found._blob_encryptor, found._blob_decryptor
        self._derive = found._context_handler
        seal_json, open_json = found._json_encryptor, found._json_decryptor
        for kind, pair in (("blob", (self._encrypt, self._decrypt)), ("json", (seal_json, open_json))):
            if (pair[0] is None) != (pair[1] is None):
                names = f"encrypt.{kind} and decrypt.{kind}"
                raise SettingsError(f"encryption.path must register both {names}, or neither.")
        if self._encrypt is None and seal_json is None:
            raise SettingsError("encryption.path registers neither encrypt.blob nor encrypt.json.")
        self.fields = self._beside.fields
        if seal_json is not None:
            self.fields = HandlerFields(seal_json, open_json, beside=self._beside.fields)

    async def derive_context(self, user: Any, sent: Mapping[str, Any]) -> dict[str, Any]:
        if self._derive is None:
            return dict(sent)
        from langgraph_sdk.encryption.types import EncryptionContext

        try:
            derived = await self._derive(user, EncryptionContext(metadata=dict(sent)))
        except Exception as error:  # an operator's handler may raise anything
            raise EncryptionFailed(f"The context handler failed: {type(error).__name__}: {error}") from error
        if not isinstance(derived, dict):
            raise EncryptionFailed(f"The context handler answered with a {type(derived).__name__} instead of a dict.")
        try:
            return orjson.loads(orjson.dumps(derived))
        except TypeError as error:
            raise EncryptionFailed(f"The answer of the context handler is no JSON: {error}.") from error

    async def seal(self, blobs: Sequence[Blob]) -> list[Blob]:
        if self._encrypt is None:
            return await self._beside.seal(blobs)
        context = dict(current_sealing().context)
        mark = HANDLER_MARK + (orjson.dumps(context).decode() if context else "")
        return [Blob(blob.type + mark, await self._sealed(blob.data, context)) for blob in blobs]

    async def open(self, blobs: Sequence[Blob]) -> list[Blob]:
        if self._decrypt is None:
            return await self._beside.open(blobs)
        return [await self._opened(blob) for blob in blobs]

    async def _sealed(self, data: bytes, context: dict[str, Any]) -> bytes:
        assert self._encrypt is not None
        try:
            sealed = await self._encrypt(_context(context), data)
        except Exception as error:  # an operator's handler may raise anything
            raise EncryptionFailed(f"encrypt.blob failed: {type(error).__name__}: {error}") from error
        if not isinstance(sealed, bytes):
            raise EncryptionFailed(f"encrypt.blob answered with a {type(sealed).__name__} instead of bytes.")
        return sealed

    async def _opened(self, blob: Blob) -> Blob:
        kind, mark, context = blob.type.partition(HANDLER_MARK)
        if not mark:
            return (await self._beside.open([blob]))[0]
        assert self._decrypt is not None
        try:
            plain = await self._decrypt(_context(orjson.loads(context) if context else {}), blob.data)
        except Exception as error:  # an operator's handler may raise anything
            raise SealedValue(f"decrypt.blob failed on a stored checkpoint: {type(error).__name__}: {error}") from error
        # A handler may answer with the plain text and a replacement for what is stored; the stored one stays good.
        return Blob(kind, getattr(plain, "plaintext", plain))


def _context(metadata: dict[str, Any]) -> Any:
    from langgraph_sdk.encryption.types import EncryptionContext

    return EncryptionContext(model="checkpoint", metadata=metadata)
