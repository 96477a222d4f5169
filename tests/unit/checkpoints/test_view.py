"""Stored bytes read as the JSON of the live object, with nothing revived."""

from __future__ import annotations

import collections
import dataclasses
import datetime as dt
import decimal
import enum
import ipaddress
import pathlib
import re
import subprocess
import sys
import uuid
import zoneinfo
from typing import Any, NamedTuple

import numpy as np
import ormsgpack
import pydantic
import pytest
from hypothesis import given
from hypothesis import strategies as st
from langchain_core.documents import Document
from langchain_core.messages import AIMessage, AIMessageChunk, HumanMessage, RemoveMessage, SystemMessage, ToolMessage
from langgraph.checkpoint.serde.types import _DeltaSnapshot
from langgraph.types import Command, Interrupt, Overwrite, Send

from lgnb.checkpoints.codec import Codec
from lgnb.checkpoints.view import view
from lgnb.json_encoding import jsonable
from lgnb.models.checkpoints import Blob


class Color(enum.Enum):
    RED = "red"


class Word(enum.StrEnum):
    ONE = "one"


class Number(enum.IntEnum):
    ONE = 1


class Model(pydantic.BaseModel):
    when: dt.datetime
    many: set[int]
    inner: Any = None


@dataclasses.dataclass
class Data:
    x: Any
    _hidden: int = 3


class Pair(NamedTuple):
    left: Any
    right: Any


MESSAGES = [
    HumanMessage("hi", id="1"),
    AIMessage("a", tool_calls=[{"name": "t", "args": {"x": 1}, "id": "c", "type": "tool_call"}]),
    AIMessageChunk("chunk"),
    ToolMessage("result", tool_call_id="c", artifact={"raw": b"x"}),
    SystemMessage([{"type": "text", "text": "blocks"}]),
    RemoveMessage(id="3"),
    Document(page_content="p", metadata={"a": dt.date(2020, 1, 1)}),
]
NEW_YEAR = dt.datetime(2020, 1, 1, tzinfo=dt.UTC)
BERLIN = zoneinfo.ZoneInfo("Europe/Berlin")
SCALARS = [
    Color.RED,
    Word.ONE,
    Number.ONE,
    uuid.UUID(int=5),
    decimal.Decimal("10"),
    decimal.Decimal("1.25"),
    decimal.Decimal("1E+3"),
    decimal.Decimal("NaN"),
    dt.datetime(2020, 1, 1),  # noqa: DTZ001  naive stays naive
    dt.datetime(2020, 1, 1, 2, 3, 4, 5, tzinfo=dt.UTC),
    dt.datetime(2020, 7, 1, tzinfo=BERLIN),
    dt.date(2020, 1, 2),
    dt.time(1, 2, 3, 4),
    dt.time(1, tzinfo=dt.timezone(dt.timedelta(hours=2), "X")),
    dt.timedelta(days=-1, microseconds=5),
    dt.UTC,
    dt.timezone(dt.timedelta(hours=2)),
    BERLIN,
    pathlib.Path("/a/b"),
    pathlib.Path("a"),
    re.compile("a+", re.IGNORECASE),
    b"bytes",
    bytearray(b"array"),
    ipaddress.ip_address("1.2.3.4"),
    ipaddress.ip_network("::/8"),
    ipaddress.ip_interface("1.2.3.4/8"),
    float("nan"),
    float("-inf"),
    "nul \0 character",
    2**63,
    None,
    pydantic.SecretStr("hidden"),
]
COMPOUNDS = [
    Model(when=NEW_YEAR, many={1}, inner=HumanMessage("in")),
    Data(Data({3})),
    Pair(1, Pair(2, b"3")),
    {1},
    frozenset([2]),
    collections.deque([1, (2, 3)]),
    (1, (2,)),
    Send("node", {"a": Data(1)}),
    Command(goto="x", update={"a": 1}),
    Command(resume=5, goto=[Send("a", 1)]),
    Interrupt(value={"a": 1}, id="abc"),
    Overwrite([1]),
    {dt.date(2020, 1, 1): 1},
    {uuid.UUID(int=5): 1},
    {None: 1, True: 2, 3: 4, 1.5: 6},
]
ARRAYS = [
    np.arange(24).reshape(2, 3, 4),
    np.array([[1.5, float("nan")], [0.1, 1e-30]], dtype="f4"),
    np.array([1.5, 0.1], dtype="f2"),
    np.asfortranarray(np.arange(24.0).reshape(2, 3, 4)),
    np.arange(24).reshape(2, 3, 4)[:, ::2].T,
    np.array(5),
    np.array([True, False]),
    np.array(["ab", "c"]),
    np.array([1, 2], dtype=">i4"),
    np.zeros((0, 3)),
    np.array([2**63], dtype="u8"),
]


