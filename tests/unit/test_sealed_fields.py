from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest

from lgnb.errors import EncryptionFailed, InvalidRequest, InvalidState, SealedValue
from lgnb.models.vault import (
    FIELD_MARK,
    PlainFields,
    begin_sealing,
    context_of,
    current_sealing,
    is_sealed,
    sealing_for,
)
from lgnb.sealed_fields import HandlerFields


def _reversing(*keys: str) -> HandlerFields:
    """Handlers that turn the texts of some keys round, or of all."""

    async def encrypt(ctx: Any, data: dict[str, Any]) -> dict[str, Any]:
        return {key: f"!{value[::-1]}" if _is_meant(key, value) else value for key, value in data.items()}

    async def decrypt(ctx: Any, data: dict[str, Any]) -> dict[str, Any]:
        return {
            key: value[:0:-1] if _is_meant(key, value) and value.startswith("!") else value
            for key, value in data.items()
        }

    def _is_meant(key: str, value: Any) -> bool:
        return isinstance(value, str) and (not keys or key in keys)

    return HandlerFields(encrypt, decrypt)


def _answering(answer: Any) -> HandlerFields:
    async def handler(ctx: Any, data: dict[str, Any]) -> Any:
        if isinstance(answer, Exception):
            raise answer
        return answer

    return HandlerFields(handler, handler)


async def test_what_is_stored_is_what_the_handler_answered_at_every_depth() -> None:
    fields = _reversing("secret")
    value = {"kind": "a", "secret": "one", "inner": [{"secret": "two", "n": 1}, []], "empty": {}}

    stored = await fields.seal("thread", "values", value)

    assert list(stored) == [FIELD_MARK, "kind", "secret", "inner", "empty"]
    assert stored["secret"] == "!eno"
    assert stored["inner"] == [{"secret": "!owt", "n": 1}, []]
    assert await fields.open("thread", "values", stored) == value


async def test_what_a_handler_seals_whole_is_opened_once() -> None:
    """The plain value has the form of a sealed one."""
    seen: list[Any] = []

    async def encrypt(ctx: Any, data: dict[str, Any]) -> dict[str, Any]:
        return {key: {"cipher": str(value)} for key, value in data.items()}

    async def decrypt(ctx: Any, data: dict[str, Any]) -> dict[str, Any]:
        seen.append(data)
        return {key: {"cipher": "plain"} for key in data}

    fields = HandlerFields(encrypt, decrypt)

    stored = await fields.seal("store", "value", {"a": {"cipher": "plain"}})

    assert await fields.open("store", "value", stored) == {"a": {"cipher": "plain"}}
    assert len(seen) == 1


async def test_a_handler_learns_where_it_is_and_in_whose_name_also_when_it_opens() -> None:
    seen: list[Any] = []

    async def handler(ctx: Any, data: dict[str, Any]) -> dict[str, Any]:
        seen.append((ctx.model, ctx.field, ctx.metadata))
        return data

    fields = HandlerFields(handler, handler)
    with sealing_for({"tenant": "a"}):
        stored = await fields.seal("cron", "payload", {"input": 1})

    with sealing_for({"tenant": "b"}):
        await fields.open("cron", "payload", stored)

    assert seen == [("cron", "payload", {"tenant": "a"})] * 2
    assert context_of(stored) == {"tenant": "a"}


@pytest.mark.parametrize("value", ["text", 7, ["a", {"b": "c"}], False])
async def test_a_value_that_is_no_object_is_sealed_as_one(value: Any) -> None:
    fields = _reversing()

    stored = await fields.seal("thread", "values", value)

    assert is_sealed(stored)
    assert "text" not in str(stored["value"])
    assert await fields.open("thread", "values", stored) == value


@pytest.mark.parametrize("value", [None, {}, {"assistant_id": "b1", "graph_id": "g"}])
async def test_where_nothing_is_of_a_user_nothing_is_sealed(value: Any) -> None:
    assert await _answering(RuntimeError()).seal("thread", "metadata", value) is value


