"""Compression of large encoded values, marked in the type of the blob."""

from __future__ import annotations

import zstandard

from ..models.checkpoints import Blob

COMPRESS_FROM_BYTES = 1024
MAX_VALUE_BYTES = 1024 * 1024 * 1024
"""Largest value that is unpacked; a small frame may claim any size."""

_MARK = "+zstd"
_LEVEL = 1  # a superstep waits for it; higher levels save a few per cent more of chat texts at several times the cost


def compressed(blob: Blob) -> Blob:
    """The blob made smaller, or itself when it is small already or would not shrink."""
    if len(blob.data) < COMPRESS_FROM_BYTES:
        return blob
    data = zstandard.compress(blob.data, _LEVEL)
    return Blob(blob.type + _MARK, data) if len(data) < len(blob.data) else blob


def expanded(blob: Blob) -> Blob:
    """The blob as it was before `compressed`.

    Raises:
        ValueError: the data is damaged, or larger than `MAX_VALUE_BYTES`.
    """
    if not blob.type.endswith(_MARK):
        return blob
    try:
        size = zstandard.frame_content_size(blob.data)
        if not 0 <= size <= MAX_VALUE_BYTES:
            raise ValueError(f"A stored value claims {size} bytes.")
        return Blob(blob.type.removesuffix(_MARK), zstandard.decompress(blob.data))
    except zstandard.ZstdError as error:
        raise ValueError("A stored value cannot be decompressed.") from error
