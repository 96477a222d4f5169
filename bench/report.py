"""The table, as Markdown."""

from __future__ import annotations

import os
import platform
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path

import psutil

from .families import Family, Figures
from .figures import Metric, spread

# The column whose goals these are.
_OURS = "lgnb"
_LIBRARIES = ("jupyter-lgnb", "langgraph", "langgraph-checkpoint-postgres", "jupyter-server", "tornado", "psycopg")


@dataclass
class Results:
    """Everything measured: values by family, metric and column."""

    values: dict[tuple[str, str, str], list[float]] = field(default_factory=dict[tuple[str, str, str], list[float]])
    columns: list[str] = field(default_factory=lambda: [_OURS])
    versions: dict[str, str] = field(default_factory=dict[str, str])
    seconds: float = 0.0

    def add(self, family: Family, column: str, figures: Figures) -> None:
        if column not in self.columns:
            self.columns.append(column)
        for key, value in figures.items():
            self.values.setdefault((family.name, key, column), []).append(value)

    def of(self, family: Family, metric: Metric, column: str) -> list[float]:
        return self.values.get((family.name, metric.key, column), [])


def markdown(families: Sequence[Family], results: Results) -> str:
    lines = [*about(results), ""]
    for family in families:
        columns = [
            column for column in results.columns if any(results.of(family, metric, column) for metric in family.metrics)
        ]
        if not columns:
            continue
        lines += [
            f"### {family.name}",
            "",
            _row(["", "goal", "reached", *columns]),
            _row(["---", "---:", ":---:", *["---:"] * len(columns)]),
        ]
        for metric in family.metrics:
            cells = [spread(metric, results.of(family, metric, column)) for column in columns]
            if set(cells) == {"–"}:
                continue
            found = results.of(family, metric, _OURS)
            reached = metric.is_reached(statistics.median(found)) if found else None
            label = f"{metric.label} [{metric.unit}]" if metric.unit else metric.label
            lines.append(_row([label, _goal(metric), {None: "", True: "✓", False: "✗"}[reached], *cells]))
        lines.append("")
    return "\n".join(lines) + "\n"


def about(results: Results) -> list[str]:
    libraries = ", ".join(f"{name} {version(name)}" for name in _LIBRARIES)
    others = "".join(f", {name} {number}" for name, number in results.versions.items())
    memory = psutil.virtual_memory().total / 2**30
    return [
        f"Machine: {_processor()}, {os.cpu_count()} cores, {memory:.0f} GiB, {platform.system()} {platform.release()}; "
        f"load average {os.getloadavg()[1]:.1f}.",
        f"Versions: Python {platform.python_version()}, {libraries}{others}.",
        f"Median of the rounds (least–most), or what the only one found; {results.seconds / 60:.1f} minutes in all.",
    ]


def write_block(path: Path, name: str, text: str) -> None:
    """Put `text` between the marks of this name in a document, or be the whole file where there is none."""
    begin, end = f"<!-- {name}: written by make bench -->", f"<!-- end of {name} -->"
    document = path.read_text(encoding="utf-8") if path.exists() else f"{begin}\n{end}\n"
    before, found, rest = document.partition(begin)
    _, closed, after = rest.partition(end)
    if not (found and closed):
        raise SystemExit(f"{path} has no place for it: the lines {begin} and {end}.")
    path.write_text(f"{before}{begin}\n\n{text.strip()}\n\n{end}{after}", encoding="utf-8")


def _goal(metric: Metric) -> str:
    if not metric.goal:
        return ""
    relation, bound = metric.goal.split()
    return f"{'≤' if relation == '<=' else '≥'} {bound}"


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _processor() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            return next(line.partition(":")[2].strip() for line in file if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()
