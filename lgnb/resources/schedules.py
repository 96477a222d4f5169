"""When a cron is due: the grammar of its schedule, time zones, and clocks that change for summer time.

Five fields (minute, hour, day, month, weekday), a sixth for seconds, or an alias such as `@daily`. A time that the
change to summer time skips is due right after the gap; one that comes twice in autumn is due the first time. What
is due every hour or every minute goes on through both changes.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta, tzinfo
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError

from ..errors import InvalidRequest

_ALIASES = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
}
_DAY, _MONTH, _WEEKDAY, _SECOND = 2, 3, 4, 5
_BOUNDS = ((0, 59), (0, 23), (1, 31), (1, 12), (0, 6), (0, 59))
_NAMES: dict[int, Sequence[str]] = {
    _MONTH: "jan feb mar apr may jun jul aug sep oct nov dec".split(),
    _WEEKDAY: "sun mon tue wed thu fri sat".split(),
}
_RANGE = re.compile(r"(\w+)-(\w+)")
_LONGEST = 512
# How many times of a schedule are looked at to find its shortest pause: more than the minutes of a day do not differ.
_LOOKED_AT = 1500
_REFERENCE = datetime(2024, 1, 1, tzinfo=UTC)


class Schedule:
    """A schedule in a time zone.

    Raises:
        InvalidRequest: the schedule cannot be read or never comes, or there is no such time zone.
    """

    def __init__(self, text: str, timezone: str | None) -> None:
        self._text = text
        self._zone = _zone(timezone)
        fields = _ALIASES.get(text.strip().lower(), text).split() if len(text) <= _LONGEST else []
        if len(fields) not in (5, 6):
            raise self._wrong("it must have five fields, six with seconds at the end, or be an alias such as @daily")
        fields = [_plain(field, place) for place, field in enumerate(fields)]
        self._minutely = " ".join(fields[:5])
        second = fields[_SECOND] if len(fields) == 6 else "0"
        try:
            parsed = CronSim(f"{second} {self._minutely}", datetime.now(UTC))
        except CronSimError as error:
            raise self._wrong(str(error)) from None
        self._seconds = sorted(parsed.seconds)
        if self.after(datetime.now(UTC)) is None:
            raise self._wrong("there is no such day")

    def after(self, moment: datetime) -> datetime | None:
        """The first time after `moment`, in UTC; None when there is none in the next fifty years."""
        # Minutes and seconds apart, so that a schedule with seconds lives through summer time like one without.
        start = (moment.astimezone(UTC) - timedelta(minutes=1)).astimezone(self._zone).replace(second=0, microsecond=0)
        for minute in CronSim(self._minutely, start):
            for second in self._seconds:
                due = minute.astimezone(UTC) + timedelta(seconds=second)
                # In the hour that comes twice, the clock on the wall may show a time that is over.
                if due > moment:
                    return due
        return None

    def check_pause(self, least_seconds: float) -> None:
        """Refuse a schedule of which two times lie closer together than this.

        Raises:
            InvalidRequest: as it says.
        """
        if least_seconds <= 1:
            return  # nothing comes more often than every second
        last, passed = None, 0
        while passed < _LOOKED_AT and (due := self.after(last or _REFERENCE)) is not None:
            if last is not None and (due - last).total_seconds() < least_seconds:
                raise self._wrong(f"this server allows a run every {least_seconds:g} seconds at most")
            last, passed = due, passed + 1

    def _wrong(self, why: str) -> InvalidRequest:
        return InvalidRequest(f"The schedule {self._text[:64]!r} cannot be used: {why}.")


def _zone(name: str | None) -> tzinfo:
    if name is None:
        return UTC
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):  # no such zone; no such name for a file; a directory
        raise InvalidRequest(f"There is no time zone {name[:64]!r}; use an IANA name such as Europe/Berlin.") from None


def _plain(field: str, place: int) -> str:
    """A field in the words that the library knows too."""
    if field == "?" and place in (_DAY, _WEEKDAY):
        return "*"
    return ",".join(_plain_part(part, place) for part in field.split(","))


def _plain_part(part: str, place: int) -> str:
    if place == _WEEKDAY and (last := re.fullmatch(r"[Ll]([0-7])", part)):
        return f"{last[1]}L"
    found = _RANGE.fullmatch(part)
    if found is None:
        return part
    start, end = _number(found[1], place), _number(found[2], place)
    least, most = _BOUNDS[place]
    if start is None or end is None or not least <= end < start <= most:
        return part
    # A range over the end, such as fri-mon or 22-4.
    return ",".join(map(str, [*range(start, most + 1), *range(least, end + 1)]))


def _number(text: str, place: int) -> int | None:
    names: Sequence[str] = _NAMES.get(place, [])
    if text.lower() in names:
        return names.index(text.lower()) + _BOUNDS[place][0]
    return int(text) if text.isascii() and text.isdigit() and len(text) < 4 else None
