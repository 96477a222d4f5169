"""What a graph is called with, first and when another attempt goes on."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import pytest
from langgraph.types import Command, Send

from lgnb.models.runs import ClaimedRun, is_interrupt_map
from lgnb.worker.inputs import command_of, input_of, run_config, run_context, without_dropped

ONE, OTHER = "1" * 32, "2" * 32


def claimed(*, attempt: int = 1, **kwargs: Any) -> ClaimedRun:
    kwargs.setdefault("config", {"configurable": {}})
    return ClaimedRun(
        run_id=uuid4(),
        thread_id=uuid4(),
        assistant_id=uuid4(),
        graph_id="g",
        metadata={},
        kwargs=kwargs,
        attempt=attempt,
        failed_attempts=attempt - 1,
        created_at=datetime.now(UTC),
    )


def test_a_first_attempt_gets_the_input_or_the_command() -> None:
    assert input_of(claimed(input={"a": 1}), stored_input=False) == {"a": 1}
    assert input_of(claimed(input={"a": 1}, command={"resume": "x"}), stored_input=False) == Command(resume="x")


def test_a_stored_input_is_not_given_again() -> None:
    assert input_of(claimed(input={"a": 1}), stored_input=True) is None


@pytest.mark.parametrize(
    ("resume", "answered", "given"),
    [("x", [ONE], None), ({ONE: 1, OTHER: 2}, [ONE], {OTHER: 2}), ({ONE: 1}, [ONE], None)],
)
def test_a_stored_answer_is_not_given_again(resume: Any, answered: list[str], given: Any) -> None:
    tasks: dict[UUID, list[str]] = {uuid4(): answered}

    found = input_of(claimed(command={"resume": resume}), stored_input=False, resumed_tasks=tasks)

    assert found == (None if given is None else Command(resume=given))


def test_only_whole_interrupt_ids_make_a_map_of_answers() -> None:
    assert is_interrupt_map({ONE: "x"})
    assert not is_interrupt_map({ONE: "x", "y": 1})
    assert not is_interrupt_map({})
    assert not is_interrupt_map(ONE)


def test_a_command_goes_to_nodes_and_sends() -> None:
    assert command_of({"goto": "a"}).goto == "a"
    assert command_of({"goto": ["a", {"node": "b", "input": 1}]}).goto == ["a", Send("b", 1)]
    assert command_of({"update": [["a", 1]]}).update == [("a", 1)]


def test_an_attempt_that_goes_on_does_not_branch_again() -> None:
    config = {"configurable": {"checkpoint_id": "c", "checkpoint_map": {}, "k": 1}}

    first, second = claimed(config=config), claimed(config=config, attempt=2)

    assert run_config(first, goes_on=False)["configurable"]["checkpoint_id"] == "c"  # pyright: ignore[reportTypedDictNotRequiredAccess]
    assert run_config(second, goes_on=True)["configurable"] == {"k": 1}  # pyright: ignore[reportTypedDictNotRequiredAccess]
    assert "run_id" not in run_config(second, goes_on=True)


def test_a_context_is_cut_down_to_its_schema() -> None:
    schema = {"properties": {"model": {}, "temperature": {}}}

    assert run_context({"model": "m", "other": 1}, schema) == {"model": "m"}
    assert run_context({"anything": 1}, None) == {"anything": 1}
    assert run_context({}, schema) is None


def test_what_a_schema_drops_from_a_context_leaves_the_configurable_that_mirrors_it() -> None:
    context, kept = {"model": "m", "other": 1}, {"model": "m"}
    mirrored: Any = {"configurable": {**context, "run_id": "r", "__context_provided__": True}, "tags": ["t"]}
    given: Any = {"configurable": {**context, "run_id": "r"}}

    assert without_dropped(mirrored, context, kept) == {"configurable": {"model": "m", "run_id": "r"}, "tags": ["t"]}
    assert without_dropped(given, context, kept) == given
