"""A short run of chaos, and a build with a broken promise which has to be noticed; `make chaos` is the long form.

LGNB_TEST_CHAOS_MINUTES and LGNB_TEST_CHAOS_SEED choose another length and seed.
"""

from __future__ import annotations

import asyncio
import os
import random
import sys
from pathlib import Path

import pytest
from chaos.broken import BROKEN

_TESTS = Path(__file__).parents[2]
_MINUTES = float(os.environ.get("LGNB_TEST_CHAOS_MINUTES", "3"))
# Those that show within seconds are in every run of the tests.
_SHOWN_QUICKLY = {
    "early-end": ("--minutes", "0.2"),
    "heartbeat-on-the-loop": ("--minutes", "0.1", "--calm"),
}
_SAID = {
    "early-end": "closed while the run was",
    "heartbeat-on-the-loop": "was taken from its worker in attempt 1, for no reason",
    "no-fence": "ended 2 times",
}


@pytest.mark.timeout(_MINUTES * 60 + 300)
async def test_no_promise_is_broken_in_chaos() -> None:
    """The seed is in the message, so that the same faults can be brought about again."""
    seed = os.environ.get("LGNB_TEST_CHAOS_SEED") or str(random.SystemRandom().randrange(1_000_000))

    code, said = await _chaos("--minutes", str(_MINUTES), "--seed", seed)

    assert code == 0, said


@pytest.mark.timeout(600)
@pytest.mark.parametrize("promise", sorted(BROKEN))
async def test_a_broken_build_is_noticed(promise: str) -> None:
    if "LGNB_TEST_CHAOS_MINUTES" in os.environ:
        length = ("--minutes", "3")
    elif (length := _SHOWN_QUICKLY.get(promise, ())) == ():
        pytest.skip("takes minutes; set LGNB_TEST_CHAOS_MINUTES to 3")

    code, said = await _chaos(*length, "--seed", "3", "--broken", promise)

    assert code == 1, said
    assert _SAID[promise] in said


async def _chaos(*arguments: str) -> tuple[int | None, str]:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "chaos",
        *arguments,
        cwd=_TESTS,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    said, _ = await process.communicate()
    return process.returncode, said.decode(errors="replace")
