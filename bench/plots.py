"""Draws what grew: small SVG files without a background, in colours that are readable on light and on dark pages."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib

from .growth import Panel, Plot

matplotlib.use("svg")
from matplotlib import pyplot

_GREY = "#7d8590"
_COLOURS = ("#2f81f7", "#d29922", "#3fb950", "#db61a2")

_STYLE: dict[str, Any] = {
    # Text stays text, and equal figures give equal files.
    "svg.fonttype": "none",
    "svg.hashsalt": "lgnb",
    "font.family": "sans-serif",
    "font.size": 9,
    "text.color": _GREY,
    "axes.edgecolor": _GREY,
    "axes.labelcolor": _GREY,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 10,
    "xtick.color": _GREY,
    "ytick.color": _GREY,
    "grid.color": _GREY,
    "grid.alpha": 0.25,
    "legend.frameon": False,
    "axes.prop_cycle": matplotlib.cycler(color=_COLOURS),
}


def draw(plot: Plot, folder: Path) -> Path:
    """The file that shows this plot."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{plot.name}.svg"
    with matplotlib.rc_context(_STYLE):
        figure, axes = pyplot.subplots(1, len(plot.panels), figsize=(8.4, 3.0), layout="constrained", squeeze=False)
        for axis, panel in zip(axes[0], plot.panels, strict=True):
            _draw_panel(axis, plot, panel)
        figure.savefig(path, transparent=True, metadata={"Date": None, "Creator": None, "Title": plot.title})
        pyplot.close(figure)
    return path


def _draw_panel(axis: Any, plot: Plot, panel: Panel) -> None:
    for label, values in panel.lines.items():
        axis.plot(plot.places, values, marker="o", markersize=3, linewidth=1.5, label=label)
    axis.set_xscale("log")
    axis.set_xticks(plot.places, [f"{place:,}" for place in plot.places], minor=False)
    axis.minorticks_off()
    values = [value for line in panel.lines.values() for value in line]
    if max(values) > 20 * max(min(values), 1e-9):
        axis.set_yscale("log")
    else:
        axis.set_ylim(bottom=0)
    axis.set_title(f"{panel.title} [{panel.unit}]", loc="left")
    axis.set_xlabel(plot.axis)
    axis.grid(visible=True, axis="y")
    if len(panel.lines) > 1:
        axis.legend(fontsize=8)


def markdown(plot: Plot, picture: str) -> str:
    """The picture with its figures below it, for those who cannot see it."""
    lines = [
        f"### {plot.title}",
        "",
        f"![{plot.title}: {', '.join(panel.title for panel in plot.panels)}]({picture})",
        "",
    ]
    lines += [f"| {plot.axis} | {' | '.join(f'{place:,}' for place in plot.places)} |"]
    lines += [f"| --- |{' ---: |' * len(plot.places)}"]
    for panel in plot.panels:
        for label, values in panel.lines.items():
            figures = " | ".join(f"{value:,.0f}" if value >= 100 else f"{value:.1f}" for value in values)
            lines.append(f"| {panel.title}, {label} [{panel.unit}] | {figures} |")
    return "\n".join([*lines, ""])
