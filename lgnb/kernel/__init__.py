"""A live notebook as a worker: executes runs of the graphs it serves, over one WebSocket to its host.

Everything loads on first use; importing this package loads no graph library.
"""

from __future__ import annotations
