"""What a request leaves in Jupyter's log and metrics."""

from __future__ import annotations

import logging
from functools import partial
from types import SimpleNamespace
from typing import Any, cast

import pytest
from jupyter_server.log import log_request
from lgnb_server import request_log


class Handler:
    """A request that has been answered, as far as its log is concerned."""

    def __init__(self, *, status: int = 200, shows: int | None = logging.INFO, function: Any = log_request) -> None:
        self.settings = {"log_function": function}
        self.log = logging.Logger("jupyter", logging.DEBUG)
        if shows is not None:
            shown = logging.NullHandler()
            shown.setLevel(shows)
            self.log.addHandler(shown)
        self._status = status

    def get_status(self) -> int:
        return self._status


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    seen: list[Any] = []
    monkeypatch.setattr(request_log, "prometheus_log_method", seen.append)
    return seen


def counted_only(handler: Handler) -> bool:
    return request_log.counted_only(cast(Any, handler))


@pytest.mark.parametrize("function", [log_request, partial(log_request, record_prometheus_metrics=True)])
def test_a_success_that_no_log_shows_is_counted_and_no_more(counted: list[Any], function: Any) -> None:
    handler = Handler(function=function)

    assert counted_only(handler)
    assert counted == [handler]


def test_it_is_not_counted_where_the_operator_wants_no_such_metric(counted: list[Any]) -> None:
    assert counted_only(Handler(function=partial(log_request, record_prometheus_metrics=False)))
    assert counted == []


@pytest.mark.parametrize(
    "handler",
    [
        Handler(status=302),
        Handler(status=404),
        Handler(shows=logging.DEBUG),
        Handler(function=lambda handler: None),
        Handler(function=None),
    ],
    ids=["redirect", "refusal", "debug log", "log of the operator", "none of Jupyter's"],
)
def test_everything_else_is_left_to_the_log(counted: list[Any], handler: Handler) -> None:
    assert not counted_only(handler)
    assert counted == []


def test_a_handler_of_a_parent_may_show_it(counted: list[Any]) -> None:
    handler = Handler(shows=None)
    handler.log.parent = cast(Any, SimpleNamespace(handlers=[logging.NullHandler()], propagate=True, parent=None))

    assert not counted_only(handler)