@pytest.mark.parametrize("value", [*MESSAGES, *SCALARS, *COMPOUNDS, *ARRAYS], ids=lambda value: type(value).__name__)
def test_a_stored_value_reads_like_the_live_one(value: Any):
    read, live = view(Codec().encode(value)), jsonable(value)

    assert read == live
    if isinstance(live, dict):
        assert list(read) == list(live)


VALUES = st.recursive(
    st.sampled_from([*MESSAGES, *SCALARS, *COMPOUNDS])
    | st.datetimes(timezones=st.none() | st.just(dt.UTC))
    | st.timedeltas()
    | st.decimals(min_value=-(10**15), max_value=10**15)
    | st.text(),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text() | st.integers(-9, 9), inner, max_size=4)
        | inner.map(Data)
        | inner.map(lambda value: Pair(value, [value]))
        | inner.map(lambda value: Send("n", value))
        | inner.map(lambda value: Model(when=NEW_YEAR, many={1}, inner=value))
        | st.lists(inner, max_size=3).map(collections.deque)
    ),
    max_leaves=12,
)


@given(VALUES)
def test_any_nesting_reads_like_the_live_value(value: Any):
    assert view(Codec().encode(value)) == jsonable(value)


def test_a_large_value_is_expanded():
    value = [HumanMessage("hello " * 500, id="1")]

    assert view(Codec().encode(value)) == jsonable(value)


def test_a_delta_snapshot_reads_as_the_value_of_the_channel():
    assert view(Codec().encode(_DeltaSnapshot([HumanMessage("x", id="1")]))) == jsonable([HumanMessage("x", id="1")])


def test_an_exception_reads_as_its_python_text():
    assert view(Codec().encode(ValueError("boom"))) == "ValueError('boom')"


def packed(code: int, *content: Any) -> Blob:
    return Blob("msgpack", ormsgpack.packb(ormsgpack.Ext(code, ormsgpack.packb(content))))


@pytest.mark.parametrize(
    ("blob", "expected"),
    [
        (Blob("msgpack", b"\xc1"), None),
        (Blob("msgpack", b""), None),
        (Blob("pickle", b"x"), None),
        (Blob("msgpack+zstd", b"x"), None),
        (Blob("msgpack+z", b"x"), None),
        (Blob("json", b'{"a": 1}'), {"a": 1}),
        (Blob("msgpack", ormsgpack.packb(ormsgpack.Ext(99, ormsgpack.packb(["a", "B", 3])))), 3),
        (packed(0), None),
        (packed(0, 1, 2, 3), None),
        (packed(0, "decimal", "Decimal", "1E+999999999"), None),
        (packed(0, "uuid", "UUID", "nonsense"), "nonsense"),
        (packed(0, "zoneinfo", "ZoneInfo", "../../etc/passwd"), "../../etc/passwd"),
        (packed(1, "datetime", "timedelta", (10**12, 0, 0)), [10**12, 0, 0]),
        (packed(1, "langgraph.types", "Send", ()), []),
        (packed(2, "a", "B", 5), None),
        (packed(6, "<f8", (2, 2), "C", b"short"), None),
        (packed(6, "<f8", (10**9,), "C", b"12345678"), None),
        (packed(6, "<f8", (10**9, 0), "C", b""), None),
        (packed(6, "<f8", (-1, -1), "C", b"12345678"), None),
        (packed(6, "", (1,), "C", b""), None),
        (packed(6, "|O8", (1,), "C", b"12345678"), None),
    ],
)
def test_damaged_or_hostile_bytes_read_as_something_harmless(blob: Blob, expected: Any):
    assert view(blob) == expected


@given(st.binary(max_size=200), st.sampled_from(["msgpack", "json", "msgpack+zstd", "msgpack+z", "null", "bytes"]))
def test_no_bytes_break_the_reader(data: bytes, kind: str):
    view(Blob(kind, data))


@given(st.integers(0, 8), st.binary(max_size=60))
def test_no_extension_breaks_the_reader(code: int, data: bytes):
    view(Blob("msgpack", ormsgpack.packb(ormsgpack.Ext(code, data))))


def test_deep_nesting_reads_as_nothing():
    data = ormsgpack.packb(1)
    for _ in range(2000):
        data = ormsgpack.packb(ormsgpack.Ext(7, data))

    assert view(Blob("msgpack", data)) is None


def test_the_reader_loads_neither_the_graph_library_nor_the_users_modules():
    code = (
        "import sys, lgnb.checkpoints.view, lgnb.checkpoints.history;"
        "heavy = {'langgraph', 'langchain_core', 'numpy', 'pydantic', 'psycopg'};"
        "print(sorted(heavy & {name.split('.')[0] for name in sys.modules}))"
    )

    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)

    assert found.stdout.strip() == "[]"
