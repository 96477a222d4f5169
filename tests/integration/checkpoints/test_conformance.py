"""LangGraph's own conformance suite, on Postgres."""

from __future__ import annotations

import pytest
from langgraph.checkpoint.conformance.capabilities import Capability
from langgraph.checkpoint.conformance.initializer import RegisteredCheckpointer
from langgraph.checkpoint.conformance.validate import validate

from lgnb.checkpoints.saver import Saver


@pytest.mark.parametrize("capability", [capability.value for capability in Capability])
async def test_saver_conforms(saver: Saver, capability: str) -> None:
    async def make():
        yield saver

    report = await validate(RegisteredCheckpointer(name="lgnb", factory=make), capabilities={capability})

    result = report.results[capability]
    assert result.detected
    assert result.failures == []
    assert result.tests_passed
