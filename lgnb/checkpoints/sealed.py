"""Checkpoints on their way through a vault: every blob of one is sealed or opened, and nothing else changes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

import ormsgpack

from ..models.checkpoints import Blob, DeltaHistory, NewCheckpoint, NewWrites, SavedCheckpoint
from ..models.vault import NoVault, Vault

# A list that is stored in parts has the type and bytes of each in it; every part was sealed on its own.
_PARTS = "parts"


async def sealed_checkpoint(new: NewCheckpoint, vault: Vault) -> NewCheckpoint:
    """A checkpoint as it is stored."""
    if isinstance(vault, NoVault):
        return new
    sealed = await _sealed([*new.inline.values(), *(value.blob for value in new.values if value.blob)], vault)
    return replace(
        new,
        inline={channel: sealed[id(blob)] for channel, blob in new.inline.items()},
        values=tuple(replace(value, blob=sealed[id(value.blob)]) if value.blob else value for value in new.values),
    )


async def sealed_writes(new: NewWrites, vault: Vault) -> NewWrites:
    """Writes as they are stored."""
    if isinstance(vault, NoVault):
        return new
    sealed = await _sealed([write.blob for write in new.writes], vault)
    return replace(new, writes=tuple(replace(write, blob=sealed[id(write.blob)]) for write in new.writes))


async def opened(page: Sequence[SavedCheckpoint], vault: Vault) -> list[SavedCheckpoint]:
    """Stored checkpoints as they were before they were sealed. A value that several share is opened once."""
    found = [blob for saved in page for blob in saved.values.values()]
    found += [write.blob for saved in page for write in saved.writes]
    blobs = await _opened(found, vault)
    return [
        replace(
            saved,
            values={channel: blobs[id(blob)] for channel, blob in saved.values.items()},
            writes=tuple(replace(write, blob=blobs[id(write.blob)]) for write in saved.writes),
        )
        for saved in page
    ]


async def opened_history(history: DeltaHistory, vault: Vault) -> DeltaHistory:
    """The same for what a delta channel was."""
    seeds = [] if history.seed is None else [history.seed]
    blobs = await _opened([*seeds, *(write.blob for write in history.writes)], vault)
    return DeltaHistory(
        seed=None if history.seed is None else blobs[id(history.seed)],
        writes=tuple(replace(write, blob=blobs[id(write.blob)]) for write in history.writes),
    )


async def _sealed(blobs: Sequence[Blob], vault: Vault) -> dict[int, Blob]:
    """Sealed blobs by the ids of the given ones. What has no bytes is a mark, and says nothing by itself."""
    filled = [blob for blob in blobs if blob.data]
    sealed = {id(blob): blob for blob in blobs}
    return sealed | {id(blob): one for blob, one in zip(filled, await vault.seal(filled), strict=True)}


async def _opened(blobs: Iterable[Blob], vault: Vault) -> dict[int, Blob]:
    """Opened blobs by the ids of the given ones."""
    known = {id(blob): blob for blob in blobs}
    parts = {key: _parts(blob) for key, blob in known.items()}
    found = iter(await vault.open([part for several in parts.values() for part in several]))
    return {key: _whole(blob, parts[key], [next(found) for _ in parts[key]]) for key, blob in known.items()}


def _whole(blob: Blob, before: list[Blob], after: list[Blob]) -> Blob:
    if after == before:
        return blob
    return _joined(after) if blob.type == _PARTS else after[0]


def _joined(parts: Iterable[Blob]) -> Blob:
    return Blob(_PARTS, ormsgpack.packb([[part.type, part.data] for part in parts]))


def _parts(blob: Blob) -> list[Blob]:
    if blob.type != _PARTS:
        return [blob]
    return [Blob(kind, data) for kind, data in ormsgpack.unpackb(blob.data)]
