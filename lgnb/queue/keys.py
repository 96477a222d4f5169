"""Every Redis key and channel of lgnb, with its owner and how long it lives.

| key | type | owner | life |
|---|---|---|---|
| wake:{graph} | list of tokens | whoever makes a run runnable | refreshed to 60 s, at most 1000 tokens |
| run:{run}:events | stream | the worker of the run | stream_ttl after its last write |
| run:{run}:fence | string | the worker of the run | as the stream |
| thread:{thread}:protocol | stream | its run's worker | as the stream of a run; protocol_buffer entries |
| thread:{thread}:protocol:count | string | the same | 30 days after its last write: numbers outlive their events |
| thread:{thread}:protocol:fence:{run} | string | the worker of the run | as the stream |
| thread:{thread}:watched | string | hosts with a reader of the protocol | 30 s, renewed while there is one |
| thread:{thread}:updates | stream | who updates the state by request | stream_ttl after its last write, newest 100 |
| thread:{thread}:updates:newest | string | the same | 30 days after its last write: it outlives the updates |
| calls:{graph} | list | a host that needs a worker | 60 s |
| reply:{call} | list | the worker that answers | 60 s |

Channels (pub/sub, nothing is kept): run:{run} and thread:{thread} ring when events were appended, signals
carries cancel wishes, news what happened to runs and threads. Keys that one command names share a hash tag, because
in a Cluster they must be at one node: those of one run, those of one thread, all wake-ups, all calls.
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

    def thread_protocol(self, thread_id: UUID) -> str:
        return f"{self.prefix}:{{thread:{thread_id}}}:protocol"

    def thread_protocol_count(self, thread_id: UUID) -> str:
        return f"{self.prefix}:{{thread:{thread_id}}}:protocol:count"

    def thread_protocol_fence(self, thread_id: UUID, run_id: UUID) -> str:
        return f"{self.prefix}:{{thread:{thread_id}}}:protocol:fence:{run_id}"

    def thread_watched(self, thread_id: UUID) -> str:
        return f"{self.prefix}:{{thread:{thread_id}}}:watched"

    def thread_updates(self, thread_id: UUID) -> str:
        return f"{self.prefix}:{{thread:{thread_id}}}:updates"

    def thread_newest_update(self, thread_id: UUID) -> str:
        return f"{self.prefix}:{{thread:{thread_id}}}:updates:newest"

    def thread_bell(self, thread_id: UUID) -> str:
        return f"{self.prefix}:thread:{thread_id}"

    def calls(self, graph_id: str) -> str:
        return f"{self.prefix}:{{calls}}:{graph_id}"

    def reply(self, call_id: UUID) -> str:
        return f"{self.prefix}:reply:{call_id}"

    @property
    def signals(self) -> str:
        return f"{self.prefix}:signals"

    @property
    def news(self) -> str:
        return f"{self.prefix}:news"
