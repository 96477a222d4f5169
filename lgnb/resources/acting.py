"""What all resources share that a caller can reach: they act in the name of somebody, with that caller's rights."""

from __future__ import annotations

import copy
from typing import Any, Self

from ..models.access import UNRESTRICTED, Access
from ..models.identity import Caller


class Acting:
    """Acts with every right, for the server itself, until `acting_for` gives one that acts for a caller.

    A method of a subclass asks `self._access` before it does anything, and hands the condition it gets to the
    statement that reads or writes. So a face cannot forget whom it acts for.
    """

    _access: Access = UNRESTRICTED

    def acting_for(self, access: Access) -> Self:
        """The same, acting with these rights; so do the other resources that it uses."""
        acting = copy.copy(self)
        acting._access = access
        for name, value in vars(self).items():
            if isinstance(value, Acting):
                setattr(acting, name, value.acting_for(access))
        return acting

    @property
    def _caller(self) -> Caller | None:
        return self._access.caller


def metadata_of(value: dict[str, Any]) -> dict[str, Any]:
    """The metadata that a question came back with."""
    return dict(value.get("metadata") or {})
