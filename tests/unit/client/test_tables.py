"""Tables: text, Markdown, HTML, DataFrame."""

from __future__ import annotations

import sys

import pytest

from lgnb.client.tables import Table


def _table(*records: dict[str, str]) -> Table:
    columns = [("#", lambda n, _: str(n)), ("name", lambda _, row: row["name"])]
    return Table(records, columns=columns, title="things", empty="no things")


def test_columns_are_aligned() -> None:
    assert repr(_table({"name": "a"}, {"name": "long"})) == "things\n#  name\n0  a\n1  long"


def test_html_is_escaped_and_markdown_keeps_its_bars() -> None:
    forms = _table({"name": "<a>|b"}).bundle()

    assert "&lt;a&gt;|b" in forms["text/html"]
    assert r"<a>\|b" in forms["text/markdown"]


def test_an_empty_table_is_a_sentence() -> None:
    assert repr(_table()) == "things\nno things"


def test_it_is_a_sequence_of_records() -> None:
    table = _table({"name": "a"}, {"name": "b"})

    assert len(table) == 2
    assert table[-1]["name"] == "b"
    assert [row["name"] for row in table] == ["a", "b"]


def test_it_becomes_a_data_frame() -> None:
    pytest.importorskip("pandas")

    frame = _table({"name": "a", "more": "x"}).to_frame()

    assert list(frame.columns) == ["name", "more"]


def test_times_of_the_server_become_timestamps_and_rows_may_be_flattened() -> None:
    pytest.importorskip("pandas")
    rows = [{"at": "2026-11-27T23:20:01.5+00:00", "text": "2026 was a year"}, {"more": 1}]
    table = Table([{"nested": {}}], columns=[], frame=lambda: rows)

    frame = table.to_frame()

    assert str(frame["at"].dtype).startswith("datetime64")
    assert list(frame.columns) == ["at", "text", "more"]
    assert frame["text"][0] == "2026 was a year"


def test_without_pandas_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pandas", None)

    with pytest.raises(ImportError, match="pip install pandas"):
        _table({"name": "a"}).to_frame()
