"""What `lgnb doctor` finds in Redis or Valkey."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ..errors import QueueUnavailable, SettingsError
from ..queue import Queue
from .findings import Finding

_OLDEST_REDIS = (6, 2)
_NEARLY_ALL = 0.9
_WITHOUT = "Runs start by polling meanwhile, and streams may tell a gap."

# What the library says, and what to do about it; the first that fits counts.
_REASONS = (
    ("AuthenticationError", "Correct user and password in LGNB_REDIS_URI."),
    ("NoPermissionError", "Let the user of LGNB_REDIS_URI run all commands on its keys."),
    ("ReadOnlyError", "Name the primary in LGNB_REDIS_URI."),
    ("BusyLoadingError", "Wait until Redis has loaded its data, and run lgnb doctor again."),
    ("MasterNotFoundError", "Start the Sentinels, or name the primary in LGNB_REDIS_URI as they do."),
    ("TimeoutError", "Nothing answers there: look at host and port in LGNB_REDIS_URI, and at firewalls in between."),
)


async def examine_redis(uri: str, *, prefix: str) -> list[Finding]:
    """Everything about this Redis; nothing in it is changed."""
    try:
        queue = Queue(uri, prefix=prefix, max_connections=2)
    except SettingsError as error:
        return [Finding("LGNB_REDIS_URI cannot be used.", str(error))]
    try:
        await queue.refuse_other_kind()
        servers = await queue.facts()
    except SettingsError as error:
        return [Finding(f"Most commands would fail at this Redis. {_WITHOUT}", str(error))]
    except QueueUnavailable as error:
        fix = next(
            (fix for words, fix in _REASONS if words in str(error)), "Start Redis or Valkey, or correct LGNB_REDIS_URI."
        )
        return [Finding(f"{error} {_WITHOUT}", fix)]
    finally:
        await queue.close()
    return [finding for place, facts in servers.items() for finding in findings_of(facts, place=place)]


def findings_of(facts: Mapping[str, Any], *, place: str = "") -> Iterator[Finding]:
    """What INFO and CLUSTER INFO of one server mean; `place` names it where there are several."""
    redis = f"Redis at {place}" if place else "Redis"
    if not facts:
        yield Finding(f"{redis} does not answer. {_WITHOUT}", "Start it, or give its slots to another node.")
        return
    version = str(facts["redis_version"])
    if tuple(int(part) for part in version.split(".")[:2]) < _OLDEST_REDIS:
        yield Finding(f"{redis} is too old: {version}.", "Use Redis 6.2, Valkey 7.2 or newer.")
        return
    yield Finding(f"{redis} answers as version {version}.")
    if facts.get("cluster_state", "ok") != "ok":
        yield Finding(f"The Cluster is down, as {redis} sees it. {_WITHOUT}", f"Run: redis-cli --cluster check {place}")
    if facts.get("role") == "slave":
        yield Finding("This Redis is a replica, which cannot be written to.", "Name the primary in LGNB_REDIS_URI.")
    most, used = int(facts.get("maxmemory", 0)), int(facts.get("used_memory", 0))
    policy = facts.get("maxmemory_policy", "noeviction")
    if most and policy != "noeviction":
        yield Finding(
            f"{redis} evicts keys when it is full (maxmemory-policy {policy}): streams lose events, and say so.",
            "Run: redis-cli CONFIG SET maxmemory-policy noeviction",
        )
    if most and used > most * _NEARLY_ALL:
        yield Finding(
            f"{redis} uses {used // 2**20} of {most // 2**20} MiB.",
            "Raise its maxmemory, or lower LGNB_STREAM_TTL_SECONDS and LGNB_PROTOCOL_BUFFER.",
        )
