from __future__ import annotations

import asyncio
import json
import logging
import sys
from typing import Any
from uuid import UUID

import pytest

from lgnb.log_format import JsonFormatter, log_fields, relay

_RUN = UUID(int=7)


def record(message: str, *arguments: Any, **more: Any) -> logging.LogRecord:
    return logging.LogRecord("lgnb.x", logging.WARNING, "f.py", 1, message, arguments, more.get("exc_info"))


async def test_a_line_is_one_object_with_the_run_that_it_is_about() -> None:
    async def attempt() -> dict[str, Any]:
        log_fields.set({"run_id": _RUN, "attempt": 2})
        return await asyncio.create_task(line())

    async def line() -> dict[str, Any]:
        return json.loads(JsonFormatter().format(record("two\nlines of %s", "it")))

    told = await asyncio.create_task(attempt())

    assert (told["level"], told["logger"], told["message"]) == ("warning", "lgnb.x", "two\nlines of it")
    assert (told["run_id"], told["attempt"]) == (str(_RUN), 2)
    assert "run_id" not in await line()


def test_a_traceback_is_a_field() -> None:
    try:
        raise ValueError("why")
    except ValueError:
        told = json.loads(JsonFormatter().format(record("failed", exc_info=sys.exc_info())))

    assert told["exception"].endswith("ValueError: why")


def test_a_host_tells_what_its_worker_logged_with_its_fields(caplog: pytest.LogCaptureFixture) -> None:
    line = JsonFormatter().format(record("100 % done"))

    assert relay(line, to=logging.getLogger("host"), worker=3)

    (passed,) = caplog.records
    told = json.loads(JsonFormatter().format(passed))
    assert (told["level"], told["logger"], told["message"], told["worker"]) == ("warning", "lgnb.x", "100 % done", 3)


@pytest.mark.parametrize(
    "line", ["", "I lgnb: text", '{"time": broken', '{"time":1}', '{"time":1,"level":"x","message":""}']
)
def test_other_lines_are_left_to_the_caller(line: str) -> None:
    assert not relay(line, to=logging.getLogger("host"), worker=3)
