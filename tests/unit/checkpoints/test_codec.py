from __future__ import annotations

import os
import pickle
from typing import Any
from uuid import uuid4

import ormsgpack
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st
from langchain_core.messages import AIMessage, HumanMessage
from langgraph.types import Interrupt, Send

from lgnb.checkpoints import compression
from lgnb.checkpoints.codec import Codec
from lgnb.checkpoints.compression import compressed, expanded
from lgnb.checkpoints.saver import Saver
from lgnb.models.checkpoints import Blob

PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False) | st.text() | st.binary(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(PLAIN)
def test_plain_data_comes_back_as_it_was(value: Any):
    codec = Codec()

    assert codec.decode(codec.encode(value)) == value


@pytest.mark.parametrize(
    "value", [HumanMessage("hi", id="1"), [AIMessage("x" * 5000)], Send("node", {"a": 1}), (Interrupt("why", id="i"),)]
)
def test_the_librarys_own_types_come_back(value: Any):
    codec = Codec()

    back = codec.decode(codec.encode(value))

    assert back == (list(value) if isinstance(value, tuple) else value)


def test_large_values_are_compressed_and_say_so():
    blob = Codec().encode("text " * 10_000)

    assert blob.type == "msgpack+zstd"
    assert len(blob.data) < 200


def test_of_a_short_message_little_but_its_text_is_stored():
    message = HumanMessage("hello", id=str(uuid4()))

    blob = Codec().encode(message)

    assert blob.type == "msgpack+z"
    assert len(blob.data) < 70
    assert Codec().decode(blob) == message


def test_what_was_stored_with_the_dictionary_is_read_for_ever():
    data = bytes.fromhex("208da5000040c78aa568656c6c6f031007101a402295314e2c")

    assert Codec().decode(Blob("msgpack+z", data)) == HumanMessage("hello")


@pytest.mark.parametrize("value", ["small", os.urandom(5000)])
def test_what_would_not_shrink_stays_as_it_is(value: Any):
    assert "+" not in Codec().encode(value).type


@given(st.binary(max_size=4000), st.sampled_from(["msgpack", "bytes"]))
def test_expanding_undoes_compressing(data: bytes, kind: str):
    blob = Blob(kind, data * 3)

    assert expanded(compressed(blob)) == blob


@pytest.mark.parametrize("data", [b"", b"nonsense", zstandard.compress(b"x" * 5000)[:-3]])
def test_damaged_frames_are_refused(data: bytes):
    with pytest.raises(ValueError, match="stored value"):
        expanded(Blob("msgpack+zstd", data))
    with pytest.raises(ValueError, match="stored value"):
        expanded(Blob("msgpack+z", data))


def test_a_frame_that_claims_too_much_is_refused(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(compression, "MAX_VALUE_BYTES", 1000)

    with pytest.raises(ValueError, match="claims 5000 bytes"):
        expanded(Blob("msgpack+zstd", zstandard.compress(b"x" * 5000)))


def test_nothing_is_imported_or_called_for_a_type_that_is_not_allowed(tmp_path):
    target = tmp_path / "made"
    call = ormsgpack.packb(("os", "mkdir", str(target)))
    data = ormsgpack.packb(ormsgpack.Ext(0, call))

    assert Codec().decode(Blob("msgpack", data)) == str(target)
    assert not target.exists()


def test_pickle_is_neither_written_nor_read():
    with pytest.raises(TypeError):
        Codec().encode(lambda: None)
    with pytest.raises(NotImplementedError):
        Codec().decode(Blob("pickle", pickle.dumps(1)))


def test_versions_rise_as_text_and_branches_differ():
    saver = Saver(None)  # type: ignore[arg-type]
    versions: list[str] = []
    for _ in range(120):
        versions.append(saver.get_next_version(versions[-1] if versions else None, None))

    assert versions == sorted(versions)
    assert saver.get_next_version(versions[5], None) != versions[6]


@pytest.mark.parametrize("current", [7, "7", f"{7:032}.0.25", "0000000007.9c5c1d7126f5"])
def test_a_version_follows_those_of_other_savers(current: Any):
    version = Saver(None).get_next_version(current, None)  # type: ignore[arg-type]

    assert int(version.partition(".")[0]) == 8
    assert len(version.partition(".")[0]) == max(8, len(str(current).partition(".")[0]))
