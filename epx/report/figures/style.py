"""Style of all figures: colours, lines and markers, panels, legends, and saving."""

from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure
from matplotlib.ticker import LogFormatterSciNotation, LogLocator, NullFormatter

from epx import files

# Bars: increasing darkness, then hatches, so that they differ in grey prints.
FILLS = ("#c3c8ce", "#7fb2d6", "#1b4f8a", "#8f3d76", "#d98c3f", "#4d8f5b")
HATCHES = ("", "", "", "///", "...", "xxx")
# Lines: each of colour, dashes and marker is enough to distinguish them.
LINES = (
    ("#1b4f8a", "-", "o"),
    ("#c0504d", "--", "s"),
    ("#4d8f5b", "-.", "^"),
    ("#8f3d76", ":", "D"),
    ("#d98c3f", (0, (5, 1, 1, 1, 1, 1)), "v"),
    ("#4a4f55", (0, (1, 1)), "P"),
    ("#2a9d9d", (0, (8, 2)), "X"),
)
SERIES = 6
COMPUTE = "compute T to train and to code, FLOP"
DPI = 150


def fill(rank: int) -> dict[str, str]:
    """Colour and hatch of the bars with this rank."""
    return {"color": FILLS[rank % len(FILLS)], "hatch": HATCHES[rank % len(HATCHES)]}


def line(rank: int) -> dict:
    """Colour, dashes and marker of the line with this rank; after the last, in other pairs."""
    count, again = len(LINES), rank // len(LINES)
    color, dashes, marker = (LINES[(rank + n * again) % count][n] for n in range(3))
    return dict(color=color, linestyle=dashes, marker=marker, markersize=4, linewidth=1.4)


def dress(axis: Axes, title: str, x_label: str = "", y_label: str = "") -> None:
    """Title, labels and grid in the common style."""
    axis.set_title(title, loc="left", fontsize=10)
    axis.set_xlabel(x_label, fontsize=9)
    axis.set_ylabel(y_label, fontsize=9)
    axis.tick_params(which="both", labelsize=8)
    axis.grid(color="#e8e8e8", linewidth=0.8)
    axis.set_axisbelow(True)
    axis.spines[["top", "right"]].set_visible(False)


def size(count: int) -> tuple[float, float]:
    """Width and height of a figure of this many small panels, in inches."""
    columns = min(4, count)
    # Wide enough for the outside legend even with one or two panels.
    return max(3.5 * columns, 6.5), 2.7 * -(-count // columns) + 0.8


def grid(figure: Figure | SubFigure, count: int) -> list[Axes]:
    """This many small panels of a figure, at most four in a row."""
    columns = min(4, count)
    axes = list(figure.subplots(-(-count // columns), columns, squeeze=False).flat)
    for axis in axes[count:]:
        axis.remove()
    return axes[:count]


def panels(count: int) -> tuple[Figure, list[Axes]]:
    """A figure with this many small panels."""
    figure = Figure(figsize=size(count), layout="constrained")
    return figure, grid(figure, count)


def legend(figure: Figure | SubFigure, axes: list[Axes], columns: int = 3) -> None:
    """One legend below all panels, each label once."""
    handles = {}
    for axis in axes:
        for handle, label in zip(*axis.get_legend_handles_labels()):
            handles.setdefault(label, handle)
    figure.legend(
        handles.values(), handles.keys(), loc="outside lower left", ncols=columns, frameon=False,
        fontsize=9, handlelength=3.5,
    )  # fmt: skip


def log_if_wide(axis: Axes, values: np.ndarray, factor: float = 20.0) -> None:
    """Make the y axis logarithmic if the absolute values span more than this factor.

    If some values are not positive, it is linear around 0, up to a power of ten near the median of
    the smaller half of the absolute values.
    """
    values = np.asarray(values, float)
    values = values[np.isfinite(values)]
    sizes = np.sort(np.abs(values))
    if not sizes.size or sizes[-1] <= factor * sizes[0]:
        return
    if values.min() > 0:
        axis.set_yscale("log")
    elif (small := np.median(sizes[: -(-len(sizes) // 2)])) > 0:
        axis.set_yscale("symlog", linthresh=10.0 ** np.ceil(np.log10(small)))


def log_x(axis: Axes) -> None:
    """Make the x axis logarithmic. Between one and two decades 3, 30, 300 have labels too."""
    axis.set_xscale("log")
    low, high = axis.get_xlim()
    if 10 * low <= high < 100 * low:  # a shorter one may have neither 1 nor 3
        axis.xaxis.set_major_locator(LogLocator(subs=(1.0, 3.0)))
        axis.xaxis.set_major_formatter(LogFormatterSciNotation(minor_thresholds=(2, 2)))
        axis.xaxis.set_minor_formatter(NullFormatter())


def save(figure: Figure, path: Path | str | None) -> Figure:
    """Write the figure, if there is a path, in the format of its ending; return the figure."""
    if path is not None:
        figure.savefig(files.output("figure", path, files.FIGURES), dpi=DPI)
    return figure
