"""The grammar of `%lg` lines."""

from __future__ import annotations

from typing import Any

import pytest
from IPython.core.error import UsageError

from lgnb.magics.commands import COMMANDS, overview
from lgnb.magics.parsing import assignments, find_command


def _run(line: str, body: str | None = None) -> Any:
    return COMMANDS["run"].parse(line, body)


@pytest.mark.parametrize(
    "text", ["Why is the sky blue?", 'it\'s "odd"', "a  b", "x --", "{'a': 1}", "-t is a flag? no: -x", "3 - 1 -- 2"]
)
def test_a_text_keeps_its_quotes_and_spaces(text: str) -> None:
    assert COMMANDS["resume"].parse(f"-- {text}").text == text.strip()


def test_plain_text_needs_no_quoting() -> None:
    assert _run('agent What\'s new,  "friend"?').text == 'agent What\'s new,  "friend"?'


@pytest.mark.parametrize(
    "line", ["--thread t1 agent hi", "agent --thread t1 hi", "agent hi --thread=t1", "agent hi -t t1"]
)
def test_flags_stand_anywhere(line: str) -> None:
    arguments = _run(line)

    assert arguments.flag("thread") == "t1"
    assert arguments.text.split() == ["agent", "hi"]


def test_the_value_of_a_flag_may_be_quoted() -> None:
    assert _run('agent --config "a b=\\"c\\""').flag("config") == ['a b="c"']
    assert _run("agent --var='x y' hi").flag("var") == "x y"
    assert _run('agent --context hotel="the Ritz" hi').flag("context") == ["hotel=the Ritz"]
    assert _run("agent --context hotel='the Ritz' hi").text == "agent  hi"


def test_repeated_flags_are_collected() -> None:
    assert _run("agent --config a=1 --config b=2").flag("config") == ["a=1", "b=2"]


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("agent --thred x", "did you mean --thread.*Write --"),
        ("agent --mode loud", "messages, updates, values"),
        ("agent --thread", "--thread needs a value: --thread ID"),
        ("agent --input xml", "auto, text, json, yaml"),
    ],
)
def test_a_wrong_flag_says_the_fix(line: str, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        _run(line)


def test_too_many_words_are_refused() -> None:
    with pytest.raises(UsageError, match=r"%lg state takes \[THREAD\]; 'b' is too much"):
        COMMANDS["state"].parse("a b")


def test_a_body_is_refused_where_it_means_nothing() -> None:
    with pytest.raises(UsageError, match="takes no body"):
        COMMANDS["state"].parse("", "body")
    assert _run("agent", "body\n").body == "body\n"


@pytest.mark.parametrize(("name", "near"), [("rnu", "run"), ("thraeds", "threads"), ("assistent", "assistant")])
def test_an_unknown_subcommand_suggests_the_nearest(name: str, near: str) -> None:
    with pytest.raises(UsageError, match=f"did you mean %lg {near}"):
        find_command(COMMANDS, name)


@pytest.mark.parametrize(
    ("line", "name", "rest"),
    [
        ("thread copy thread#1", "thread copy", "thread#1"),
        ("thread   copy", "thread copy", ""),
        ("thread thread#1", "thread", "thread#1"),
        ("run agent a  b", "run", "agent a  b"),
        ("store put a/b key {}", "store put", "a/b key {}"),
    ],
)
def test_a_subcommand_may_have_two_words(line: str, name: str, rest: str) -> None:
    command, found = find_command(COMMANDS, line)

    assert (command.name, found) == (name, rest)


def test_a_missing_second_word_says_which_there_are() -> None:
    with pytest.raises(UsageError, match="create, delete, pause, resume"):
        find_command(COMMANDS, "cron")
    with pytest.raises(UsageError, match="did you mean %lg cron create"):
        find_command(COMMANDS, "cron creat agent")


def test_pairs_nest_by_dots() -> None:
    assert assignments(["a.b=1", "a.c=x"], flag="config", read=str) == {"a": {"b": "1", "c": "x"}}
    with pytest.raises(UsageError, match="--config takes key=value"):
        assignments(["a"], flag="config", read=str)


@pytest.mark.parametrize("command", COMMANDS.values(), ids=lambda command: command.name)
def test_every_subcommand_explains_itself(command: Any) -> None:
    text = command.describe()

    assert f"%lg {command.name}" in overview()
    assert command.help in text
    assert all(f"--{flag.name}" in text and flag.help in text for flag in command.flags)
    assert all(len(line) <= 120 for line in text.splitlines())
