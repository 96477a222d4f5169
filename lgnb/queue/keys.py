"""Every Redis key and channel of lgnb, with its owner and how long it lives.

| key | type | owner | life |
|---|---|---|---|
| wake:{graph} | list of tokens | whoever makes a run runnable | refreshed to 60 s, at most 1000 tokens |
| run:{run}:events | stream | the worker of the run | stream_ttl after its last write |
| run:{run}:fence | string | the worker of the run | as the stream |
| calls:{graph} | list | a host that needs a worker | 60 s |
| reply:{call} | list | the worker that answers | 60 s |

Channels (pub/sub, nothing is kept): run:{run} rings when events were appended, signals carries cancel wishes.
The keys of one run share a hash tag, so that a script may touch both on a cluster.
"""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID


@dataclass(frozen=True, slots=True)
class Keys:
    """Builds the keys of one installation; `prefix` keeps several apart on one Redis."""

    prefix: str

    def wake(self, graph_id: str) -> str:
        # One tag for all of them: a worker waits for several lists in one command.
        return f"{self.prefix}:{{wake}}:{graph_id}"

    def run_events(self, run_id: UUID) -> str:
        return f"{self.prefix}:{{run:{run_id}}}:events"

    def run_fence(self, run_id: UUID) -> str:
        return f"{self.prefix}:{{run:{run_id}}}:fence"

    def run_bell(self, run_id: UUID) -> str:
        return f"{self.prefix}:run:{run_id}"

    def calls(self, graph_id: str) -> str:
        return f"{self.prefix}:{{calls}}:{graph_id}"

    def reply(self, call_id: UUID) -> str:
        return f"{self.prefix}:reply:{call_id}"

    @property
    def signals(self) -> str:
        return f"{self.prefix}:signals"
