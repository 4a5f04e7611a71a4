"""Figures from the cells of `tables.py`, on a machine with numpy and matplotlib alone."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from epx.tables import Cell, measured

COLORS = ("#b9bec4", "#7fb2d6", "#1b4f8a", "#8f3d76", "#d98c3f", "#4d8f5b")
# Key of a cell, marker, its size and color, and what the legend says.
RULERS = (
    ("gzip_bits_per_tok", "|", 420, "#c98a00", "gzip"),
    ("xz_bits_per_tok", "|", 420, "#c0392b", "xz"),
    ("oracle_bits_per_tok", "D", 26, "black", "the world's own law"),
)
ROW_INCHES = 0.62


def worlds_by_observers(found: Sequence[Cell], path: Path | str) -> Figure:
    """S and H side by side, bits per coded token: a row for each world, a bar for each observer.

    Bars are means over seeds and whiskers 95 % intervals. Marks beside H show what gzip and xz
    make of the same tokens, and a diamond the law of the world itself where it is known. Worlds of
    one vocabulary V share a scale; a dotted line at log2 V is the price of knowing nothing.

    Args:
      found: cells of `tables.cells`.
      path: file to write; its ending (png, pdf, svg) chooses the format.

    Returns:
      The figure, which a notebook shows.
    """
    found = measured(found)
    observers = list(dict.fromkeys(cell["observer"] for cell in found))
    panels: dict[int, list[str]] = {}
    for cell in found:
        worlds = panels.setdefault(cell["vocab"], [])
        if cell["world"] not in worlds:
            worlds.append(cell["world"])
    counts = [len(worlds) for worlds in panels.values()]
    figure = Figure(figsize=(12, 1.9 + ROW_INCHES * sum(counts)), layout="constrained")
    axes = figure.subplots(len(panels), 2, squeeze=False, height_ratios=counts)
    for (vocab, worlds), pair in zip(panels.items(), axes):
        for axis, key in zip(pair, ("S_bits_per_tok", "H_bits_per_tok")):
            _bars(axis, found, worlds, observers, key)
        _rulers(pair[1], found, worlds)
        pair[1].axvline(np.log2(vocab), color="#777777", linestyle=":", linewidth=1, zorder=0)
        pair[1].set_yticklabels([])
    axes[0, 0].set_title("structure S: what the observer learned", loc="left", fontsize=12)
    axes[0, 1].set_title("entropy H: what stays unpredictable to it", loc="left", fontsize=12)
    for axis in axes[-1]:
        axis.set_xlabel("bits per coded token")
    # Bars are in both panels of a row, rulers in the right one of some.
    legend = {}
    for axis in axes.flat:
        legend |= {label: handle for handle, label in zip(*axis.get_legend_handles_labels())}
    names = [name for name in (*observers, *(ruler[-1] for ruler in RULERS)) if name in legend]
    handles = [legend[name] for name in names]
    figure.legend(handles, names, loc="outside lower left", ncols=len(names), frameon=False)
    subject = "The same data, different observers" if len(observers) > 1 else observers[0]
    title = f"{subject}   ({_seeds(found)})"
    figure.suptitle(title, x=0.01, ha="left", fontsize=14, fontweight="bold")
    figure.savefig(path, dpi=150)
    return figure


def _bars(
    axis: Axes, found: Sequence[Cell], worlds: list[str], observers: list[str], key: str
) -> None:
    height = 0.8 / len(observers)
    for rank, observer in enumerate(observers):
        rows = [c for c in found if c["observer"] == observer and c["world"] in worlds]
        if not rows:
            continue
        axis.barh(
            [worlds.index(c["world"]) + height * (rank + 0.5) - 0.4 for c in rows],
            [c[key][0] for c in rows],
            height=height,
            xerr=[c[key][1] or 0.0 for c in rows],
            color=COLORS[rank % len(COLORS)],
            error_kw=dict(ecolor="#333333", elinewidth=0.9, capsize=1.5),
            label=observer,
        )
    axis.set_yticks(range(len(worlds)), worlds, fontsize=11)
    axis.set_ylim(len(worlds) - 0.5, -0.5)
    axis.grid(axis="x", color="#e8e8e8", linewidth=0.8)
    axis.set_axisbelow(True)
    axis.spines[["top", "right", "left"]].set_visible(False)
    axis.tick_params(axis="y", length=0)


def _rulers(axis: Axes, found: Sequence[Cell], worlds: list[str]) -> None:
    for key, marker, size, color, label in RULERS:
        points = {c["world"]: c[key] for c in found if c["world"] in worlds and key in c}
        points = {w: v[0] if isinstance(v, list) else v for w, v in points.items()}
        if points:
            x, y = list(points.values()), [worlds.index(world) for world in points]
            axis.scatter(x, y, s=size, marker=marker, color=color, zorder=3, label=label)


def _seeds(found: Sequence[Cell]) -> str:
    seeds = sorted({cell["seeds"] for cell in found})
    note = ", exploratory" if any(cell["exploratory"] for cell in found) else ""
    return f"{', '.join(map(str, seeds))} seeds, 95 % intervals{note}"
