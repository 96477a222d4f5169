"""The files of the views, by their digest."""

from __future__ import annotations

from lgnb.widgets import assets


def test_the_loader_and_the_page_name_the_digest_of_the_files() -> None:
    assert len(assets.digest()) == 16
    assert f'DIGEST = "{assets.digest()}"' in assets.loader()
    assert f"static/{assets.digest()}/page.js" in assets.page()
    assert "__DIGEST__" not in assets.loader() + assets.page()


def test_only_what_a_browser_needs_is_served() -> None:
    names = set(assets.files())

    assert {"cell.js", "page.js", "lgnb.css", "icon.svg"} <= names
    assert not {"loader.js", "studio.html", "package.json"} & names


def test_a_widget_carries_little_into_the_notebook() -> None:
    assert len(assets.loader()) < 5000
