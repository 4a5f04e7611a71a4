"""Estimates against a number of the config: a line with intervals for each series."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
from matplotlib.figure import Figure, SubFigure

from epx.analysis.measurement import Estimate
from epx.report.figures import style

LONGEST_FLAT = 6  # characters of a name that fits below its point


class Panel(NamedTuple):
    """A small panel.

    Attributes:
      title, x_label, y_label: its texts, with units.
      series: x and estimate of each point, by the name of the line.
      references: x and y of exact lines, such as floors, by name.
      scale: `linear` or `log`, of x.
      y_scale: `linear`, or `auto`: logarithmic where values span two powers of ten or more.
      names: of x = 0, 1, 2, ... where these are no numbers; the points are then not joined.
      joined: whether the points of a series are.
    """

    title: str
    x_label: str
    y_label: str
    series: dict[str, list[tuple[float, Estimate]]]
    references: Mapping[str, list[tuple[float, float]]] = MappingProxyType({})
    scale: str = "linear"
    names: Sequence[str] = ()
    y_scale: str = "auto"
    joined: bool = True


def panels(shown: Sequence[Panel], path: Path | str | None = None) -> Figure:
    """Draw the panels; whiskers are 95 % intervals, references are dotted.

    Args:
      shown: the panels.
      path: file to write; its ending (png, pdf, svg) selects the format. None writes none.

    Returns:
      The figure.
    """
    figure = Figure(figsize=style.size(len(shown)), layout="constrained")
    fill(figure, shown)
    return style.save(figure, path)


def fill(figure: Figure | SubFigure, shown: Sequence[Panel]) -> None:
    """Draw the panels into a figure, or into a part of one."""
    axes = style.grid(figure, len(shown))
    names = list(dict.fromkeys(name for panel in shown for name in panel.series))
    for axis, panel in zip(axes, shown):
        values = []
        for name, points in panel.series.items():
            x, estimates = zip(*sorted(points))
            mean, half = np.array(estimates, float).T
            look = style.line(names.index(name)) | (
                {} if panel.joined and not panel.names else {"linestyle": "none"}
            )
            axis.errorbar(
                x, mean, yerr=np.nan_to_num(half), capsize=2, elinewidth=0.9, label=name, **look
            )
            values += mean.tolist()
        for name, points in panel.references.items():
            axis.plot(*zip(*sorted(points)), color="#777777", linestyle=":", label=name)
        style.dress(axis, panel.title, panel.x_label, panel.y_label)
        if panel.scale == "log":
            style.log_x(axis)
        if panel.names:
            upright = max(map(len, panel.names)) > LONGEST_FLAT
            axis.set_xticks(range(len(panel.names)), panel.names, rotation=90 if upright else 0)
        if panel.y_scale == "auto":
            style.log_if_wide(axis, np.array(values), factor=100.0)
    style.legend(figure, axes)
