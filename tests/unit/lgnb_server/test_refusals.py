from __future__ import annotations

import pytest
from lgnb_server.refusals import refusal
from tornado.web import HTTPError

from lgnb import errors


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (errors.InvalidRequest("x"), 422),
        (errors.InvalidState("x"), 400),
        (errors.SuperstepsFailed("x"), 201),
        (errors.ThreadNotFound("x"), 404),
        (errors.RunConflict("x"), 409),
        (errors.AlreadyExists("x"), 409),
        (errors.GraphLoadError("agent", "x"), 424),
        (errors.WorkerUnavailable("x"), 503),
        (errors.LeaseLost("run", 1), 500),
        (ValueError("password=hunter2"), 500),
        (HTTPError(404, "a path"), 404),
        (HTTPError(413, "100%% full"), 413),
        (None, 400),
    ],
)
def test_each_error_has_one_status(error: BaseException | None, status: int) -> None:
    told = refusal(error, status=400, request_id="id-1")

    assert told.status == status
    assert told.detail
    assert told.body == {"detail": told.detail, "message": told.detail}
    assert "hunter2" not in told.detail
    assert ("id-1" in told.detail) == (status == 500)


def test_what_may_work_later_says_when_to_come_back() -> None:
    assert refusal(errors.QueueUnavailable("x"), status=500, request_id="").headers == {"Retry-After": "1"}
    assert refusal(errors.InvalidRequest("x"), status=500, request_id="").headers == {}


def test_missing_credentials_say_which_are_wanted() -> None:
    assert refusal(HTTPError(401, "x"), status=401, request_id="").headers == {"WWW-Authenticate": "Bearer"}


def test_a_message_with_a_percent_sign_stays_as_it_is() -> None:
    assert refusal(HTTPError(422, "limit is 100% wrong"), status=422, request_id="").detail == "limit is 100% wrong"
