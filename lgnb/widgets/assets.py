"""The files of the views: read once, named by a digest of all of them, served by the host and sent by kernels."""

from __future__ import annotations

import functools
import hashlib
from pathlib import Path

STATIC = Path(__file__).with_name("static")
_SERVED = (".js", ".css", ".svg")
_LOADER = "loader.js"
_DIGEST_PLACE = "__DIGEST__"


@functools.cache
def files() -> dict[str, str]:
    """Every file that a browser may ask for, by its name."""
    paths = sorted(path for path in STATIC.iterdir() if path.suffix in _SERVED and path.name != _LOADER)
    return {path.name: path.read_text(encoding="utf-8") for path in paths}


@functools.cache
def digest() -> str:
    """Changes whenever a file does."""
    whole = hashlib.sha256()
    for name, text in files().items():
        whole.update(f"{name}\0{text}\0".encode())
    return whole.hexdigest()[:16]


@functools.cache
def loader() -> str:
    """The small module that travels in each widget and fetches the rest."""
    return (STATIC / _LOADER).read_text(encoding="utf-8").replace(_DIGEST_PLACE, digest())


@functools.cache
def page() -> str:
    """The studio's page."""
    return (STATIC / "studio.html").read_text(encoding="utf-8").replace(_DIGEST_PLACE, digest())
