"""The command `lgnb` with a clock that goes wrong by some seconds.

python skewed.py 3600 worker …
"""

from __future__ import annotations

import datetime
import sys
import time

_OFFSET = float(sys.argv.pop(1))
_time, _time_ns = time.time, time.time_ns
time.time = lambda: _time() + _OFFSET
time.time_ns = lambda: _time_ns() + int(_OFFSET * 1e9)


class _Skewed(datetime.datetime):
    @classmethod
    def now(cls, tz: datetime.tzinfo | None = None) -> datetime.datetime:
        return super().now(tz) + datetime.timedelta(seconds=_OFFSET)


datetime.datetime = _Skewed

if __name__ == "__main__":
    from lgnb.cli import main

    sys.exit(main())
