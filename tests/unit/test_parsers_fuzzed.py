"""Our own parsers against anything that can be typed or sent: an answer or a planned refusal, and soon."""

from __future__ import annotations

import re
import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from IPython.core.error import UsageError
from lgnb_server import projection
from lgnb_server.handlers.runs import event_id_of
from lgnb_server.handlers.thread_stream import place_of

from lgnb.db.store import item_conditions
from lgnb.errors import InvalidRequest, InvalidState
from lgnb.graphs.dotenv import parse_dotenv
from lgnb.magics.commands import COMMANDS
from lgnb.magics.lines import keep_question_marks
from lgnb.magics.parsing import Command
from lgnb.models.store import ItemQuery
from lgnb.resources.schedules import Schedule

_quick = settings(max_examples=150, deadline=2000)
_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


def _texts(alphabet: str, *, most: int = 40) -> st.SearchStrategy[str]:
    """Mostly what a grammar is made of, sometimes anything."""
    return st.text(alphabet=alphabet, max_size=most) | st.text(max_size=most)


@_quick
@given(
    path=_texts("values.metadata[]-0123456789_"), row=st.dictionaries(st.sampled_from(["values", "metadata"]), _json)
)
def test_a_path_of_extract_finds_a_value_or_is_refused(path: str, row: dict[str, Any]) -> None:
    try:
        paths = projection.parse_extract({"alias": path}, columns=())
    except InvalidRequest:
        return

    assert set(projection.extracted(row, paths)) == {"alias"}


_field = _texts("0123456789*/-,#L?", most=8)


@_quick
@given(text=st.lists(_field, min_size=5, max_size=6).map(" ".join) | _texts("@dailyhourly* "))
def test_a_schedule_has_a_next_time_or_is_refused_within_a_moment(text: str) -> None:
    began = time.perf_counter()
    try:
        schedule = Schedule(text, None)
        schedule.check_pause(3600)
    except InvalidRequest:
        pass

    assert time.perf_counter() - began < 2


@_quick
@given(text=_texts("ABC=\"'\\#${}:-\n\r\t export", most=80))
def test_a_dotenv_file_gives_texts_or_names_its_line(text: str) -> None:
    try:
        values = parse_dotenv(text, environment={"A": "1"})
    except ValueError as error:
        said = str(error)
    else:
        said = "line 0: nothing"
        assert all(re.fullmatch(r"[A-Za-z_][A-Za-z0-9_.]*", name) for name in values)

    assert re.match(r"line \d+: ", said)


@_quick
@given(text=_texts("0123456789-*", most=50))
def test_a_last_event_id_is_a_place_or_refused(text: str) -> None:
    for read in (event_id_of, place_of):
        try:
            place = read(text)
        except InvalidRequest:
            continue
        assert place is None or re.fullmatch(r"-1|\d{1,20}(-\d{1,20})?", place)


@pytest.mark.parametrize("command", COMMANDS.values(), ids=lambda command: command.name)
@settings(max_examples=30, deadline=2000)
@given(line=_texts("agent --live=\"' -t.{}", most=60), body=st.none() | st.text(max_size=20))
def test_a_magic_line_is_read_or_a_usage_error(command: Command, line: str, body: str | None) -> None:
    try:
        arguments = command.parse(line, body)
    except UsageError:
        return

    assert all(isinstance(word, str) for word in arguments.words)


@_quick
@given(rest=_texts("run agent Why?'\"\\{}$%"))
def test_a_question_in_a_magic_line_stays_one_line_of_code(rest: str) -> None:
    line = f"%lg {rest}?\n".replace("\r", "").replace("\n", "", rest.count("\n"))

    (kept,) = keep_question_marks([line])

    if kept.startswith("get_ipython()"):
        compile(kept, "cell", "exec")


@_quick
@given(filter_=st.dictionaries(_texts("$eqgtne.[]'\";- ", most=12), _json, max_size=3))
def test_a_filter_of_the_store_is_parameters_or_refused(filter_: dict[str, Any]) -> None:
    try:
        conditions, parameters = item_conditions(ItemQuery(filter=filter_))
    except InvalidState:
        return

    statement = " ".join(condition.as_string(None) for condition in conditions)
    without_names = re.sub(r"%\(\w+\)s", "", statement)
    # Whatever the keys and values are, the statement is made of these characters alone.
    assert re.fullmatch(r"[\w\s().:'>\-<=!#|@?,$\"\[\]*&]*", without_names), statement
    assert set(re.findall(r"%\((\w+)\)s", statement)) <= set(parameters)
