"""What a saver remembers of the checkpoint it saved or loaded last, to store of the next one only what is new.

A list that was extended is stored as its tail, a value that was written again unchanged as a mark. Elements which
nobody can change are recognised by their identity; all others by their bytes, since a node may have changed them
in place. Only the parent checkpoint counts: whoever prunes a thread keeps what its newest checkpoint consists of.
"""

from __future__ import annotations

import asyncio
import hashlib
import operator
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast
from uuid import UUID

from ..models.checkpoints import Blob, NewValue, ValuePlace
from .codec import Codec

# Smaller values cost less than a look at whether they changed.
_NOTED_FROM_BYTES = 256
# A list is stored whole again once its parts are so many and so much larger than the whole they extend. Sizes grow
# threefold between two whole ones, so all of them together are half as large as the list.
_PARTS_BEFORE_WHOLE = 64
_GROWTH_BEFORE_WHOLE = 2
_MOST_PLACES = 64
_GENERATIONS = 3
_AWAITED_SECONDS = 2.0

# Equal only if identical, or of the same type and equal: their bytes need not be compared.
_UNCHANGEABLE = (str, int, float, bool, bytes, type(None))


@dataclass(frozen=True, slots=True)
class _List:
    """A stored list: its elements, or the digests of those that can change."""

    place: ValuePlace
    elements: tuple[Any, ...]
    digests: tuple[bytes, ...] | None
    whole_bytes: int
    part_bytes: int


@dataclass(frozen=True, slots=True)
class _Value:
    """Any other stored value."""

    place: ValuePlace
    digest: bytes


_Known = _List | _Value


@dataclass(frozen=True, slots=True)
class _Place:
    """What is known of one checkpoint: of each channel the version, and what is stored under it."""

    checkpoint_id: UUID | None
    channels: Mapping[str, tuple[str, _Known]]


class Memory:
    """Knowledge of the last checkpoints of each namespace that a run works in."""

    def __init__(self) -> None:
        self._places: OrderedDict[tuple[UUID, str], tuple[_Place, ...]] = OrderedDict()
        self._written: OrderedDict[tuple[UUID, str, str], bytes] = OrderedDict()
        self._awaited: dict[UUID, asyncio.Future[None]] = {}
        self._noted = 0

    def of(self, thread_id: UUID, checkpoint_ns: str, checkpoint_id: UUID | None) -> Mapping[str, tuple[str, _Known]]:
        """What is known of a checkpoint: nothing, unless it is one of the last ones."""
        places = self._places.get((thread_id, checkpoint_ns), ())
        return next((place.channels for place in places if place.checkpoint_id == checkpoint_id), {})

    def knows(self, thread_id: UUID, checkpoint_ns: str, checkpoint_id: UUID) -> bool:
        """Whether this is one of the last checkpoints, of which perhaps nothing is worth knowing."""
        return any(place.checkpoint_id == checkpoint_id for place in self._places.get((thread_id, checkpoint_ns), ()))

    def newest(self, thread_id: UUID, checkpoint_ns: str) -> Mapping[str, tuple[str, _Known]]:
        """What is known of whichever checkpoint was the last one."""
        places = self._places.get((thread_id, checkpoint_ns))
        return places[0].channels if places else {}

    def note_write(self, thread_id: UUID, checkpoint_ns: str, channel: str, plain: Blob) -> bool:
        """Remember a large value that a task wrote; whether the one before in this channel was the same."""
        if len(plain.data) < _NOTED_FROM_BYTES:
            return False
        place, digest = (thread_id, checkpoint_ns, channel), digest_of(plain)
        before = self._written.pop(place, None)
        self._written[place] = digest
        while len(self._written) > _MOST_PLACES:
            self._written.popitem(last=False)
        return before == digest

    async def awaited(self, checkpoint_id: UUID) -> None:
        """Return when this checkpoint was noted, or when none was for a while."""
        future = self._awaited.setdefault(checkpoint_id, asyncio.get_running_loop().create_future())
        noted = -1
        try:
            while not future.done() and noted != self._noted:
                noted = self._noted
                await asyncio.wait({future}, timeout=_AWAITED_SECONDS)
        finally:
            self._awaited.pop(checkpoint_id, None)

    def note(
        self, thread_id: UUID, checkpoint_ns: str, checkpoint_id: UUID, channels: Mapping[str, tuple[str, _Known]]
    ) -> None:
        self._noted += 1
        before = self._places.get((thread_id, checkpoint_ns), ())
        # What a task writes onto a checkpoint may come after the next one was saved.
        self._places[thread_id, checkpoint_ns] = (_Place(checkpoint_id, channels), *before[: _GENERATIONS - 1])
        self._places.move_to_end((thread_id, checkpoint_ns))
        while len(self._places) > _MOST_PLACES:
            self._places.popitem(last=False)
        if (future := self._awaited.get(checkpoint_id)) is not None:
            # A synchronous call may come from another thread.
            future.get_loop().call_soon_threadsafe(_settle, future)

    def forget(self, thread_id: UUID, checkpoint_ns: str) -> None:
        self._places.pop((thread_id, checkpoint_ns), None)


