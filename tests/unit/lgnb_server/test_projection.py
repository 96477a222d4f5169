from __future__ import annotations

from dataclasses import fields
from typing import Any, get_args

import pytest
from lgnb_server import bodies
from lgnb_server.projection import extracted, parse_extract, project

from lgnb.errors import InvalidRequest
from lgnb.models.assistants import Assistant
from lgnb.models.runs import Run
from lgnb.models.threads import Thread

_ROW: dict[str, Any] = {
    "thread_id": "t",
    "values": {"messages": [{"content": "first"}, {"content": "last"}], "_secret": 1, "n": 0},
    "metadata": {"a": {"b": [1, 2]}},
}


@pytest.mark.parametrize(
    ("columns", "model"),
    [(bodies.AssistantColumn, Assistant), (bodies.ThreadColumn, Thread), (bodies.RunColumn, Run)],
)
def test_every_column_of_a_row_can_be_selected_and_no_other(columns: Any, model: Any) -> None:
    assert get_args(columns) == tuple(field.name for field in fields(model))


def test_select_keeps_the_named_columns() -> None:
    assert project(_ROW, ["thread_id"]) == {"thread_id": "t"}
    assert project(_ROW, []) == {}
    assert project(_ROW, None) == _ROW


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("values", _ROW["values"]),
        ("values.n", 0),
        ("values.messages[0].content", "first"),
        ("values.messages[-1].content", "last"),
        ("values.messages[2]", None),
        ("values.messages[-3]", None),
        ("values.messages.content", None),
        ("values.n[0]", None),
        ("values._secret", None),
        ("metadata.a.b[1]", 2),
        ("metadata.missing.deeper", None),
        ("config.anything", None),
    ],
)
def test_extract_gives_the_value_at_a_path_or_null(path: str, value: Any) -> None:
    assert extracted(_ROW, parse_extract({"x": path}, columns=_ROW)) == {"x": value}


@pytest.mark.parametrize(
    "extract",
    [
        {"not an identifier": "values"},
        {"thread_id": "values"},
        {"x": ""},
        {"x": "thread_id"},
        {"x": "values."},
        {"x": "values..a"},
        {"x": "values[a]"},
        {"x": "values[1"},
        {"x": "values a"},
        {f"x{n}": "values" for n in range(11)},
    ],
)
def test_a_path_that_breaks_the_rules_is_refused(extract: dict[str, str]) -> None:
    with pytest.raises(InvalidRequest):
        parse_extract(extract, columns=_ROW)
