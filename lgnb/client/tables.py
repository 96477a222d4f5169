"""A small table of records that shows itself well and turns into a DataFrame."""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, overload

Record = Mapping[str, Any]
Column = tuple[str, Callable[[int, Record], str]]

_MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d")


class Table(Sequence[Record]):
    """A sequence of records (as the server sent them) with the columns a person reads.

    Args:
        columns: title and a function from (row number, record) to the cell's text.
        empty: the sentence shown when there is no record.
        frame: the flat rows of `to_frame()`, where they are not the records themselves; asked for only then.
    """

    def __init__(
        self,
        records: Sequence[Record],
        *,
        columns: Sequence[Column],
        title: str = "",
        empty: str = "",
        frame: Callable[[], Sequence[Record]] | None = None,
    ) -> None:
        self.records = list(records)
        self.title = title
        self.empty = empty or "nothing"
        self._columns = list(columns)
        self._frame = frame

    @overload
    def __getitem__(self, index: int) -> Record: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Record]: ...
    def __getitem__(self, index: int | slice) -> Record | Sequence[Record]:
        return self.records[index]

    def __len__(self) -> int:
        return len(self.records)

    def __iter__(self) -> Iterator[Record]:
        return iter(self.records)

    @property
    def cells(self) -> list[list[str]]:
        """The texts of the table, row by row."""
        return [[show(number, record) for _, show in self._columns] for number, record in enumerate(self.records)]

    def to_frame(self) -> Any:
        """A pandas DataFrame with one row per record and one column per field; times are timestamps.

        Raises:
            ImportError: pandas is not installed.
        """
        return frame_of(self.records if self._frame is None else self._frame())

    def __repr__(self) -> str:
        rows = [[name for name, _ in self._columns], *self.cells]
        head = [self.title] if self.title else []
        if not self.records:
            return "\n".join([*head, self.empty])
        widths = [max(len(row[index]) for row in rows) for index in range(len(self._columns))]
        lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
        return "\n".join([*head, *lines])

    def bundle(self) -> dict[str, str]:
        """Every form of the table, by MIME type."""
        return {"text/plain": repr(self), "text/markdown": self._markdown(), "text/html": self._html()}

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        return self.bundle()

    def _markdown(self) -> str:
        if not self.records:
            return self.empty
        names = [name for name, _ in self._columns]
        rows = [[cell.replace("|", "\\|").replace("\n", " ") for cell in row] for row in self.cells]
        lines = [names, ["---"] * len(names), *rows]
        table = "\n".join(f"| {' | '.join(line)} |" for line in lines)
        return f"**{self.title}**\n\n{table}" if self.title else table

    def _html(self) -> str:
        title = f"<p><strong>{html.escape(self.title)}</strong></p>" if self.title else ""
        if not self.records:
            return f"{title}<p>{html.escape(self.empty)}</p>"
        head = "".join(f'<th style="text-align: left">{html.escape(name)}</th>' for name, _ in self._columns)
        rows = "".join(
            "<tr>" + "".join(f'<td style="text-align: left">{html.escape(cell)}</td>' for cell in row) + "</tr>"
            for row in self.cells
        )
        return f"{title}<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"


def frame_of(rows: Sequence[Record]) -> Any:
    """A DataFrame of flat rows; texts that are times become timestamps.

    Raises:
        ImportError: pandas is not installed.
    """
    try:
        import pandas
    except ImportError as error:
        raise ImportError("to_frame() needs pandas: pip install pandas (or jupyter-lgnb[lab]).") from error
    names = list(dict.fromkeys(name for row in rows for name in row))
    return pandas.DataFrame.from_records(
        [{name: _timed(value) for name, value in row.items()} for row in rows], columns=names
    )


def moment(value: object) -> str:
    """A time of the server for reading, to the second; empty where there is none."""
    return str(value or "")[:19].replace("T", " ")


def seconds_between(start: object, end: object) -> float | None:
    """The seconds between two times of the server; None where one is missing."""
    begun, ended = _timed(start), _timed(end)
    if isinstance(begun, datetime) and isinstance(ended, datetime):
        return (ended - begun).total_seconds()
    return None


def _timed(value: Any) -> Any:
    if isinstance(value, str) and _MOMENT.match(value):
        try:
            return datetime.fromisoformat(value)
        except ValueError:
            return value
    return value
