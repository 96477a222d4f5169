from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from lgnb import cli
from lgnb.errors import SettingsError


def code_of(*arguments: str) -> int:
    try:
        return cli.main(arguments)
    except SystemExit as end:
        return int(str(end.code or 0))


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["serve", "--port", "http"], "'http' is no port"),
        (["serve", "--port", "70000"], "no port"),
        (["serve", "--workers", "many"], "workers is 'many', but must be a whole number."),
        (["serve", "--workers", "-1"], "workers is -1, but must be at least 0."),
        (["worker", "--jobs", "0"], "jobs is 0, but must be at least 1."),
        (["worker", "--isolated-loops", "maybe"], "must be one of auto, always, never."),
        (["serve", "-c", "missing.json"], "There is no file"),
        (["migrate", "--postgres-uri", "mysql://x"], "postgres_uri must begin with postgresql://."),
        (["doctor", "--redis-uri", "http://x"], "redis_uri must begin with"),
        (["fly"], "invalid choice: 'fly'"),
        (["serve", "--frobnicate"], "unrecognized arguments: --frobnicate"),
        ([], "COMMAND"),
    ],
)
def test_a_wrong_option_is_one_sentence_and_code_2(
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert code_of(*arguments) == 2

    output = capsys.readouterr()
    assert said in output.err
    assert output.err.count("\n") == 1
    assert output.out == ""


def test_a_wrong_variable_is_refused_like_a_wrong_option(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("LGNB_JOBS", "abc")

    assert code_of("doctor") == 2
    assert capsys.readouterr().err == "lgnb: LGNB_JOBS is 'abc', but must be a whole number.\n"


def test_options_win_over_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    seen: list[Any] = []
    monkeypatch.setenv("LGNB_JOBS", "3")
    monkeypatch.setenv("LGNB_DATA_DIR", str(tmp_path))
    monkeypatch.setattr("lgnb.worker.main.run_worker", lambda settings: seen.append(settings) or 0)

    assert code_of("worker", "--jobs", "7") == 0

    assert (seen[0].jobs, seen[0].data_dir) == (7, tmp_path)


def test_an_error_found_later_is_still_a_sentence(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(settings: Any) -> int:
        raise SettingsError("langgraph.json, line 3: graphs must be an object.")

    monkeypatch.setattr("lgnb.worker.main.run_worker", fail)

    assert code_of("worker") == 2
    assert capsys.readouterr().err == "lgnb: langgraph.json, line 3: graphs must be an object.\n"


@pytest.mark.parametrize("command", ["serve", "worker", "migrate", "doctor"])
def test_every_command_explains_its_options(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert code_of(command, "--help") == 0

    assert f"lgnb {command}" in capsys.readouterr().out
