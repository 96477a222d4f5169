from __future__ import annotations

import pytest
from lgnb_server.accepting import accepts


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("", True),
        ("*/*", True),
        ("application/json", True),
        ("text/html, Application/JSON;q=0.9", True),
        ("application/*", True),
        ("text/event-stream", False),
        ("text/html", False),
        ("application/jsonp", False),
    ],
)
def test_a_header_allows_a_type_or_not(header: str, expected: bool) -> None:
    assert accepts(header, "application/json") is expected


def test_one_of_several_types_is_enough() -> None:
    assert accepts("text/event-stream", "application/json", "text/event-stream")
