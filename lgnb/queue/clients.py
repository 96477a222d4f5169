"""Clients of redis-py for each kind of Redis; who uses one need not know which it is.

All of them wait a while for a connection when none is free, and tell a lost one to the caller.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import Any, cast

from redis._parsers import AsyncCommandsParser
from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.client import PubSub
from redis.asyncio.cluster import ClusterNode, RedisCluster
from redis.asyncio.connection import SSLConnection, parse_url
from redis.asyncio.sentinel import (
    Sentinel,
    SentinelConnectionPool,
    SentinelManagedConnection,
    SentinelManagedSSLConnection,
)
from redis.backoff import NoBackoff
from redis.exceptions import RedisClusterException, RedisError
from redis.retry import Retry

from .address import Address, Kind

_FREE_SECONDS = 5.0
_CONNECT_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class PoolSize:
    most: int
    opened: int
    in_use: int


class SingleClient(Redis):
    """One server, whichever way it is found."""

    async def disconnect(self) -> None:
        """Close every connection; safe to call twice."""
        await self.aclose()

    def subscription(self, **options: Any) -> AbstractAsyncContextManager[PubSub]:
        """A connection for channels, which one subscribes to with it."""
        return self.pubsub(**options)

    async def facts(self) -> dict[str, dict[str, Any]]:
        """What INFO tells of each server that holds data, by its place."""
        facts: Any = await self.info()
        return {"": facts}

    @property
    def pool_size(self) -> PoolSize:
        pool: Any = self.connection_pool
        in_use = len(pool._in_use_connections)
        return PoolSize(pool.max_connections, in_use + len(pool._available_connections), in_use)


class _Commands(AsyncCommandsParser):
    """Where the keys stand in each command, as told by any node: the one redis-py would ask may be the lost one."""

    def __init__(self, nodes: Callable[[], list[Any]]) -> None:
        super().__init__()
        self._nodes = nodes

    async def initialize(self, node: Any = None) -> None:
        failure: Exception = ConnectionError("no node is known")
        for one in sorted(self._nodes(), key=lambda other: other is not node):
            try:
                return await super().initialize(one)
            except (RedisError, OSError) as error:
                failure = error
        raise failure


class ClusterClient(RedisCluster):
    """Asks for each key the node that has it; keys that one command names share a slot, see `keys`."""

    def __init__(self, address: Address, *, max_connections: int, **options: Any) -> None:
        arguments = _arguments(address.data_uri)
        arguments.pop("db", None)
        places = [_arguments(uri) for uri in address.server_uris]
        super().__init__(
            startup_nodes=[ClusterNode(place["host"], place["port"]) for place in places],
            # A node without a free connection would fail at once, so what is waited for is a place among all.
            max_connections=2**31,
            # Whether some of the keys are better than none is a setting of the Cluster's own.
            require_full_coverage=False,
            **arguments,
            **options,
        )
        self.commands_parser = _Commands(self.get_nodes)
        self._address = address
        self._options = options
        self._max_connections = max_connections
        self._free = asyncio.Semaphore(max_connections)

    async def execute_command(self, *args: Any, **kwargs: Any) -> Any:
        async with asyncio.timeout(_FREE_SECONDS):
            await self._free.acquire()
        try:
            # Until it knows the nodes, it asks any of them.
            await self.initialize()
            return await super().execute_command(*args, **kwargs)
        except AttributeError as error:
            # The connection was lost to somebody else while it was being made.
            raise ConnectionError("the connection was closed") from error
        finally:
            self._free.release()

    async def initialize(self, *args: Any, **kwargs: Any) -> ClusterClient:
        try:
            await super().initialize(*args, **kwargs)
        except RedisClusterException as error:  # which is no RedisError
            raise ConnectionError(str(error)) from error
        return self

    async def aclose(self) -> None:
        """Ask for the nodes again with the next command; see `disconnect`.

        This is what redis-py calls when the Cluster is down or keys have moved. It would close the connections of
        whoever else is waiting, too.
        """
        self._initialize = True

    async def disconnect(self) -> None:
        """Close every connection; safe to call twice."""
        self._initialize = False
        await super().aclose()

    @asynccontextmanager
    async def subscription(self, **options: Any) -> AsyncGenerator[PubSub]:
        """The same at any node, as each hears what is published at another one."""
        # Those that were there at the last time may have gone.
        await self.aclose()
        await self.initialize()
        async with self._alone(random.choice(self.get_nodes())).pubsub(**options) as pubsub:
            yield pubsub

    def _alone(self, node: ClusterNode) -> SingleClient:
        return _single(self._address.at(node.host, int(node.port)), max_connections=1, **self._options)

    async def facts(self) -> dict[str, dict[str, Any]]:
        """The same and CLUSTER INFO, in the view of each; nothing of one that does not answer."""
        await self.initialize()
        facts: dict[str, dict[str, Any]] = {}
        for node in self.get_primaries():
            facts[node.name] = {}
            with contextlib.suppress(RedisError, OSError):
                async with self._alone(node) as asked:
                    told: Any = await asked.execute_command("CLUSTER INFO")
                    facts[node.name] = (await asked.facts())[""] | told
        return facts

    @property
    def pool_size(self) -> PoolSize:
        nodes: list[Any] = self.get_nodes()
        opened = sum(len(node._connections) for node in nodes)
        return PoolSize(self._max_connections, opened, opened - sum(len(node._free) for node in nodes))


class _PrimaryPool(SentinelConnectionPool, BlockingConnectionPool):
    """Connections to the primary of the moment, whoever that is."""

    async def disconnect(self, inuse_connections: bool = True) -> None:
        await super().disconnect(inuse_connections)
        if inuse_connections:  # all of them: this is the end
            for sentinel in self.sentinel_manager.sentinels:
                await sentinel.aclose()


def client(address: Address, *, client_name: str, reply_seconds: float | None, max_connections: int) -> Any:
    """A client, which connects with its first command.

    Args:
        client_name: shown by CLIENT LIST.
        reply_seconds: how long an answer may take; None for commands that wait for something to happen.
    """
    options: dict[str, Any] = {
        "client_name": client_name,
        "socket_timeout": reply_seconds,
        "socket_connect_timeout": _CONNECT_SECONDS,
        "health_check_interval": 15,
        # A lost connection is told to the caller at once: each has its own way to go on.
        "retry": Retry(NoBackoff(), 1),
    }
    # A peer that vanished without a word is noticed by the system, where there is a network in between.
    if not address.data_uri.startswith("unix:"):
        options["socket_keepalive"] = True
    if address.kind == "cluster":
        return ClusterClient(address, max_connections=max_connections, **options)
    if address.kind == "sentinel":
        return _primary(address, max_connections=max_connections, **options)
    return _single(address.data_uri, max_connections=max_connections, **options)


async def kind_of(address: Address, *, reply_seconds: float) -> Kind:
    """What the first of its servers that answers says it is.

    Raises:
        RedisError, OSError: none answers.
    """
    failure: Exception = ConnectionError("no server is named")
    for uri in address.server_uris:
        try:
            async with _briefly(uri, reply_seconds=reply_seconds) as asked:
                facts: Any = await asked.info("server")
                # The word of Valkey, and that of Redis.
                return facts.get("server_mode") or facts["redis_mode"]
        except (RedisError, OSError) as error:
            failure = error
    raise failure


def _single(uri: str, *, max_connections: int, **options: Any) -> SingleClient:
    pool = BlockingConnectionPool.from_url(  # pyright: ignore[reportUnknownMemberType]
        uri, max_connections=max_connections, timeout=_FREE_SECONDS, **options
    )
    return cast(SingleClient, SingleClient.from_pool(pool))


def _briefly(uri: str, *, reply_seconds: float | None) -> SingleClient:
    return _single(uri, max_connections=4, socket_timeout=reply_seconds, socket_connect_timeout=_CONNECT_SECONDS)


def _primary(address: Address, **options: Any) -> SingleClient:
    arguments = _arguments(address.data_uri)
    encrypted = arguments.pop("ssl", False)
    sentinel: Any = Sentinel([])
    # Made here, as it would give all of them one user and password, or none.
    sentinel.sentinels = [_briefly(uri, reply_seconds=_CONNECT_SECONDS) for uri in address.server_uris]
    pool = _PrimaryPool(
        address.primary,
        sentinel,
        connection_class=SentinelManagedSSLConnection if encrypted else SentinelManagedConnection,
        timeout=_FREE_SECONDS,
        **arguments,
        **options,
    )
    return cast(SingleClient, SingleClient.from_pool(pool))


def _arguments(uri: str) -> dict[str, Any]:
    """A URI as arguments of a client, `ssl` among them where it is encrypted."""
    arguments: dict[str, Any] = {**parse_url(uri)}
    if arguments.pop("connection_class", None) is SSLConnection:
        arguments["ssl"] = True
    return arguments
