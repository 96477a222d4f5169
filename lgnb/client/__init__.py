"""The kernel's side: find the host, speak HTTP to it through langgraph_sdk, follow runs.

`lgnb.client()` gives a ready SDK client. Since importing a submodule binds this package to the same name on `lgnb`,
the package itself is callable.
"""

from __future__ import annotations

import sys
from types import ModuleType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from langgraph_sdk.client import LangGraphClient


class _CallablePackage(ModuleType):
    def __call__(self) -> LangGraphClient:
        """A new `langgraph_sdk` client of this kernel's server, for the event loop that uses it first.

        Raises:
            ConnectError: no server could be found or started.
        """
        from .connection import new_client
        from .session import current_session

        return new_client(current_session().connection().server)


sys.modules[__name__].__class__ = _CallablePackage
