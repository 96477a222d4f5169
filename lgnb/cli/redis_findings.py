"""What `lgnb doctor` finds in Redis or Valkey."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

from ..errors import QueueUnavailable
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
    ("TimeoutError", "Nothing answers there: look at host and port in LGNB_REDIS_URI, and at firewalls in between."),
)


async def examine_redis(uri: str, *, prefix: str) -> list[Finding]:
    """Everything about this Redis; nothing in it is changed."""
    try:
        _ = urlsplit(uri).port
    except ValueError as error:
        return [Finding(f"LGNB_REDIS_URI cannot be read: {error}.", "Write redis://:password@host:6379/0.")]
    queue = Queue(uri, prefix=prefix, max_connections=2)
    try:
        await queue.ping()
        facts: dict[str, Any] = {}
        for section in ("server", "memory", "replication"):
            facts |= await queue.redis.info(section)
    except QueueUnavailable as error:
        fix = next(
            (fix for words, fix in _REASONS if words in str(error)), "Start Redis or Valkey, or correct LGNB_REDIS_URI."
        )
        return [Finding(f"{error} {_WITHOUT}", fix)]
    finally:
        await queue.close()
    return list(findings_of(facts))


def findings_of(facts: Mapping[str, Any]) -> Iterator[Finding]:
    """What the sections server, memory and replication of INFO mean."""
    version = str(facts["redis_version"])
    if tuple(int(part) for part in version.split(".")[:2]) < _OLDEST_REDIS:
        yield Finding(f"Redis {version} is too old.", "Use Redis 6.2, Valkey 7.2 or newer.")
        return
    yield Finding(f"Redis answers as version {version}.")
    if facts.get("redis_mode") == "cluster":
        yield Finding(
            "This Redis is a node of a Cluster, whose other nodes are not asked.",
            f"Name a Redis or Valkey that is not clustered. {_WITHOUT}",
        )
    if facts.get("role") == "slave":
        yield Finding("This Redis is a replica, which cannot be written to.", "Name the primary in LGNB_REDIS_URI.")
    most, used = int(facts.get("maxmemory", 0)), int(facts.get("used_memory", 0))
    policy = facts.get("maxmemory_policy", "noeviction")
    if most and policy != "noeviction":
        yield Finding(
            f"Redis evicts keys when its memory is full (maxmemory-policy {policy}): streams lose events, and say so.",
            "Run: redis-cli CONFIG SET maxmemory-policy noeviction",
        )
    if most and used > most * _NEARLY_ALL:
        yield Finding(
            f"Redis uses {used // 2**20} of {most // 2**20} MiB.",
            "Raise its maxmemory, or lower LGNB_STREAM_TTL_SECONDS and LGNB_PROTOCOL_BUFFER.",
        )
