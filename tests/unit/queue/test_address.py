"""What LGNB_REDIS_URI may say, and that a mistake in it is told without its password."""

from __future__ import annotations

import pytest

from lgnb.errors import SettingsError
from lgnb.queue.address import Address, parse


@pytest.mark.parametrize(
    "uri", ["redis://:pw@host:1/2", "rediss://host?ssl_cert_reqs=none", "unix:///run/redis.sock?db=1"]
)
def test_one_server_is_named_as_redis_py_wants_it(uri: str) -> None:
    assert parse(uri) == Address(kind="standalone", server_uris=(uri,), data_uri=uri)


def test_nodes_of_a_cluster_share_user_password_and_options() -> None:
    address = parse("rediss+cluster://me:p%40w@one,two:7000,[::1]:7001/0?ssl_cert_reqs=none")

    assert address.kind == "cluster"
    assert address.server_uris == (
        "rediss://me:p%40w@one:6379?ssl_cert_reqs=none",
        "rediss://me:p%40w@two:7000?ssl_cert_reqs=none",
        "rediss://me:p%40w@[::1]:7001?ssl_cert_reqs=none",
    )
    assert address.at("10.0.0.1", 5) == "rediss://me:p%40w@10.0.0.1:5?ssl_cert_reqs=none"
    assert address.at("fe80::1", 5) == "rediss://me:p%40w@[fe80::1]:5?ssl_cert_reqs=none"


def test_sentinels_have_a_password_of_their_own() -> None:
    address = parse("redis+sentinel://:secret@one,two:5/main/3?sentinel_password=oth%2Fer")

    assert (address.kind, address.primary) == ("sentinel", "main")
    assert address.server_uris == ("redis://:oth%2Fer@one:26379", "redis://:oth%2Fer@two:5")
    assert address.at("10.0.0.1", 6379) == "redis://:secret@10.0.0.1:6379/3"


@pytest.mark.parametrize(
    ("uri", "example"),
    [
        ("redis://:hunter2/4@host:1", "redis://host:6379/0"),
        ("redis+cluster://", "redis+cluster://node-1"),
        ("redis+cluster://:hunter2@one,", "redis+cluster://node-1"),
        ("redis+cluster://:hunter2@one:x", "redis+cluster://node-1"),
        ("redis+cluster://:hunter2@one/1", "redis+cluster://node-1"),
        ("redis+sentinel://:hunter2@one", "name-of-the-primary"),
        ("redis+sentinel://:hunter2@one/", "name-of-the-primary"),
    ],
)
def test_a_mistake_is_told_with_an_example_and_without_the_password(uri: str, example: str) -> None:
    with pytest.raises(SettingsError) as refused:
        parse(uri)

    assert example in str(refused.value)
    assert "hunter2" not in str(refused.value)