async def test_ids_stay_readable_in_metadata_and_nowhere_else() -> None:
    fields = _reversing()
    metadata = {"thread_id": "t", "source": "loop", "word": "w"}

    of_checkpoint = await fields.seal("checkpoint", "metadata", metadata)
    of_thread = await fields.seal("thread", "metadata", metadata)
    values = await fields.seal("thread", "values", metadata)

    assert (of_checkpoint["thread_id"], of_checkpoint["source"], of_checkpoint["word"]) == ("t", "loop", "!w")
    assert (of_thread["thread_id"], of_thread["source"]) == ("t", "!pool")
    assert values["thread_id"] == "!t"
    assert await fields.open("checkpoint", "metadata", of_checkpoint) == metadata


async def test_a_handler_sees_plain_json_and_may_change_it_in_place() -> None:
    async def encrypt(ctx: Any, data: dict[str, Any]) -> dict[str, Any]:
        data["inner"]["id"] = "!" + data["inner"]["id"]
        return data

    async def decrypt(ctx: Any, data: dict[str, Any]) -> dict[str, Any]:
        data["inner"]["id"] = data["inner"]["id"].removeprefix("!")
        return data

    given = {"inner": {"id": UUID(int=1)}}
    fields = HandlerFields(encrypt, decrypt)

    stored = await fields.seal("run", "kwargs", given)

    assert given == {"inner": {"id": UUID(int=1)}}
    assert stored["inner"] == {"id": f"!{UUID(int=1)}"}
    assert await fields.open("run", "kwargs", stored) == {"inner": {"id": str(UUID(int=1))}}


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        ({"b": 1}, "dropped the key 'a'"),
        ({"a": 1, "b": 1}, "added the key 'b'"),
        (None, "NoneType instead of a dict"),
        ({"a": b"bytes"}, "no JSON"),
        ({"a": "\0"}, "NUL"),
        (RuntimeError("no key server"), "RuntimeError: no key server"),
    ],
)
async def test_an_answer_that_cannot_be_stored_is_refused_with_the_place(answer: Any, why: str) -> None:
    with pytest.raises(EncryptionFailed, match=rf"encrypt\.json failed on store\.value: .*{why}"):
        await _answering(answer).seal("store", "value", {"a": "x"})


async def test_what_cannot_be_opened_says_where() -> None:
    stored = await _reversing().seal("store", "value", {"a": "x"})

    with pytest.raises(SealedValue, match=r"decrypt\.json failed on store\.value: KeyError: 'tenant'"):
        await _answering(KeyError("tenant")).open("store", "value", stored)
    with pytest.raises(SealedValue, match=r"store\.value is encrypted: start with the encryption\.path"):
        await PlainFields().open("store", "value", stored)


async def test_a_replacement_beside_the_plain_value_is_passed_over() -> None:
    from langgraph_sdk.encryption.types import DecryptResult

    stored = await _reversing().seal("store", "value", {"a": "x"})

    opened = await _answering(DecryptResult(plaintext={"a": "plain"}, replacement={"a": "new"})).open(
        "store", "value", stored
    )

    assert opened == {"a": "plain"}


async def test_a_value_by_which_access_is_decided_must_stay_readable() -> None:
    fields = _reversing()
    begin_sealing({})
    current_sealing().readable.add("owner")

    with pytest.raises(InvalidRequest, match=r"encrypt\.json changed 'owner' in thread\.metadata"):
        await fields.seal("thread", "metadata", {"owner": "ada"})
    assert await fields.seal("run", "metadata", {"owner": "ada"})


async def test_the_mark_is_nobodys_key() -> None:
    for fields in (PlainFields(), _reversing()):
        with pytest.raises(InvalidState, match=FIELD_MARK):
            await fields.seal("thread", "metadata", {FIELD_MARK: {}})
