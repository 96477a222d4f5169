"""Checkpoints on their way through a vault: every blob of one is sealed or opened, and nothing else changes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from ..models.checkpoints import DeltaHistory, NewCheckpoint, NewWrites, SavedCheckpoint
from ..models.vault import NoVault, Vault


async def sealed_checkpoint(new: NewCheckpoint, vault: Vault) -> NewCheckpoint:
    """A checkpoint as it is stored."""
    if isinstance(vault, NoVault):
        return new
    blobs = iter(await vault.seal([*new.inline.values(), *(value.blob for value in new.values)]))
    return replace(
        new,
        inline={channel: next(blobs) for channel in new.inline},
        values=tuple(replace(value, blob=next(blobs)) for value in new.values),
    )


async def sealed_writes(new: NewWrites, vault: Vault) -> NewWrites:
    """Writes as they are stored."""
    if isinstance(vault, NoVault):
        return new
    blobs = await vault.seal([write.blob for write in new.writes])
    return replace(new, writes=tuple(replace(write, blob=blob) for write, blob in zip(new.writes, blobs, strict=True)))


async def opened(page: Sequence[SavedCheckpoint], vault: Vault) -> list[SavedCheckpoint]:
    """Stored checkpoints as they were before they were sealed. A value that several share is opened once."""
    known = {id(blob): blob for saved in page for blob in saved.values.values()}
    known |= {id(write.blob): write.blob for saved in page for write in saved.writes}
    blobs = dict(zip(known, await vault.open(list(known.values())), strict=True))
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
    blobs = iter(await vault.open([*seeds, *(write.blob for write in history.writes)]))
    return DeltaHistory(
        seed=None if history.seed is None else next(blobs),
        writes=tuple(replace(write, blob=next(blobs)) for write in history.writes),
    )
