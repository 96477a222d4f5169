from __future__ import annotations

import operator
import warnings
from typing import Any

import pytest
from langgraph_sdk.encryption import Encryption

from lgnb.errors import EncryptionFailed, SealedValue, SettingsError
from lgnb.models.checkpoints import Blob
from lgnb.models.vault import NoVault, PlainFields, sealing_for
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


def _encryption(*registered: str) -> Encryption:
    async def handler(ctx: Any, data: Any) -> Any:
        return data

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        encryption = Encryption()
    for name in registered:
        operator.attrgetter(name)(encryption)(handler)
    return encryption


@pytest.mark.parametrize("kind", ["blob", "json"])
def test_half_a_pair_of_handlers_is_refused(kind: str) -> None:
    for half in ("encrypt", "decrypt"):
        with pytest.raises(SettingsError, match=rf"both encrypt\.{kind} and decrypt\.{kind}"):
            HandlerVault(_encryption(f"{half}.{kind}"))


def test_an_object_that_encrypts_nothing_is_refused() -> None:
    with pytest.raises(SettingsError, match="neither"):
        HandlerVault(_encryption("context"))


async def test_without_handlers_for_blobs_these_stay_as_they_are() -> None:
    vault = HandlerVault(_encryption("encrypt.json", "decrypt.json"))

    assert await vault.seal([Blob("msgpack", b"value")]) == [Blob("msgpack", b"value")]
    assert await vault.open([Blob("msgpack", b"value")]) == [Blob("msgpack", b"value")]
    with pytest.raises(SealedValue, match=r"encryption\.path"):
        await vault.open([Blob("msgpack+sealed", b"value")])


async def test_a_key_beside_handlers_opens_what_it_sealed_and_seals_what_they_leave() -> None:
    key = AesVault("k" * 16)
    blob = Blob("msgpack", b"value")
    (before,) = await key.seal([blob])
    for_blobs = HandlerVault(_encryption("encrypt.blob", "decrypt.blob"), beside=key)
    for_json = HandlerVault(_encryption("encrypt.json", "decrypt.json"), beside=key)

    assert await for_blobs.open([before]) == await for_json.open([before]) == [blob]
    assert (await for_blobs.seal([blob]))[0].type == "msgpack+sealed"
    assert (await for_json.seal([blob]))[0].type == "msgpack+aes"


async def test_a_key_seals_the_values_of_some_keys_of_json_and_marks_nothing_else() -> None:
    fields = AesVault("k" * 16, json_keys=["api_key"]).fields
    value = {"deep": [{"api_key": {"of": "x"}, "note": "n"}], "api_key": None, "forged": "aes:AAAA"}

    stored = await fields.seal("thread", "values", value)

    assert stored["deep"][0]["note"] == "n"
    assert stored["deep"][0]["api_key"].startswith("aes:")
    assert stored["forged"] != "aes:AAAA"
    assert await fields.open("thread", "values", stored) == value
    assert await fields.seal("thread", "values", {"note": "n"}) == {"note": "n"}
    with pytest.raises(SealedValue, match="LGNB_AES_JSON_KEYS"):
        await PlainFields().open("thread", "values", stored)
    with pytest.raises(SealedValue, match="cannot be decrypted with this LGNB_AES_KEY"):
        await AesVault("o" * 16, json_keys=["api_key"]).fields.open("thread", "values", stored)


async def test_handlers_for_json_open_what_a_key_beside_them_sealed() -> None:
    key = AesVault("k" * 16, json_keys=["api_key"])
    stored = await key.fields.seal("store", "value", {"api_key": "x"})
    vault = HandlerVault(_encryption("encrypt.json", "decrypt.json"), beside=key)

    assert await vault.fields.open("store", "value", stored) == {"api_key": "x"}
    assert (await vault.fields.seal("store", "value", {"api_key": "x"}))["api_key"] == "x"


async def test_a_blob_is_opened_in_the_name_it_was_sealed_in() -> None:
    seen: list[Any] = []
    encryption = _encryption()

    @encryption.encrypt.blob
    async def encrypt(ctx: Any, blob: bytes) -> bytes:
        seen.append(ctx.metadata)
        return blob[::-1]

    @encryption.decrypt.blob
    async def decrypt(ctx: Any, blob: bytes) -> bytes:
        seen.append(ctx.metadata)
        return blob[::-1]

    vault = HandlerVault(encryption)
    with sealing_for({"tenant": "a+sealed"}):
        sealed = await vault.seal([Blob("msgpack", b"value")])

    assert await vault.open(sealed) == [Blob("msgpack", b"value")]
    assert seen == [{"tenant": "a+sealed"}] * 2
    with pytest.raises(SealedValue, match=r"encryption\.path"):
        await NoVault().open(sealed)


async def test_a_handler_for_blobs_that_fails_says_so() -> None:
    encryption = _encryption("decrypt.blob")

    @encryption.encrypt.blob
    async def encrypt(ctx: Any, blob: bytes) -> bytes:
        raise RuntimeError("no key server")

    with pytest.raises(EncryptionFailed, match=r"encrypt\.blob failed: RuntimeError: no key server"):
        await HandlerVault(encryption).seal([Blob("msgpack", b"value")])


async def test_the_context_handler_gets_user_and_header_and_must_answer_with_json() -> None:
    encryption = _encryption("encrypt.blob", "decrypt.blob")

    @encryption.context
    async def context(user: Any, ctx: Any) -> Any:
        return {**ctx.metadata, "user": user} if user != "odd" else [user]

    vault = HandlerVault(encryption)

    assert await vault.derive_context("ada", {"tenant": "a"}) == {"tenant": "a", "user": "ada"}
    with pytest.raises(EncryptionFailed, match="list instead of a dict"):
        await vault.derive_context("odd", {})
    with pytest.raises(EncryptionFailed, match="no JSON"):
        await vault.derive_context(object(), {})
