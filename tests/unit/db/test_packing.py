from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lgnb.db.packing import (
    WRITES,
    packed_checkpoint,
    packed_types,
    packed_writes,
    typed_blob,
    unpacked_checkpoint,
    unpacked_writes,
)
from lgnb.models.checkpoints import Blob, SavedWrite, TaskWrite

_NAMES = st.text("ab:0", max_size=3)
_VERSIONS = st.dictionaries(_NAMES, st.sampled_from(["1.a", "2.b", "3.c"]) | st.integers(0, 3), max_size=4)
_BLOBS = st.builds(Blob, st.sampled_from(["msgpack", "null", "same", "bytes"]), st.binary(max_size=3))


@given(_VERSIONS, st.dictionaries(_NAMES, _VERSIONS, max_size=3), st.none() | st.lists(_NAMES, max_size=3))
def test_a_checkpoint_is_unpacked_as_it_was(versions: Any, seen: Any, updated: Any) -> None:
    checkpoint = {"v": 4, "channel_versions": versions, "versions_seen": seen, "updated_channels": updated}

    packed = packed_checkpoint(checkpoint)

    assert unpacked_checkpoint(packed) == checkpoint
    assert packed["channel_versions"] == versions  # where SQL looks for them


@pytest.mark.parametrize("checkpoint", [{"channel_versions": {}}, {"v": 4, "channel_versions": {"a": "1"}, "more": 1}])
def test_a_checkpoint_of_another_shape_is_stored_as_it_is(checkpoint: dict[str, Any]) -> None:
    assert packed_checkpoint(checkpoint) == unpacked_checkpoint(checkpoint) == checkpoint


@given(st.lists(_BLOBS, max_size=4))
def test_usual_types_are_left_out_only_where_all_are_usual(blobs: list[Blob]) -> None:
    types = packed_types(blobs) or [None] * len(blobs)

    assert [typed_blob(kind, blob.data) for kind, blob in zip(types, blobs, strict=True)] == blobs


@given(st.lists(_BLOBS, max_size=4), st.sets(st.integers(-4, -1), max_size=2))
def test_writes_are_unpacked_as_they_were(regular: list[Blob], special: set[int]) -> None:
    writes = [TaskWrite(idx=idx, channel=f"c{idx}", blob=blob) for idx, blob in enumerate(regular)]
    writes += [TaskWrite(idx=idx, channel="__error__", blob=Blob("msgpack", b"e")) for idx in special]

    rows = packed_writes(writes)

    assert len([row for row in rows if row.idx >= 0]) == min(1, len(regular))
    assert _unpacked(rows) == sorted(writes, key=lambda write: write.idx)


@pytest.mark.parametrize(
    "writes",
    [
        [TaskWrite(idx=idx, channel="a", blob=typed_blob(None, bytes(2000))) for idx in range(2)],
        [TaskWrite(idx=idx, channel="a", blob=typed_blob(None, b"1")) for idx in (1, 2)],
    ],
)
def test_large_writes_and_those_with_a_gap_keep_rows_of_their_own(writes: list[TaskWrite]) -> None:
    assert packed_writes(writes) == writes


def test_of_a_number_written_twice_the_first_row_counts() -> None:
    first = packed_writes([TaskWrite(idx=idx, channel=f"old {idx}", blob=typed_blob(None, b"1")) for idx in range(2)])
    later = packed_writes([TaskWrite(idx=idx, channel=f"new {idx}", blob=typed_blob(None, b"2")) for idx in range(3)])
    assert [row.blob.type for row in (*first, *later)] == [WRITES, WRITES]

    assert [write.channel for write in _unpacked([*first, *later])] == ["old 0", "old 1", "new 2"]


def test_each_task_has_numbers_of_its_own() -> None:
    rows = [
        SavedWrite(task_id=UUID(int=task), task_path="~", idx=0, channel=f"c{task}", blob=typed_blob(None, b"1"))
        for task in (1, 2)
    ]

    assert unpacked_writes(rows) == rows


def _unpacked(rows: list[TaskWrite]) -> list[TaskWrite]:
    saved = [
        SavedWrite(task_id=UUID(int=1), task_path="~", idx=row.idx, channel=row.channel, blob=row.blob)
        for row in sorted(rows, key=lambda row: row.idx)
    ]
    return [TaskWrite(idx=write.idx, channel=write.channel, blob=write.blob) for write in unpacked_writes(saved)]
