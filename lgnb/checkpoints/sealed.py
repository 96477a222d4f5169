"""Checkpoints on their way through a vault: blobs and metadata are sealed or opened, and nothing else changes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from ..models.checkpoints import (
    PARTS,
    SAME,
    Blob,
    DeltaHistory,
    NewCheckpoint,
    NewWrites,
    SavedCheckpoint,
    joined,
    parts_of,
)
from ..models.vault import NoVault, Vault, is_sealed


async def sealed_checkpoint(new: NewCheckpoint, vault: Vault) -> NewCheckpoint:
    """A checkpoint as it is stored."""
    if isinstance(vault, NoVault):
        return new
    given = [value.blob for value in new.values if value.blob is not None]
    blobs = iter(await vault.seal([*new.inline.values(), *given]))
    return replace(
        new,
        metadata=await vault.fields.seal("checkpoint", "metadata", new.metadata),
        inline={channel: next(blobs) for channel in new.inline},
        # A value without a blob is one that is stored already.
        values=tuple(replace(value, blob=next(blobs)) if value.blob is not None else value for value in new.values),
    )


async def sealed_writes(new: NewWrites, vault: Vault) -> NewWrites:
    """Writes as they are stored."""
    if isinstance(vault, NoVault):
        return new
    blobs = iter(await vault.seal([write.blob for write in new.writes if write.blob.type != SAME]))
    return replace(
        new,
        writes=tuple(replace(write, blob=next(blobs)) if write.blob.type != SAME else write for write in new.writes),
    )


async def opened(page: Sequence[SavedCheckpoint], vault: Vault) -> list[SavedCheckpoint]:
    """Stored checkpoints as they were before they were sealed. A value that several share is opened once."""
    known = {id(blob): blob for saved in page for blob in saved.values.values()}
    known |= {id(write.blob): write.blob for saved in page for write in saved.writes}
    blobs = dict(zip(known, await _open(list(known.values()), vault), strict=True))
    return [
        replace(
            saved,
            metadata=await _metadata(saved.metadata, vault),
            values={channel: blobs[id(blob)] for channel, blob in saved.values.items()},
            writes=tuple(replace(write, blob=blobs[id(write.blob)]) for write in saved.writes),
        )
        for saved in page
    ]


async def opened_history(history: DeltaHistory, vault: Vault) -> DeltaHistory:
    """The same for what a delta channel was."""
    seeds = [] if history.seed is None else [history.seed]
    blobs = iter(await _open([*seeds, *(write.blob for write in history.writes)], vault))
    return DeltaHistory(
        seed=None if history.seed is None else next(blobs),
        writes=tuple(replace(write, blob=next(blobs)) for write in history.writes),
    )


async def _metadata(stored: dict[str, Any], vault: Vault) -> dict[str, Any]:
    return await vault.fields.open("checkpoint", "metadata", stored) if is_sealed(stored) else stored


async def _open(blobs: Sequence[Blob], vault: Vault) -> list[Blob]:
    """Each part of a list was sealed by itself; lists share most of theirs, and each is opened once."""
    parts = [parts_of(blob) if blob.type == PARTS else [blob] for blob in blobs]
    sealed = list({part: None for one in parts for part in one})
    opened_parts = dict(zip(sealed, await vault.open(sealed), strict=True))
    return [joined([opened_parts[part] for part in one]) for one in parts]
