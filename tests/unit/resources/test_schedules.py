"""When schedules are due: grammar, time zones, and both changes of summer time."""

from __future__ import annotations

from contextlib import nullcontext
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest

from lgnb.errors import InvalidRequest
from lgnb.resources.schedules import Schedule


def _at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def _next(schedule: str, after: str, timezone: str | None = None, count: int = 1) -> list[str]:
    made = Schedule(schedule, timezone)
    moment, found = _at(after), list[str]()
    for _ in range(count):
        due = made.after(moment)
        assert due is not None
        assert due > moment
        moment = due
        found.append(due.strftime("%Y-%m-%dT%H:%M:%S"))
    return found


@pytest.mark.parametrize(
    ("schedule", "due"),
    [
        ("* * * * *", "2026-03-04T10:31:00"),
        ("*/15 * * * *", "2026-03-04T10:45:00"),
        ("0 9 * * mon", "2026-03-09T09:00:00"),
        ("0 9 * * MON-FRI", "2026-03-05T09:00:00"),
        ("0 0 1 jan *", "2027-01-01T00:00:00"),
        ("0 12 L * *", "2026-03-31T12:00:00"),
        ("0 12 * * 5#2", "2026-03-13T12:00:00"),
        ("0 12 * * L5", "2026-03-27T12:00:00"),
        ("0 12 ? * *", "2026-03-04T12:00:00"),
        ("0 22-2 * * *", "2026-03-04T22:00:00"),
        ("0 0 * * sat-sun", "2026-03-07T00:00:00"),
        ("30 10 * * * *", "2026-03-04T10:30:21"),
        ("30 10 * * * 15", "2026-03-05T10:30:15"),
        ("* * * * * *", "2026-03-04T10:30:21"),
        ("* * * * * */30", "2026-03-04T10:30:30"),
        ("@hourly", "2026-03-04T11:00:00"),
        ("@daily", "2026-03-05T00:00:00"),
        ("@weekly", "2026-03-08T00:00:00"),
        ("@monthly", "2026-04-01T00:00:00"),
        ("@yearly", "2027-01-01T00:00:00"),
    ],
)
def test_the_whole_grammar_is_understood(schedule: str, due: str) -> None:
    assert _next(schedule, "2026-03-04T10:30:20") == [due]


@pytest.mark.parametrize(
    "schedule",
    [
        "",
        "* * * *",
        "* * * * * * *",
        "H * * * *",
        "60 * * * *",
        "* 24 * * *",
        "* * * * 8",
        "* * * * * 60",
        "@never",
        "*/0 * * * *",
        "0 0 30 2 *",
        "5#2 * * * *",
        "a b c d e",
        "0 22-2/3 * * *",
        "* " * 1000,
    ],
)
def test_what_cannot_be_read_or_never_comes_is_refused(schedule: str) -> None:
    with pytest.raises(InvalidRequest):
        Schedule(schedule, None)


@pytest.mark.parametrize(
    ("schedule", "least_seconds", "is_allowed"),
    [
        ("* * * * * *", 1, True),
        ("* * * * * *", 2, False),
        ("* * * * * */30", 30, True),
        ("* * * * *", 60, True),
        ("* * * * *", 61, False),
        ("*/5 * * * *", 300, True),
        # The last minute of one hour and the first of the next.
        ("0,59 3,4 * * *", 300, False),
        ("0,59 3 * * *", 300, True),
        ("0 0 1 1 *", 86400, True),
        ("0,1 0 1 1 *", 86400, False),
    ],
)
def test_the_shortest_pause_of_a_schedule_decides(schedule: str, least_seconds: float, is_allowed: bool) -> None:
    with nullcontext() if is_allowed else pytest.raises(InvalidRequest, match="at most"):
        Schedule(schedule, None).check_pause(least_seconds)


@pytest.mark.parametrize("timezone", ["Mars/Olympus", "../../etc/passwd", "", "Europe", "a\0b"])
def test_an_unknown_time_zone_is_refused(timezone: str) -> None:
    with pytest.raises(InvalidRequest):
        Schedule("* * * * *", timezone)


def test_a_schedule_follows_the_clock_of_its_zone() -> None:
    assert _next("0 9 * * MON", "2026-01-06T00:00:00", "America/New_York") == ["2026-01-12T14:00:00"]
    assert _next("0 9 * * MON", "2026-07-07T00:00:00", "America/New_York") == ["2026-07-13T13:00:00"]


def test_a_time_that_spring_skips_is_due_once_right_after_the_gap() -> None:
    # Berlin, 2026-03-29: 02:00 becomes 03:00, which is 01:00 UTC.
    assert _next("30 2 * * *", "2026-03-28T12:00:00", "Europe/Berlin", 2) == [
        "2026-03-29T01:00:00",
        "2026-03-30T00:30:00",
    ]


def test_a_time_that_autumn_repeats_is_due_once_the_first_time() -> None:
    # Berlin, 2026-10-25: 03:00 becomes 02:00 at 01:00 UTC.
    assert _next("30 2 * * *", "2026-10-24T12:00:00", "Europe/Berlin", 2) == [
        "2026-10-25T00:30:00",
        "2026-10-26T01:30:00",
    ]


def test_a_look_during_the_repeated_hour_does_not_find_what_is_over() -> None:
    assert _next("30 2 * * *", "2026-10-25T01:10:00", "Europe/Berlin") == ["2026-10-26T01:30:00"]


@pytest.mark.parametrize("day", ["2026-03-29", "2026-10-25"])
@pytest.mark.parametrize(("schedule", "period"), [("0 * * * *", 3600), ("*/10 * * * *", 600), ("* * * * * 0", 60)])
def test_what_is_due_every_hour_or_minute_goes_on_through_both_changes(day: str, schedule: str, period: int) -> None:
    found = [_at(text) for text in _next(schedule, f"{day}T00:00:00", "Europe/Berlin", 4 * 3600 // period)]

    steps = {later - earlier for earlier, later in pairwise(found)}
    assert steps == {timedelta(seconds=period)}


def test_seconds_live_through_summer_time_like_minutes() -> None:
    assert _next("30 2 * * * 15", "2026-03-28T12:00:00", "Europe/Berlin", 2) == [
        "2026-03-29T01:00:15",
        "2026-03-30T00:30:15",
    ]
    assert _next("30 2 * * * 15", "2026-10-24T12:00:00", "Europe/Berlin", 2) == [
        "2026-10-25T00:30:15",
        "2026-10-26T01:30:15",
    ]


def test_two_times_that_fall_together_after_the_gap_are_due_once() -> None:
    assert _next("0,30 2,3 * * *", "2026-03-29T00:00:00", "Europe/Berlin", 2) == [
        "2026-03-29T01:00:00",
        "2026-03-29T01:30:00",
    ]
