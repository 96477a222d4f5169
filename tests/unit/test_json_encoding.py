from __future__ import annotations

import asyncio
import re
import subprocess
import sys
import uuid
from collections import OrderedDict, deque, namedtuple
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from enum import Enum, IntEnum, StrEnum
from ipaddress import ip_address, ip_network
from pathlib import Path
from types import MappingProxyType
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import orjson
import pytest
import uuid_utils
from hypothesis import given
from hypothesis import strategies as st
from langchain_core.documents import Document
from langchain_core.messages import AIMessage, AIMessageChunk, HumanMessage, ToolMessage
from langgraph.errors import GraphRecursionError
from langgraph.types import Command, Interrupt, Send
from pydantic import BaseModel, SecretStr

from lgnb.errors import RunConflict
from lgnb.json_encoding import HIDDEN_MESSAGE, MAX_DEPTH, describe_error, encode, jsonable

Point = namedtuple("Point", ["x", "y"])
SOME_UUID = uuid.UUID("fe096781-5601-53d2-b2f6-0d3403f7e9ca")
TWO_HOURS = timezone(timedelta(hours=2))


@dataclass
class Plain:
    name: str
    when: datetime
    _own: int = 1


@dataclass(slots=True)
class Nested:
    inner: Plain


class Model(BaseModel):
    when: datetime
    tags: set[str]
    secret: SecretStr | None = None


class Colour(Enum):
    RED = "red"
    PAIR = (1, 2)


class Number(IntEnum):
    ONE = 1


class Word(StrEnum):
    YES = "yes"


@dataclass
class Detailed(OSError):
    secret_path: str


class Custom(ValueError):
    pass