def new_value(
    channel: str, version: str, value: Any, *, codec: Codec, before: _Known | None
) -> tuple[NewValue, _Known | None]:
    """What has to be stored of a value, and what is to be remembered of it."""
    if type(value) is list:
        return _new_list(channel, version, tuple(cast("list[Any]", value)), codec=codec, before=before)
    plain = codec.encode_plain(value)
    if len(plain.data) < _NOTED_FROM_BYTES:
        return NewValue(channel=channel, version=version, blob=codec.seal(plain)), None
    digest = digest_of(plain)
    if isinstance(before, _Value) and before.digest == digest:
        return NewValue(channel=channel, version=version, blob=None, place=before.place), before
    known = _Value(ValuePlace(version, 0), digest)
    return NewValue(channel=channel, version=version, blob=codec.seal(plain)), known


def _new_list(
    channel: str, version: str, elements: tuple[Any, ...], *, codec: Codec, before: _Known | None
) -> tuple[NewValue, _Known]:
    items: Sequence[bytes] | None = None
    digests: tuple[bytes, ...] | None = None
    if not all(type(element) in _UNCHANGEABLE for element in elements):
        items = [codec.encode_item(element) for element in elements]
        digests = tuple(map(_digest, items))
    old = before if isinstance(before, _List) and _extends(elements, digests, before) else None
    if old is not None and len(old.elements) == len(elements):
        return NewValue(channel=channel, version=version, blob=None, place=old.place), old
    begin = len(old.elements) if old else 0
    blob = codec.encode_plain(list(elements[begin:])) if items is None else codec.join_items(items[begin:])
    sealed = codec.seal(blob)
    size = len(sealed.data)
    if old is not None and old.place.can_grow and not _is_due(old, size):
        place = ValuePlace(old.place.lineage, old.place.part + 1)
        known = _List(place, elements, digests, old.whole_bytes, old.part_bytes + size)
        return NewValue(channel=channel, version=version, blob=sealed, place=place), known
    if begin:
        sealed = codec.seal(codec.encode_plain(list(elements)) if items is None else codec.join_items(items))
    known = _List(ValuePlace(version, 0), elements, digests, len(sealed.data), 0)
    return NewValue(channel=channel, version=version, blob=sealed), known


def loaded_value(value: Any, blob: Blob, place: ValuePlace, *, codec: Codec) -> _Known | None:
    """What is to be remembered of a value that was loaded."""
    if type(value) is not list:
        plain = codec.unseal(blob)
        return _Value(place, digest_of(plain)) if len(plain.data) >= _NOTED_FROM_BYTES else None
    elements = tuple(cast("list[Any]", value))
    parts = codec.parts(blob)
    digests: tuple[bytes, ...] | None = None
    if not all(type(element) in _UNCHANGEABLE for element in elements):
        items = codec.items(parts)
        if items is None or len(items) != len(elements):
            # Stored by an earlier version, all elements in one piece.
            return None
        digests = tuple(map(_digest, items))
    sizes = [len(part.data) for part in parts]
    return _List(place, elements, digests, sizes[0] if sizes else 0, sum(sizes[1:]))


def digest_of(plain: Blob) -> bytes:
    return _digest(plain.type.encode() + b"\0" + plain.data)


def is_same(known: _Known | None, plain: Blob) -> bool:
    """Whether these bytes are the stored value."""
    return isinstance(known, _Value) and len(plain.data) >= _NOTED_FROM_BYTES and known.digest == digest_of(plain)


def _extends(elements: tuple[Any, ...], digests: tuple[bytes, ...] | None, old: _List) -> bool:
    count = len(old.elements)
    if len(elements) < count:
        return False
    if digests is not None and old.digests is not None:
        return digests[:count] == old.digests
    if digests is not None or old.digests is not None:
        # Of changeable and unchangeable elements; an empty list begins either.
        return count == 0
    if all(map(operator.is_, elements, old.elements)):
        return True
    pairs = zip(elements, old.elements, strict=False)
    return all(type(new) is type(known) and new == known for new, known in pairs)


def _is_due(old: _List, size: int) -> bool:
    return old.place.part + 1 >= _PARTS_BEFORE_WHOLE and old.part_bytes + size >= _GROWTH_BEFORE_WHOLE * old.whole_bytes


def _settle(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)


def _digest(data: bytes) -> bytes:
    return hashlib.blake2b(data, digest_size=16).digest()
