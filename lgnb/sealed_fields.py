"""JSON on its way through handlers with the interface of the LangGraph SDK: an operator's, or those of a key.

A handler gets an object and answers with the same keys. Objects inside, where the handler has left them as they were,
are given to it as well, so that one which looks for certain keys finds them at every depth. What is stored is what the
handlers answered, and in front of it a mark with the encryption context.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, Literal, cast

import orjson

from .errors import EncryptionFailed, InvalidRequest, InvalidState, SealedValue
from .json_encoding import encode
from .models.vault import FIELD_MARK, Fields, Model, PlainFields, context_of, current_sealing

if TYPE_CHECKING:
    from langgraph_sdk.encryption.types import EncryptionContext

Handler = Callable[["EncryptionContext", dict[str, Any]], Awaitable[Any]]

# A value that is no object is given to handlers as the one value of an object.
_SINGLE = "value"

_IDS = frozenset(("thread_id", "run_id", "assistant_id", "graph_id", "checkpoint_id", "task_id", "cron_id"))
# What the server itself must read where it is stored. Handlers are not given these; none of it is a user's.
_KEPT: dict[tuple[Model, str], frozenset[str]] = {
    ("assistant", "metadata"): _IDS,
    ("thread", "metadata"): _IDS,
    ("run", "metadata"): _IDS,
    ("cron", "metadata"): _IDS,
    ("checkpoint", "metadata"): _IDS
    | {"source", "step", "parents", "run_attempt", "checkpoint_ns", "counters_since_delta_snapshot"},
    ("thread", "state"): frozenset(("next", "checkpoint", "parent_checkpoint", "created_at")),
    ("run", "kwargs"): frozenset(("temporary",)),
}
_NOTHING: frozenset[str] = frozenset()
# By these, conditions of access find their rows.
_FILTERED = frozenset(
    (("assistant", "metadata"), ("thread", "metadata"), ("cron", "metadata"), ("store", "value")),
)


class HandlerFields:
    """Seals with one handler and opens with the other.

    Args:
        by: whose handlers these are. Those of a key leave alone what it has not sealed, so that what holds nothing
            sealed need not be marked.
        beside: opens what others have sealed.
    """

    seals = True

    def __init__(
        self,
        encrypt: Handler,
        decrypt: Handler,
        *,
        by: Literal["handlers", "key"] = "handlers",
        beside: Fields | None = None,
    ) -> None:
        self._encrypt = encrypt
        self._decrypt = decrypt
        self._by = by
        self._beside = beside or PlainFields()

    async def seal(self, model: Model, field: str, value: Any) -> Any:
        how = current_sealing()
        if how.off or value is None or value == {}:
            return value
        # As the handlers will see it again: UUIDs and times are texts from here on.
        plain: Any = orjson.loads(encode(value))
        is_object = isinstance(plain, dict)
        whole: dict[str, Any] = plain if is_object else {_SINGLE: plain}
        if FIELD_MARK in whole:
            raise InvalidState(f"The key {FIELD_MARK} is reserved.")
        kept = _KEPT.get((model, field), _NOTHING)
        given = {key: part for key, part in whole.items() if key not in kept}
        if not given:
            return value
        context = _context(model, field, dict(how.context))
        sealed = await self._sealed(context, given)
        if self._by == "key" and sealed == given:
            return value
        _refuse_unstorable(sealed, context)
        if (model, field) in _FILTERED:
            _refuse_hidden(given, sealed, how.readable, context)
        mark: dict[str, Any] = {"context": dict(how.context)} | ({} if is_object else {"single": True})
        if self._by != "handlers":
            mark["by"] = self._by
        return {FIELD_MARK: mark} | {key: sealed.get(key, part) for key, part in whole.items()}

    async def open(self, model: Model, field: str, value: dict[str, Any]) -> Any:
        mark = value[FIELD_MARK]
        if mark.get("by", "handlers") != self._by:
            return await self._beside.open(model, field, value)
        kept = _KEPT.get((model, field), _NOTHING)
        given = {key: part for key, part in value.items() if key != FIELD_MARK and key not in kept}
        opened = await self._opened(_context(model, field, context_of(value)), given)
        if mark.get("single"):
            return opened[_SINGLE]
        return {key: opened.get(key, part) for key, part in value.items() if key != FIELD_MARK}

    async def _sealed(self, context: EncryptionContext, data: dict[str, Any]) -> dict[str, Any]:
        try:
            answer: Any = await self._encrypt(context, _copy(data))
        except Exception as error:  # an operator's handler may raise anything
            raise EncryptionFailed(_failed("encrypt.json", context, f"{type(error).__name__}: {error}")) from error
        if problem := _problem(data, answer):
            raise EncryptionFailed(_failed("encrypt.json", context, problem))
        return {key: await _within(self._sealed, context, part, answer[key]) for key, part in data.items()}

    async def _opened(self, context: EncryptionContext, data: dict[str, Any]) -> dict[str, Any]:
        try:
            answer: Any = await self._decrypt(context, _copy(data))
        except SealedValue:
            raise
        except Exception as error:  # an operator's handler may raise anything
            raise SealedValue(_failed("decrypt.json", context, f"{type(error).__name__}: {error}")) from error
        # A handler may answer with the plain value and a replacement for what is stored; the stored one stays good.
        answer = getattr(answer, "plaintext", answer)
        if problem := _problem(data, answer):
            raise SealedValue(_failed("decrypt.json", context, problem))
        return {key: await _within(self._opened, context, part, answer[key]) for key, part in data.items()}


_Walk = Callable[["EncryptionContext", dict[str, Any]], Awaitable[dict[str, Any]]]


async def _within(walk: _Walk, context: EncryptionContext, before: Any, after: Any) -> Any:
    """What a handler made of a part; objects inside one that it left alone are its business too."""
    if after != before or not isinstance(before, dict | list):
        return after
    if isinstance(before, dict):
        return await walk(context, cast("dict[str, Any]", before)) if before else before
    return [await _within(walk, context, part, part) for part in cast("list[Any]", before)]


def _context(model: Model, field: str, metadata: dict[str, Any]) -> EncryptionContext:
    from langgraph_sdk.encryption.types import EncryptionContext

    return EncryptionContext(model=model, field=field, metadata=metadata)


def _copy(data: dict[str, Any]) -> dict[str, Any]:
    """For a handler, which may change in place what it is given."""
    return orjson.loads(orjson.dumps(data))


def _problem(given: dict[str, Any], answer: Any) -> str:
    if not isinstance(answer, dict):
        return f"it answered with a {type(answer).__name__} instead of a dict."
    keys = set(cast("dict[Any, Any]", answer))
    if lost := sorted(set(given) - keys):
        return f"it dropped the key {lost[0]!r}; only values may change."
    if added := sorted(map(str, keys - set(given))):
        return f"it added the key {added[0]!r}; only values may change."
    return ""


def _refuse_unstorable(sealed: dict[str, Any], context: EncryptionContext) -> None:
    try:
        text = orjson.dumps(sealed)
    except TypeError as error:
        raise EncryptionFailed(_failed("encrypt.json", context, f"its answer is no JSON: {error}.")) from error
    if rb"\u0000" in text:
        raise EncryptionFailed(_failed("encrypt.json", context, "its answer holds a NUL, which Postgres cannot store."))


def _refuse_hidden(
    given: dict[str, Any], sealed: dict[str, Any], readable: set[str], context: EncryptionContext
) -> None:
    for key in readable & given.keys():
        if sealed[key] != given[key]:
            raise InvalidRequest(
                f"encrypt.json changed {key!r} in {context.model}.{context.field}, by which access is decided; "
                "it must leave that value as it is."
            )


def _failed(name: str, context: EncryptionContext, why: str) -> str:
    return f"{name} failed on {context.model}.{context.field}: {why}"
