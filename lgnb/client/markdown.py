"""Markdown of a model to HTML that is safe in a notebook: tags are escaped, links checked, nothing is fetched."""

from __future__ import annotations

import functools
from typing import Any

import mistune


@functools.lru_cache(maxsize=256)
def html_of(text: str) -> str:
    """The HTML of a Markdown text. Tags in the text appear as text; images become links, so nothing is ever fetched."""
    rendered: Any = _markdown()(text)
    return str(rendered).strip()


class _Renderer(mistune.HTMLRenderer):
    def __init__(self) -> None:
        super().__init__(escape=True, allow_harmful_protocols=False)

    def image(self, text: str, url: str, title: str | None = None) -> str:
        return self.link(text or url, url, title)


@functools.cache
def _markdown() -> mistune.Markdown:
    return mistune.create_markdown(renderer=_Renderer(), plugins=["table", "strikethrough"])
