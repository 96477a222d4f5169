"""The settings as traits: `c.Lgnb.workers = 2` in a Jupyter config file, `--Lgnb.workers=2` on its command line."""

from __future__ import annotations

from dataclasses import fields
from typing import Any, get_type_hints

from traitlets import Float, Int, TraitType, Unicode
from traitlets.config import Configurable

from lgnb.settings import Settings

# `config` is what every Configurable calls its own configuration.
_RENAMED = {"config": "langgraph_json"}
_KINDS: dict[Any, type[TraitType[Any, Any]]] = {int: Int, float: Float}


def _traits() -> dict[str, TraitType[Any, Any]]:
    hints = get_type_hints(Settings)
    traits: dict[str, TraitType[Any, Any]] = {}
    for spec in fields(Settings):
        kind: Any = _KINDS.get(hints[spec.name], Unicode)
        about = f"{spec.metadata['help']} Also LGNB_{spec.name.upper()} in the environment."
        traits[_RENAMED.get(spec.name, spec.name)] = kind(None, allow_none=True, help=about).tag(config=True)
    return traits


class SettingsTraits(Configurable):
    """One trait per setting; None means that nobody has set it here."""

    def overrides(self) -> dict[str, Any]:
        """What was set, by the names of Settings."""
        return {
            spec.name: value
            for spec in fields(Settings)
            if (value := getattr(self, _RENAMED.get(spec.name, spec.name))) is not None
        }


Lgnb = type("Lgnb", (SettingsTraits,), {"__doc__": "Settings of lgnb.", "__module__": __name__, **_traits()})


def trait_config(overrides: dict[str, Any]) -> dict[str, Any]:
    """The Jupyter configuration that sets these fields of Settings."""
    return {"Lgnb": {_RENAMED.get(name, name): value for name, value in overrides.items()}}
