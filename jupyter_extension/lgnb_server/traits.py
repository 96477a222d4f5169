"""The settings as traits: `c.Lgnb.workers = 2` in a Jupyter config file, `--Lgnb.workers=2` on its command line."""

from __future__ import annotations

from dataclasses import fields
from typing import Any as Anything

from traitlets import Any
from traitlets.config import Configurable

from lgnb.settings import Settings

# `config` is what every Configurable calls its own configuration.
_RENAMED = {"config": "langgraph_json"}


def _traits() -> dict[str, Anything]:
    traits: dict[str, Anything] = {}
    for spec in fields(Settings):
        about = f"{spec.metadata['help']} Also LGNB_{spec.name.upper()} in the environment."
        # Settings checks the values, and says in one sentence what is wrong; a typed trait would say it in a traceback.
        traits[_RENAMED.get(spec.name, spec.name)] = Any(None, help=about).tag(config=True)
    return traits


class SettingsTraits(Configurable):
    """One trait per setting; None means that nobody has set it here."""

    def overrides(self) -> dict[str, Anything]:
        """What was set, by the names of Settings."""
        return {
            spec.name: value
            for spec in fields(Settings)
            if (value := getattr(self, _RENAMED.get(spec.name, spec.name))) is not None
        }


Lgnb = type("Lgnb", (SettingsTraits,), {"__doc__": "Settings of lgnb.", "__module__": __name__, **_traits()})


def trait_config(overrides: dict[str, Anything]) -> dict[str, Anything]:
    """The Jupyter configuration that sets these fields of Settings."""
    return {"Lgnb": {_RENAMED.get(name, name): value for name, value in overrides.items()}}
