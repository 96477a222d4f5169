"""The fixtures of this tier give each test a migrated database and a Redis prefix of its own."""

from __future__ import annotations

import psycopg
import redis


def test_a_database_of_a_test_is_migrated_and_empty(database_uri: str) -> None:
    with psycopg.connect(database_uri) as connection:
        migrations = connection.execute("SELECT count(*) FROM lgnb_migrations").fetchone()
        threads = connection.execute("SELECT count(*) FROM threads").fetchone()

        # The next test, whichever it is, must not see this one.
        connection.execute("INSERT INTO threads (thread_id) VALUES (gen_random_uuid())")

    assert migrations is not None
    assert migrations[0] >= 1
    assert threads == (0,)


def test_a_second_database_knows_nothing_of_the_first(database_uri: str) -> None:
    test_a_database_of_a_test_is_migrated_and_empty(database_uri)


def test_keys_under_a_prefix_are_found_by_it(redis_uri: str, redis_prefix: str) -> None:
    with redis.Redis.from_url(redis_uri, decode_responses=True) as connection:
        connection.set(f"{redis_prefix}:key", "value", ex=60)

        assert list(connection.scan_iter(f"{redis_prefix}*")) == [f"{redis_prefix}:key"]
