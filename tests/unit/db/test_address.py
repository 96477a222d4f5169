from __future__ import annotations

import pytest

from lgnb.db.address import connection_arguments


@pytest.mark.parametrize(
    "uri", ["postgresql://a:p%40ss@h/db", "postgresql://h/db?sslmode=require", "postgresql://u@/db?host=%2Ftmp%2Fx"]
)
def test_a_usual_uri_is_left_alone(uri: str) -> None:
    assert connection_arguments(uri) == (uri, {"options": "-c timezone=UTC"})


def test_behind_pgbouncer_nothing_is_prepared_and_no_options_are_sent() -> None:
    uri, arguments = connection_arguments("postgresql://a:p%40ss@h:6432/db?pgbouncer=true&sslmode=require")

    assert uri == "postgresql://a:p%40ss@h:6432/db?sslmode=require"
    assert arguments == {"prepare_threshold": None}
    assert connection_arguments("postgresql://h/db?pgbouncer=false") == (
        "postgresql://h/db",
        {"options": "-c timezone=UTC"},
    )
