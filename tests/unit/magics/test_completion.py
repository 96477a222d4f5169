"""What Tab offers, with no server near."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from lgnb.client.session import Session, replace_session
from lgnb.magics.commands import COMMANDS
from lgnb.magics.completion import candidates


@pytest.fixture(autouse=True)
def session() -> Iterator[Session]:
    session = Session()
    previous = replace_session(session)
    yield session
    replace_session(previous)


@pytest.mark.parametrize("start", ["%lg", "%%lg"])
def test_subcommands_are_offered(start: str) -> None:
    assert candidates(f"{start} re", "re") == ["result", "resume"]
    assert candidates(f"{start} ", "") == sorted({name.split()[0] for name in COMMANDS})


def test_flags_and_their_choices_are_offered() -> None:
    assert candidates("%lg run agent --in", "--in") == ["--input", "--interrupt-after", "--interrupt-before"]
    assert candidates("%lg run --mode m", "m") == ["messages"]
    assert candidates("%lg help thr", "thr") == ["thread", "threads"]


def test_words_of_a_subcommand_are_offered() -> None:
    assert candidates("%lg thread ", "") == ["copy", "delete", "export", "new"]
    assert candidates("%lg cron p", "p") == ["pause"]
    assert candidates("%lg store nosuch ", "") == []
    assert "--context" in candidates("%lg assistant create slow --", "--")


def test_runs_of_this_notebook_are_offered(session: Session) -> None:
    session.aliases.name("run", "01a1f9d8")

    session.aliases.name("cron", "01a1f9d9")

    assert candidates("%lg wait ", "") == ["run#1"]
    assert candidates("%lg cron pause ", "") == ["cron#1"]


def test_without_a_connection_nothing_is_asked_or_started(session: Session) -> None:
    assert candidates("%lg run ", "") == []
    assert not session.is_connected


def test_nonsense_offers_nothing() -> None:
    assert candidates("%lg nosuch a", "a") == []
