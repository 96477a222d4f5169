"""Small statistics over measured values, and how they are written."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Metric:
    """One line of the table. `goal` is what we set out for: `"<= 6"`, or empty where there is none."""

    key: str
    label: str
    unit: str
    goal: str = ""
    digits: int = 1

    def text(self, value: float) -> str:
        return f"{value:,.{self.digits}f}"

    def is_reached(self, value: float) -> bool | None:
        """Whether a value is as good as the goal; None where there is none."""
        if not self.goal:
            return None
        relation, bound = self.goal.split()
        return value <= float(bound) if relation == "<=" else value >= float(bound)


def percentile(values: Sequence[float], percent: float) -> float:
    """By nearest rank; NaN when nothing was measured."""
    if not values:
        return float("nan")
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, max(0, round(percent / 100 * len(ordered) + 0.5) - 1))]


def spread(metric: Metric, values: Sequence[float]) -> str:
    """The median of several rounds, with the least and the most."""
    if not values:
        return "–"
    middle = metric.text(statistics.median(values))
    if len(values) == 1:
        return middle
    return f"{middle} ({metric.text(min(values))}–{metric.text(max(values))})"