MOMENT = datetime(2026, 11, 20, 9, 33, 31, 51572, tzinfo=UTC).replace(tzinfo=None)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        pytest.param(
            Model(when=MOMENT, tags={"a"}),
            {"when": "2026-11-20T09:33:31.051572", "tags": ["a"], "secret": None},
            id="pydantic model",
        ),
        pytest.param(
            Model(when=MOMENT, tags=set(), secret=SecretStr("hush")),
            {"when": "2026-11-20T09:33:31.051572", "tags": [], "secret": None},
            id="pydantic secret",
        ),
        pytest.param(Model, None, id="pydantic class"),
        pytest.param(
            Document("text"), {"id": None, "metadata": {}, "page_content": "text", "type": "Document"}, id="document"
        ),
        pytest.param(
            Nested(Plain("n", MOMENT)),
            {"inner": {"name": "n", "when": "2026-11-20T09:33:31.051572"}},
            id="dataclass",
        ),
        pytest.param(Point(1, b"\x00\xff"), {"x": 1, "y": "AP8="}, id="namedtuple"),
        pytest.param(b"\xfb\xff", "+/8=", id="bytes"),
        pytest.param(bytearray(b"ab"), "YWI=", id="bytearray"),
        pytest.param(memoryview(b"ab"), "YWI=", id="memoryview"),
        pytest.param(SOME_UUID, str(SOME_UUID), id="uuid"),
        pytest.param(uuid_utils.UUID(str(SOME_UUID)), str(SOME_UUID), id="uuid of uuid_utils"),
        pytest.param(Path("/a/b"), "/a/b", id="path"),
        pytest.param(ip_address("10.0.0.1"), "10.0.0.1", id="ip4"),
        pytest.param(ip_address("::1"), "::1", id="ip6"),
        pytest.param(ip_network("10.0.0.0/8"), "10.0.0.0/8", id="network"),
        pytest.param(MOMENT, "2026-11-20T09:33:31.051572", id="naive datetime"),
        pytest.param(MOMENT.replace(tzinfo=UTC), "2026-11-20T09:33:31.051572+00:00", id="aware datetime"),
        pytest.param(date(2026, 1, 2), "2026-01-02", id="date"),
        pytest.param(time(1, 2, 3), "01:02:03", id="time"),
        pytest.param(time(1, 2, tzinfo=TWO_HOURS), "01:02:00+02:00", id="aware time"),
        pytest.param(timedelta(minutes=1, milliseconds=500), 60.5, id="timedelta"),
        pytest.param(Decimal("12"), 12, id="whole decimal"),
        pytest.param(Decimal("1.50"), 1.5, id="decimal"),
        pytest.param(Decimal("NaN"), None, id="decimal nan"),
        pytest.param(Colour.RED, "red", id="enum"),
        pytest.param(Colour.PAIR, [1, 2], id="enum of a tuple"),
        pytest.param(Number.ONE, 1, id="int enum"),
        pytest.param(Word.YES, "yes", id="str enum"),
        pytest.param({1}, [1], id="set"),
        pytest.param(frozenset({1}), [1], id="frozenset"),
        pytest.param(deque([1, 2]), [1, 2], id="deque"),
        pytest.param((1, (2,)), [1, [2]], id="tuple"),
        pytest.param(OrderedDict(a=1), {"a": 1}, id="dict subclass"),
        pytest.param(MappingProxyType({"a": (1,)}), {"a": [1]}, id="mapping"),
        pytest.param([float("nan"), float("inf"), float("-inf")], [None, None, None], id="not finite"),
        pytest.param(re.compile("a+"), "a+", id="regex"),
        pytest.param(ZoneInfo("Europe/Berlin"), "Europe/Berlin", id="zone"),
        pytest.param(UTC, "UTC", id="utc"),
        pytest.param(Send("node", {"a": {1}}), {"node": "node", "args": {"a": [1]}}, id="send"),
        pytest.param(
            Command(goto="x", update={"a": 1}),
            {"graph": None, "update": {"a": 1}, "resume": None, "goto": "x"},
            id="command",
        ),
        pytest.param(
            Interrupt(value={"q": (1,)}, id="i1"),
            {"value": {"q": [1]}, "id": "i1", "response_schema": None},
            id="interrupt",
        ),
        pytest.param(len, None, id="function"),
        pytest.param(lambda: 1, None, id="lambda"),
        pytest.param(1j, None, id="complex"),
        pytest.param(object(), None, id="object"),
        pytest.param(int, None, id="class"),
        pytest.param((i for i in ()), None, id="generator"),
        pytest.param(
            {1: "a", None: "b", False: "c", 2.5: "d"},
            {"1": "a", "null": "b", "false": "c", "2.5": "d"},
            id="plain keys",
        ),
        pytest.param(
            {("a", 1): 1, b"x": 2, SOME_UUID: 3, MOMENT: 4, Colour.RED: 5},
            {"('a', 1)": 1, "b'x'": 2, str(SOME_UUID): 3, MOMENT.isoformat(): 4, "red": 5},
            id="other keys",
        ),
        pytest.param("a\x00b\x00\x00", "a\ufffdb\ufffd\ufffd", id="nul"),
        pytest.param({"k\x00": 1}, {"k\ufffd": 1}, id="nul in a key"),
        pytest.param("\\u0000 \\\x00", "\\u0000 \\\ufffd", id="nul and the text of its escape"),
        pytest.param("a\ud800b", "a?b", id="lone surrogate"),
        pytest.param({"\udfff": ["\ud83d", "ok"]}, {"?": ["?", "ok"]}, id="lone surrogate in a key"),
        pytest.param(2**63, 2**63, id="unsigned 64 bit"),
        pytest.param(2**64, str(2**64), id="beyond 64 bit"),
        pytest.param([-(2**63) - 1], [str(-(2**63) - 1)], id="beyond negative 64 bit"),
        pytest.param({2**64: 10**5000}, {str(2**64): hex(10**5000)}, id="enormous"),
        pytest.param(np.array([[1, 2], [3, 4]]), [[1, 2], [3, 4]], id="array"),
        pytest.param(np.array([1.5, 2.5])[::-1], [2.5, 1.5], id="array view"),
        pytest.param(np.array(["a"]), ["a"], id="array of text"),
        pytest.param([np.float64(1.5), np.int32(2), np.bool_(True), np.float16(0.5)], [1.5, 2, True, 0.5], id="numpy"),
        pytest.param({np.int64(3): 1}, {"3": 1}, id="numpy key"),
    ],
)
def test_each_kind_of_value_has_its_json(value: Any, expected: Any) -> None:
    assert jsonable(value) == expected


