"""The table, as Markdown."""

from __future__ import annotations

import os
import platform
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib.metadata import version

import psutil

from .families import Family, Figures
from .figures import Metric, spread

_LIBRARIES = ("jupyter-lgnb", "langgraph", "langgraph-checkpoint-postgres", "jupyter-server", "tornado", "psycopg")


@dataclass
class Results:
    """Everything measured: values by family, metric and column."""

    values: dict[tuple[str, str, str], list[float]] = field(default_factory=dict[tuple[str, str, str], list[float]])
    columns: list[str] = field(default_factory=list[str])
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
    lines = [*_about(results), ""]
    for family in families:
        columns = [
            column for column in results.columns if any(results.of(family, metric, column) for metric in family.metrics)
        ]
        if not columns:
            continue
        lines += [f"### {family.name}", "", _row(["", "goal", *columns]), _row(["---", *["---:"] * (len(columns) + 1)])]
        for metric in family.metrics:
            cells = [spread(metric, results.of(family, metric, column)) for column in columns]
            if set(cells) == {"–"}:
                continue
            first = results.of(family, metric, columns[0])
            missed = first and metric.is_reached(statistics.median(first)) is False
            label = f"{metric.label} [{metric.unit}]" if metric.unit else metric.label
            lines.append(_row([label, _goal(metric, missed=bool(missed)), *cells]))
        lines.append("")
    return "\n".join(lines) + "\n"


def _about(results: Results) -> list[str]:
    libraries = ", ".join(f"{name} {version(name)}" for name in _LIBRARIES)
    others = "".join(f", {name} {number}" for name, number in results.versions.items())
    memory = psutil.virtual_memory().total / 2**30
    return [
        f"Machine: {_processor()}, {os.cpu_count()} cores, {memory:.0f} GiB, {platform.system()} {platform.release()}; "
        f"load average {os.getloadavg()[1]:.1f}.",
        f"Versions: Python {platform.python_version()}, {libraries}{others}.",
        f"Median of the rounds, with the least and the most; {results.seconds / 60:.1f} minutes in all.",
    ]


def _goal(metric: Metric, *, missed: bool) -> str:
    if not metric.goal:
        return ""
    relation, bound = metric.goal.split()
    return f"{'≤' if relation == '<=' else '≥'} {bound}{' ✗' if missed else ''}"


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _processor() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            return next(line.partition(":")[2].strip() for line in file if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()
