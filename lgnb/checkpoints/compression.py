"""Compression of encoded values, marked in the type of the blob.

Small values are mostly the names of a message's fields, which are the same in every one. Those are compressed against
a dictionary that has them.
"""

from __future__ import annotations

import threading

import zstandard

from ..models.checkpoints import Blob

COMPRESS_FROM_BYTES = 64
DICTIONARY_UP_TO_BYTES = 16 * 1024
MAX_VALUE_BYTES = 1024 * 1024 * 1024
"""Largest value that is unpacked; a small frame may claim any size."""

_MARK = "+zstd"
_SMALL_MARK = "+z"
# A superstep waits for it. A higher level saves a few per cent more of a chat's texts: of a message that takes
# microseconds, of a large value several times the cost.
_LEVEL, _SMALL_LEVEL = 1, 5

# Part of the format: what was stored with it is read with it, so it stays as it is, and a better one gets a mark of its
# own. What is most usual stands at the end.
_DICTIONARY = zstandard.ZstdCompressionDict(
    b"\xafresponse_schema\xc0\x91\xc7\x1d\x01\x93\xaflanggraph.types\xa4Send\x92\xa9Interrupt\x83\xa5value"
    b"\x89\xabtoken_usage\x83\xb1completion_tokens\xadprompt_tokens\xactotal_tokens\xaamodel_name"
    b"\xaemodel_provider\xa6openai\xa9anthropic\xadfinish_reason\xa4stop\xaatool_calls\xabstop_reason\xa8end_turn"
    b"\xb2system_fingerprint\xc0\xa2id\xacservice_tier\xa7default\xa8logprobs\xc0\xa4type\xa2ai\xa4name\xc0"
    b"\x91\xc7\xae\x05\x94\xbelangchain_core.messages.system\xadSystemMessage\x86\xa7content"
    b"\xd9,lc_run--\xaatool_calls\x91\x84\xa4name\xa4args\x81\xa5query\xa2id\xb9call_\xa4type\xa9tool_call"
    b"\xb2invalid_tool_calls\x90\xaeusage_metadata\x85\xacinput_tokens\xadoutput_tokens\xactotal_tokens"
    b"\xb3input_token_details\x83\xa5audio\x00\xaecache_creation\x00\xaacache_read\x00"
    b"\xb4output_token_details\x82\xa5audio\x00\xa9reasoning\x00\xb3model_validate_json"
    b"\x91\xc8\x02\x05\x94\xbclangchain_core.messages.tool\xabToolMessage\x89\xa7content"
    b"\xb1additional_kwargs\x80\xb1response_metadata\x80\xa4type\xa4tool\xa4name\xa2id\xc0"
    b"\xactool_call_id\xb9call_\xa8artifact\xc0\xa6status\xa7success\xb3model_validate_json"
    b"\x91\xc7\x91\xc8\x05\x94\xbalangchain_core.messages.ai\xa9AIMessage\x89\xa7content\xda"
    b"\xb1additional_kwargs\x80\xb1response_metadata\x80\xa4type\xa2ai\xa4name\xc0\xa2id\xd9$"
    b"\xaatool_calls\x90\xb2invalid_tool_calls\x90\xaeusage_metadata\xc0\xb3model_validate_json"
    b"\x91\xc4\x91\xc7\x05\x94\xbdlangchain_core.messages.human\xacHumanMessage\x86\xa7content"
    b"\xb1additional_kwargs\x80\xb1response_metadata\x80\xa4type\xa5human\xa4name\xc0\xa2id\xc0\xd9$"
    b"\xb3model_validate_json",
    dict_type=zstandard.DICT_TYPE_RAWCONTENT,
)
_FORMAT = zstandard.FORMAT_ZSTD1_MAGICLESS


class _Compressors(threading.local):
    """Those of one thread: they cannot be shared, and making one costs more than a message to compress."""

    def __init__(self) -> None:
        self.large = zstandard.ZstdCompressor(level=_LEVEL)
        small = zstandard.ZstdCompressionParameters.from_level(
            _SMALL_LEVEL, source_size=1024, dict_size=len(_DICTIONARY.as_bytes()), format=_FORMAT
        )
        self.small = zstandard.ZstdCompressor(compression_params=small, dict_data=_DICTIONARY)
        self.expander = zstandard.ZstdDecompressor()
        self.small_expander = zstandard.ZstdDecompressor(dict_data=_DICTIONARY, format=_FORMAT)


_of_thread = _Compressors()


def compressed(blob: Blob) -> Blob:
    """The blob made smaller, or itself when it would not shrink."""
    size = len(blob.data)
    if size < COMPRESS_FROM_BYTES:
        return blob
    small = size <= DICTIONARY_UP_TO_BYTES
    data = (_of_thread.small if small else _of_thread.large).compress(blob.data)
    mark = _SMALL_MARK if small else _MARK
    return Blob(blob.type + mark, data) if len(data) + len(mark) < size else blob


def expanded(blob: Blob) -> Blob:
    """The blob as it was before `compressed`.

    Raises:
        ValueError: the data is damaged, or larger than `MAX_VALUE_BYTES`.
    """
    if blob.type.endswith(_MARK):
        mark, expander, form = _MARK, _of_thread.expander, zstandard.FORMAT_ZSTD1
    elif blob.type.endswith(_SMALL_MARK):
        mark, expander, form = _SMALL_MARK, _of_thread.small_expander, _FORMAT
    else:
        return blob
    try:
        size = zstandard.get_frame_parameters(blob.data, format=form).content_size
        if size > MAX_VALUE_BYTES:  # also of a frame that does not say
            raise ValueError(f"A stored value claims {size} bytes.")
        return Blob(blob.type.removesuffix(mark), expander.decompress(blob.data))
    except zstandard.ZstdError as error:
        raise ValueError("A stored value cannot be decompressed.") from error
