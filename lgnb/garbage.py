"""Python's garbage collector, in processes that load much at their start and then answer many small requests."""

from __future__ import annotations

import gc


def spare_collector() -> None:
    """Have the collector never again look at what is there now: modules and graphs, which stay.

    To look through all of it stops a process for a tenth of a second, every second or so under load.
    """
    gc.collect()
    gc.freeze()
