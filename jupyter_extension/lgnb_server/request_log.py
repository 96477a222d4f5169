"""Jupyter's log of requests, without the lines that it writes for nobody.

It makes a line of every success and gives it to the debug log, which by default shows it nowhere. To make that line
costs more than all else that Jupyter does at the end of a request.
"""

from __future__ import annotations

import logging
from functools import partial

from jupyter_server.base.handlers import JupyterHandler
from jupyter_server.log import log_request
from jupyter_server.prometheus.log_functions import prometheus_log_method


def counted_only(handler: JupyterHandler) -> bool:
    """Count a success in Jupyter's metrics, where that is all that its log would do; false where it would do more."""
    function = handler.settings.get("log_function")
    keywords = function.keywords if isinstance(function, partial) else {}
    is_jupyters = (function.func if isinstance(function, partial) else function) is log_request
    if not is_jupyters or handler.get_status() >= 300 or _is_heard(handler.log, logging.DEBUG):
        return False
    if keywords.get("record_prometheus_metrics", True):
        prometheus_log_method(handler)
    return True


def _is_heard(log: logging.Logger, level: int) -> bool:
    """Whether anybody takes what this logger is given: it may let pass what none of its handlers shows."""
    if not log.isEnabledFor(level):
        return False
    logger: logging.Logger | None = log
    while logger is not None:
        if any(handler.level <= level for handler in logger.handlers):
            return True
        logger = logger.parent if logger.propagate else None
    return False
