"""Figures from the cells of `tables.py`, on a machine with numpy and matplotlib alone."""

from collections.abc import Sequence
from pathlib import Path

import matplotlib
import numpy as np

matplotlib.use("Agg")
from matplotlib import pyplot as plt

from epx.tables import Cell

COLORS = ("#b8b8b8", "#7fb2d6", "#1b4f8a", "#8f3d76", "#d98c3f", "#4d8f5b")
RULERS = (("gzip", "|", "#9a6a00"), ("xz", "|", "#c0392b"))


def worlds_by_observers(found: Sequence[Cell], path: Path | str) -> None:
    """S and H side by side, bits per coded token: a row for each world, a bar for each observer.

    Bars are means over seeds and whiskers 95 % intervals. Marks beside H show what gzip and xz
    make of the same tokens, and a diamond the law of the world itself where it is known.
    """
    worlds = list(dict.fromkeys(cell["world"] for cell in found))
    observers = list(dict.fromkeys(cell["observer"] for cell in found))
    cells = {(cell["world"], cell["observer"]): cell for cell in found}
    height = 1.7 + len(worlds) * (0.16 * len(observers) + 0.22)
    figure, axes = plt.subplots(1, 2, figsize=(12, height), sharey=True, layout="constrained")
    for axis, key in zip(axes, ("S_bits_per_tok", "H_bits_per_tok")):
        for rank, observer in enumerate(observers):
            _bars(axis, worlds, cells, observer, key, rank, len(observers))
        axis.grid(axis="x", color="#e6e6e6", linewidth=0.8)
        axis.set_axisbelow(True)
        axis.spines[["top", "right", "left"]].set_visible(False)
        axis.tick_params(axis="y", length=0)
    _rulers(axes[1], worlds, cells, observers)
    axes[0].set_yticks(range(len(worlds)), worlds)
    axes[0].invert_yaxis()
    axes[0].set_title("structure S: what the observer learned", loc="left", fontsize=11)
    axes[1].set_title("time-bounded entropy H: what stays unpredictable", loc="left", fontsize=11)
    axes[0].set_xlabel("bits per coded token (S / 𝒟)".replace("𝒟", r"$\mathcal{D}$"))
    axes[1].set_xlabel("bits per coded token")
    handles, labels = axes[1].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(labels), frameon=False)
    figure.suptitle(_title(found), x=0.01, ha="left", fontsize=13, fontweight="bold")
    figure.savefig(path, dpi=150)
    plt.close(figure)


def _offset(rank: int, count: int) -> float:
    return 0.8 * ((rank + 0.5) / count - 0.5)


def _bars(axis, worlds, cells, observer, key, rank, count) -> None:
    rows = [
        (n, cells[world, observer]) for n, world in enumerate(worlds) if (world, observer) in cells
    ]
    values = np.array([cell[key][0] for _, cell in rows])
    errors = np.nan_to_num([cell[key][1] for _, cell in rows])
    axis.barh(
        [n + _offset(rank, count) for n, _ in rows],
        values,
        height=0.8 / count,
        xerr=errors,
        color=COLORS[rank % len(COLORS)],
        error_kw=dict(ecolor="#333333", elinewidth=0.9),
        label=observer,
    )


def _rulers(axis, worlds, cells, observers) -> None:
    for name, marker, color in RULERS:
        _marks(axis, worlds, cells, observers, f"{name}_bits_per_tok", marker, color, name)
    _marks(axis, worlds, cells, observers, "oracle_bits_per_tok", "D", "black", "the world's law")


def _marks(axis, worlds, cells, observers, key, marker, color, label) -> None:
    points = []
    for n, world in enumerate(worlds):
        values = [cells[world, o][key] for o in observers if key in cells.get((world, o), {})]
        if values:
            points.append((values[0], n))
    if points:
        x, y = zip(*points)
        size = 500 if marker == "|" else 28
        axis.scatter(x, y, s=size, marker=marker, color=color, zorder=3, label=label)


def _title(found: Sequence[Cell]) -> str:
    seeds = sorted({cell["seeds"] for cell in found})
    text = f"The same data, different observers ({'–'.join(map(str, seeds))} seeds, 95 % intervals"
    return text + (", exploratory)" if any(cell["exploratory"] for cell in found) else ")")
