from __future__ import annotations

import contextlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lgnb_server.bodies import AssistantSearch, RunCreate, RunsCancel, StateHistory, ThreadCreate, ThreadPatch
from lgnb_server.parsing import check, check_list, ignored_fields_header, read_json, read_model

from lgnb.errors import InvalidRequest


@pytest.mark.parametrize(
    "body",
    [b"", b"  \n", b"{", b"{'a': 1}", b'{"a": NaN}', b'"\xff"', b'"\\ud800"', b'{"a": "\\u0000"}', b'{"\\u0000": 1}'],
)
def test_what_is_not_storable_json_is_refused(body: bytes) -> None:
    with pytest.raises(InvalidRequest):
        read_json(body)


def test_an_escaped_backslash_before_u0000_is_no_nul() -> None:
    assert read_json(rb'"\\u0000"') == r"\u0000"


@pytest.mark.parametrize("brackets", [("[", "]"), ('{"a":', "}")])
@pytest.mark.parametrize(("depth", "accepted"), [(200, True), (240, False), (5000, False), (200_000, False)])
def test_deep_nesting_is_refused_before_anything_has_to_encode_it(
    brackets: tuple[str, str], depth: int, accepted: bool
) -> None:
    body = (brackets[0] * depth + "1" + brackets[1] * depth).encode()

    if accepted:
        read_json(body)
    else:
        with pytest.raises(InvalidRequest):
            read_json(body)


def test_unknown_fields_are_named_and_not_refused() -> None:
    parsed, ignored = read_model(ThreadCreate, b'{"metadata": {"a": 1}, "foo": 1, "bar": null}')

    assert parsed.metadata == {"a": 1}
    assert ignored == ["foo", "bar"]


@given(st.lists(st.text()))
def test_names_of_unknown_fields_are_safe_in_a_header(names: list[str]) -> None:
    names = [name.encode("utf-8", "ignore").decode() for name in names]

    header = ignored_fields_header(names)

    assert header.isascii()
    assert header.isprintable()
    assert len(header) < 4096


@pytest.mark.parametrize(
    ("model", "value"),
    [
        (AssistantSearch, {"limit": 0}),
        (AssistantSearch, {"limit": 1001}),
        (AssistantSearch, {"limit": "10"}),
        (AssistantSearch, {"limit": True}),
        (AssistantSearch, {"offset": -1}),
        (AssistantSearch, {"offset": 10**30}),
        (AssistantSearch, {"sort_by": "metadata; DROP TABLE assistants"}),
        (AssistantSearch, {"select": ["secret"]}),
        (AssistantSearch, []),
        (ThreadCreate, {"thread_id": "not-a-uuid"}),
        (ThreadCreate, {"ttl": "5"}),
        (ThreadCreate, {"ttl": 0}),
        (ThreadCreate, {"ttl": True}),
        (ThreadCreate, {"ttl": {"ttl": -1}}),
        (ThreadPatch, {"metadata": None}),
        (RunCreate, {}),
        (RunCreate, {"assistant_id": ""}),
        (RunCreate, {"assistant_id": "agent", "stream_mode": "tools"}),
        (RunCreate, {"assistant_id": "agent", "stream_mode": ["lifecycle"]}),
        (RunCreate, {"assistant_id": "agent", "after_seconds": -1}),
        (RunCreate, {"assistant_id": "agent", "after_seconds": 1e300}),
        (RunCreate, {"assistant_id": "agent", "checkpoint_id": "nope"}),
        (RunCreate, {"assistant_id": "agent", "config": {"recursion_limit": "many"}}),
        (RunCreate, {"assistant_id": "agent", "interrupt_before": "node"}),
        (RunsCancel, {}),
        (RunsCancel, {"status": "all", "run_ids": []}),
        (RunsCancel, {"run_ids": []}),
    ],
)
def test_a_body_that_breaks_the_contract_is_refused(model: Any, value: Any) -> None:
    with pytest.raises(InvalidRequest):
        check(model, value)


def test_the_refusal_names_the_field_and_repeats_nothing_of_its_value() -> None:
    with pytest.raises(InvalidRequest) as refused:
        check(AssistantSearch, {"limit": "hunter2"})

    assert str(refused.value).startswith("limit: ")
    assert "hunter2" not in str(refused.value)


def test_null_means_absent_where_it_has_no_meaning_of_its_own() -> None:
    request = check(
        RunCreate, {"assistant_id": "agent", "config": None, "metadata": None, "checkpoint": None}
    ).as_request()

    assert (request.config, request.metadata, request.checkpoint) == ({}, {}, None)


def test_a_run_keeps_what_a_client_sent() -> None:
    body = {
        "assistant_id": "agent",
        "input": [1, "a"],
        "stream_mode": "updates",
        "config": {"configurable": {"a": 1}, "custom": 2},
        "checkpoint": {"checkpoint_id": "c", "thread_id": "of the path"},
        "interrupt_before": "*",
        "multitask_strategy": "rollback",
        "on_disconnect": "cancel",
    }

    request = check(RunCreate, body).as_request()

    assert request.input == [1, "a"]
    assert request.stream_mode == ["updates"]
    assert request.config == {"configurable": {"a": 1}, "custom": 2}
    assert request.checkpoint == {"checkpoint_id": "c"}
    assert (request.interrupt_before, request.multitask_strategy, request.on_disconnect) == ("*", "rollback", "cancel")


def test_a_batch_is_a_list_with_something_in_it() -> None:
    for value in ({}, [], None):
        with pytest.raises(InvalidRequest):
            check_list(RunCreate, value)
    assert len(check_list(RunCreate, [{"assistant_id": "a"}, {"assistant_id": "b"}])) == 2


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    )
)
def test_any_json_is_either_a_request_or_refused(value: Any) -> None:
    with contextlib.suppress(InvalidRequest):
        read_model(StateHistory, json.dumps(value).encode())