@pytest.mark.parametrize("shape", [lambda value: [2**70, value], lambda value: {("odd", "key"): [value]}])
@pytest.mark.parametrize(
    "value",
    [Nested(Plain("n", MOMENT)), Point(1, 2), Model(when=MOMENT, tags={"a"}), Send("n", 1), Word.YES, True, 1.5, None],
)
def test_a_value_encodes_the_same_beside_something_that_needs_mending(shape: Any, value: Any) -> None:
    encoded = jsonable(shape(value))

    inner = encoded[1] if isinstance(encoded, list) else encoded["('odd', 'key')"][0]
    assert inner == jsonable(value)


def test_messages_keep_the_order_of_their_fields() -> None:
    common = ["content", "additional_kwargs", "response_metadata", "type", "name", "id"]
    ai = [*common, "tool_calls", "invalid_tool_calls", "usage_metadata"]

    assert list(jsonable(HumanMessage("a"))) == common
    assert list(jsonable(AIMessage("a"))) == ai
    assert list(jsonable(AIMessageChunk("a"))) == [*ai, "tool_call_chunks", "chunk_position"]
    assert list(jsonable(ToolMessage("a", tool_call_id="1"))) == [*common, "tool_call_id", "artifact", "status"]


def test_messages_are_plain_objects_with_their_type() -> None:
    call = {"name": "add", "args": {"a": 1}, "id": "1"}

    assert jsonable(HumanMessage("a"))["type"] == "human"
    assert jsonable(AIMessage("", tool_calls=[call]))["tool_calls"] == [{**call, "type": "tool_call"}]
    assert jsonable(AIMessageChunk("a"))["type"] == "AIMessageChunk"


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (ValueError("bad"), "bad"),
        (Custom("subclass"), "subclass"),
        (TypeError("t"), "t"),
        (KeyError("k"), "'k'"),
        (AttributeError("a"), "a"),
        (RuntimeError("r"), "r"),
        (RecursionError("r"), "r"),
        (TimeoutError("slow"), "slow"),
        (GraphRecursionError("limit"), "limit"),
        (asyncio.CancelledError("stopped"), "stopped"),
        (RunConflict("busy"), "busy"),
        (OSError("/etc/secret"), HIDDEN_MESSAGE),
        (Detailed("/etc/secret"), HIDDEN_MESSAGE),
        (Exception("anything"), HIDDEN_MESSAGE),
        (ExceptionGroup("several", [ValueError("x")]), HIDDEN_MESSAGE),
    ],
)
def test_only_errors_meant_for_the_caller_keep_their_text(error: BaseException, message: str) -> None:
    expected = {"error": type(error).__name__, "message": message}

    assert describe_error(error) == expected
    assert jsonable({"error": error}) == {"error": expected}


def test_nesting_up_to_the_limit_encodes_and_beyond_it_is_a_clear_error() -> None:
    value: Any = 1
    for _ in range(MAX_DEPTH):
        value = [value]

    assert encode(value) == b"[" * MAX_DEPTH + b"1" + b"]" * MAX_DEPTH
    with pytest.raises(ValueError, match="nested deeper than 250 levels"):
        encode([[[[[[value]]]]]])


def test_a_value_that_contains_itself_is_a_clear_error() -> None:
    loop: list[Any] = []
    loop.append({"again": loop})

    with pytest.raises(ValueError, match="contains itself"):
        encode(loop)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(codec=None)) | st.binary(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text() | st.integers() | st.binary(), inner),
    max_leaves=12,
)


@given(json_values)
def test_anything_encodes_to_json_that_postgres_and_parsers_take(value: Any) -> None:
    encoded = encode(value)

    text = encoded.decode("utf-8")
    assert "\x00" not in str(orjson.loads(encoded))
    assert encode(orjson.loads(text)) == encoded


def test_importing_the_module_needs_no_graph_library() -> None:
    program = (
        "import sys, lgnb.json_encoding\n"
        "print(sorted({m.split('.')[0] for m in sys.modules} & {'langchain_core','langgraph','pydantic','numpy'}))"
    )

    loaded = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert loaded.stdout.strip() == "[]"
