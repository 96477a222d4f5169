"""How a run ended, as it is stored: in the row of its thread and in its result."""

from __future__ import annotations

from dataclasses import replace

import orjson

from ..models.runs import RunOutcome
from ..models.vault import Fields


async def sealed_outcome(outcome: RunOutcome, fields: Fields) -> RunOutcome:
    """The same with everything sealed that its graph and its caller brought along."""
    if not fields.seals:
        return outcome
    return replace(
        outcome,
        values=await fields.seal("thread", "values", outcome.values),
        interrupts=await fields.seal("thread", "interrupts", outcome.interrupts),
        state=await fields.seal("thread", "state", outcome.state),
        error=await fields.seal("thread", "error", outcome.error),
        result=orjson.dumps(await fields.seal("run", "result", orjson.loads(outcome.result))),
    )
