"""`lgnb doctor` and `lgnb migrate` against real servers, and without any."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import psycopg
import pytest

from lgnb.cli.doctor import Finding, examine
from lgnb.cli.migration import migrate_database
from lgnb.settings import Settings


def problems(findings: list[Finding]) -> list[str]:
    return [finding.as_text() for finding in findings if finding.is_problem]


@pytest.fixture
def settings(database_uri: str, redis_uri: str, data_dir: Path) -> Settings:
    return Settings(postgres_uri=database_uri, redis_uri=redis_uri, data_dir=data_dir)


async def test_a_sound_installation_has_no_problem(settings: Settings) -> None:
    findings = await examine(settings)

    assert problems(findings) == []
    said = "\n".join(finding.as_text() for finding in findings)
    assert "The server extension is enabled." in said
    assert "The database is up to date." in said
    assert "Redis answers" in said


async def test_it_starts_nothing(data_dir: Path) -> None:
    findings = await examine(Settings(data_dir=data_dir))

    assert problems(findings) == []
    assert os.listdir(data_dir) == []


async def test_each_fault_comes_with_its_fix(settings: Settings, tmp_path: Path) -> None:
    config = tmp_path / "langgraph.json"
    config.write_text('{"graphs": {"agent": "./missing.py:graph"}, "grafs": {}}')
    broken = settings.with_values(
        config=config, postgres_uri="postgresql://127.0.0.1:1/x", redis_uri="redis://127.0.0.1:1"
    )

    found = "\n".join(problems(await examine(broken)))

    for words in ("'agent' does not exist", "grafs", "Postgres did not answer", "correct LGNB_REDIS_URI"):
        assert words in found


async def test_a_file_that_is_no_json_is_told_with_its_line(settings: Settings, tmp_path: Path) -> None:
    config = tmp_path / "langgraph.json"
    config.write_text('{\n "graphs": {,}\n}')

    found = problems(await examine(settings.with_values(config=config)))

    assert len(found) == 1
    assert "2" in found[0]


async def test_a_graph_that_failed_is_named_with_the_reason(settings: Settings) -> None:
    async with await psycopg.AsyncConnection.connect(str(settings.postgres_uri), autocommit=True) as connection:
        await connection.execute(
            "INSERT INTO graphs (graph_id, descriptor, failure) VALUES ('agent', '{}', 'No module named torch')"
        )

    found = problems(await examine(settings))

    assert len(found) == 1
    assert "'agent' failed to load: No module named torch" in found[0]


async def test_migrate_brings_an_empty_database_up_to_date_once(settings: Settings, postgres_uri: str) -> None:
    async with await psycopg.AsyncConnection.connect(str(settings.postgres_uri), autocommit=True) as connection:
        await connection.execute("DROP SCHEMA public CASCADE; CREATE SCHEMA public")
    assert any("lgnb migrate" in problem for problem in problems(await examine(settings)))

    first = await migrate_database(settings)
    again: list[Any] = await migrate_database(settings)

    assert first[0] == "0001_initial.sql"
    assert again == []
    assert problems(await examine(settings)) == []
