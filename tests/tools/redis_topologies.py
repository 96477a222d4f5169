"""Valkeys that belong together, on loopback ports: a Cluster of three nodes, and a pair watched by a Sentinel."""

from __future__ import annotations

import socket
import subprocess
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import redis
from redis.cluster import RedisCluster

from lgnb.embedded.binaries import valkey_server
from lgnb.queue.address import parse

_SLOTS = 16384
_HOST = "127.0.0.1"


class Node:
    """One process, which can be killed and started again at the same port with what it knew of the others."""

    def __init__(self, directory: Path, *options: str, settings: Path | None = None) -> None:
        directory.mkdir()
        self.port = _free_port()
        self.place = f"{_HOST}:{self.port}"
        self._command = [
            str(valkey_server()),
            *([str(settings)] if settings else []),
            "--port",
            str(self.port),
            "--bind",
            _HOST,
        ]
        self._command += ["--dir", str(directory), "--save", "", *options]
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self._process = subprocess.Popen(self._command, stdout=subprocess.DEVNULL)
        wait_until(self._answers, what=f"Valkey answers at port {self.port}")

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def signal(self, number: int) -> None:
        assert self._process is not None
        self._process.send_signal(number)

    def ask(self, *command: Any) -> Any:
        with redis.Redis(host=_HOST, port=self.port, decode_responses=True) as connection:
            return connection.execute_command(*command)

    def serves(self, slot: int) -> bool:
        """Whether a slot is this node's, as far as it knows."""
        own = self.ask("CLUSTER NODES")[self.place]["slots"]
        return any(int(bounds[0]) <= slot <= int(bounds[-1]) for bounds in own)

    def _answers(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, "Valkey did not start"
        try:
            return bool(self.ask("PING"))
        except redis.ConnectionError:
            return False


class Cluster:
    """Three primaries without replicas: with one of them a third of the slots is gone, and by default all service."""

    def __init__(self, directory: Path) -> None:
        self.nodes: list[Node] = []
        try:
            for number in range(3):
                bus = (
                    "--cluster-enabled",
                    "yes",
                    "--cluster-node-timeout",
                    "1000",
                    "--cluster-port",
                    str(_free_port()),
                )
                self.nodes.append(Node(directory / f"node-{number}", *bus))
                self.nodes[-1].start()
            self._join()
        except BaseException:
            self.stop()
            raise
        # Some are named, the others are found out.
        self.uri = f"redis+cluster://{self.nodes[0].place},{self.nodes[1].place}"

    def _join(self) -> None:
        first, *others = self.nodes
        bounds = [_SLOTS * number // len(self.nodes) for number in range(len(self.nodes) + 1)]
        for node, start, end in zip(self.nodes, bounds, bounds[1:], strict=False):
            node.ask("CLUSTER", "ADDSLOTSRANGE", start, end - 1)
        for epoch, node in enumerate(self.nodes, 1):
            node.ask("CLUSTER", "SET-CONFIG-EPOCH", epoch)
        for node in others:
            bus = node.ask("CONFIG GET", "cluster-port")["cluster-port"]
            first.ask("CLUSTER", "MEET", _HOST, node.port, bus)
        self.wait_until_whole()

    def wait_until_whole(self) -> None:
        wait_until(self._is_whole, what="the Cluster is whole")

    def _is_whole(self) -> bool:
        told = [node.ask("CLUSTER INFO") for node in self.nodes]
        return all(one["cluster_state"] == "ok" and int(one["cluster_known_nodes"]) == len(self.nodes) for one in told)

    def owner(self, key: str) -> Node:
        slot = self.nodes[0].ask("CLUSTER", "KEYSLOT", key)
        return next(node for node in self.nodes if node.serves(slot))

    @contextmanager
    def without(self, node: Node) -> Generator[None]:
        """Kill a node; when the block ends, it is there again and all is well."""
        node.kill()
        try:
            yield
        finally:
            node.start()
            self.wait_until_whole()

    @contextmanager
    def moving(self, key: str) -> Generator[None]:
        """Move the slot of a key to another node; in the block the keys are there already, the slot is not."""
        slot, source = self.nodes[0].ask("CLUSTER", "KEYSLOT", key), self.owner(key)
        target = next(node for node in self.nodes if node is not source)
        names = {node: node.ask("CLUSTER", "MYID") for node in self.nodes}
        target.ask("CLUSTER", "SETSLOT", slot, "IMPORTING", names[source])
        source.ask("CLUSTER", "SETSLOT", slot, "MIGRATING", names[target])
        keys = source.ask("CLUSTER", "GETKEYSINSLOT", slot, 100)
        source.ask("MIGRATE", _HOST, target.port, "", 0, 5000, "KEYS", *keys)
        yield
        for node in (target, source):
            node.ask("CLUSTER", "SETSLOT", slot, "NODE", names[target])

    def stop(self) -> None:
        for node in self.nodes:
            node.kill()


class WatchedPair:
    """A primary, its replica, and a Sentinel that promotes the replica when the primary is gone."""

    def __init__(self, directory: Path) -> None:
        self.primary = Node(directory / "primary", "--repl-diskless-sync-delay", "0")
        self.replica = Node(directory / "replica", "--replicaof", _HOST, str(self.primary.port))
        # Written to by the Sentinel itself.
        settings = directory / "sentinel.conf"
        settings.write_text(
            f"sentinel monitor main {_HOST} {self.primary.port} 1\n"
            "sentinel down-after-milliseconds main 500\n"
            "sentinel failover-timeout main 2000\n"
        )
        self.sentinel = Node(directory / "sentinel", "--sentinel", settings=settings)
        self.uri = f"redis+sentinel://{self.sentinel.place}/main"
        try:
            for node in (self.primary, self.replica, self.sentinel):
                node.start()
            wait_until(self._is_watched, what="the Sentinel knows the replica")
        except BaseException:
            self.stop()
            raise

    def _is_watched(self) -> bool:
        replicas = self.sentinel.ask("SENTINEL REPLICAS", "main")
        return bool(replicas) and self.replica.ask("INFO", "replication")["master_link_status"] == "up"

    def stop(self) -> None:
        for node in (self.sentinel, self.replica, self.primary):
            node.kill()


def client_of(uri: str) -> Any:
    """A plain client for what a URI of LGNB_REDIS_URI leads to."""
    address = parse(uri)
    if address.kind == "cluster":
        return RedisCluster.from_url(address.server_uris[0])
    return redis.Redis.from_url(uri)


@contextmanager
def servers_of(uri: str) -> Generator[list[redis.Redis]]:
    """A plain client for each server that holds data."""
    with client_of(uri) as client:
        nodes = client.get_primaries() if isinstance(client, RedisCluster) else []
        yield [client.get_redis_connection(node) for node in nodes] or [client]


def wait_until(condition: Callable[[], bool], *, what: str, seconds: float = 20.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"{what}: not within {seconds:g} s"
        time.sleep(0.02)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((_HOST, 0))
        return probe.getsockname()[1]
