from __future__ import annotations

import warnings
from typing import Any

import pytest
from langgraph_sdk.encryption import Encryption

from lgnb.errors import SealedValue, SettingsError
from lgnb.models.checkpoints import Blob
from lgnb.sealing import AesVault, HandlerVault


@pytest.mark.parametrize("size", [16, 24, 32])
async def test_equal_values_are_sealed_differently_and_opened_alike(size: int) -> None:
    vault = AesVault("x" * size)
    blob = Blob("msgpack", b"value")

    one, other = await vault.seal([blob, blob])

    assert one.data != other.data
    assert await vault.open([one, other]) == [blob, blob]


async def test_a_changed_blob_or_one_under_another_type_is_refused() -> None:
    vault = AesVault("x" * 16)
    (sealed,) = await vault.seal([Blob("msgpack", b"value")])

    for wrong in (Blob(sealed.type, sealed.data[:-1] + b"?"), Blob("json+aes", sealed.data), Blob(sealed.type, b"")):
        with pytest.raises(SealedValue):
            await vault.open([wrong])


@pytest.mark.parametrize("key", ["", "short", "x" * 33])
def test_a_key_of_another_length_is_refused(key: str) -> None:
    with pytest.raises(SettingsError, match="16, 24 or 32"):
        AesVault(key)


def test_handlers_that_would_not_be_called_are_refused() -> None:
    async def handler(ctx: Any, data: Any) -> Any:
        return data

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        half, whole = Encryption(), Encryption()
    half.encrypt.blob(handler)
    whole.encrypt.blob(handler)
    whole.decrypt.blob(handler)
    whole.encrypt.json(handler)

    with pytest.raises(SettingsError, match="both"):
        HandlerVault(half)
    with pytest.raises(SettingsError, match=r"encrypt\.json"):
        HandlerVault(whole)
