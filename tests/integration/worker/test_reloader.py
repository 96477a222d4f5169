"""Files that change, and what is made of it."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from lgnb.worker.reloader import Reloader


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "lib").mkdir()
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "agent.py").touch()
    (tmp_path / "home" / ".env").write_text("A=1")
    content = {"graphs": {"a": "./agent.py:g"}, "env": ".env", "dependencies": [".", "../lib"]}
    (tmp_path / "home" / "langgraph.json").write_text(json.dumps(content))
    return tmp_path


@pytest.fixture
async def replaced(project: Path, caplog: pytest.LogCaptureFixture) -> AsyncIterator[list[int]]:
    """Grows by one each time that new workers are wanted; the watching has begun."""
    caplog.set_level(logging.INFO)
    calls: list[int] = []
    reloader = Reloader(project / "home" / "langgraph.json", replace=lambda: calls.append(1))
    watching = asyncio.create_task(reloader.run())
    # What tells that watching has begun is the first change that is seen.
    async with asyncio.timeout(20):
        while not calls:
            (project / "home" / "first.py").write_text(f"{len(caplog.records)} {asyncio.get_running_loop().time()}")
            await asyncio.sleep(0.2)
    await _settled(calls)
    calls.clear()
    yield calls
    watching.cancel()
    await asyncio.gather(watching, return_exceptions=True)


async def _settled(calls: list[int]) -> None:
    """Wait until a change that is still on its way has come."""
    count = -1
    while count != len(calls):
        count = len(calls)
        await asyncio.sleep(1)


async def _grows(calls: list[int]) -> bool:
    try:
        async with asyncio.timeout(10):
            while not calls:
                await asyncio.sleep(0.02)
    except TimeoutError:
        return False
    await _settled(calls)
    calls.clear()
    return True


async def test_sources_configuration_and_variables_count_and_nothing_else(project: Path, replaced: list[int]) -> None:
    home = project / "home"
    (home / "notes.txt").write_text("x")
    (home / "__pycache__").mkdir()
    (home / "__pycache__" / "agent.py").write_text("x")
    await _settled(replaced)
    assert replaced == []

    for path in (home / "agent.py", home / ".env", project / "lib" / "deep.py"):
        path.write_text("B=2")
        assert await _grows(replaced), path


async def test_a_broken_configuration_changes_nothing_and_a_section_of_the_host_wants_a_new_start(
    project: Path, replaced: list[int], caplog: pytest.LogCaptureFixture
) -> None:
    path = project / "home" / "langgraph.json"
    content: dict[str, Any] = json.loads(path.read_text())

    path.write_text("{")
    await _settled(replaced)
    assert replaced == []
    assert "is not valid JSON" in caplog.text

    path.write_text(json.dumps(content | {"http": {"mount_prefix": "/v1"}}))
    assert await _grows(replaced)
    assert "'http' has changed" in caplog.text
