"""Figures from the cells of `tables.py`, on a machine with numpy and matplotlib alone."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backend_bases import FigureCanvasBase
from matplotlib.figure import Figure

from epx.analysis import scaling
from epx.analysis.frontier import Curve
from epx.analysis.measurement import LN2
from epx.analysis.scaling import LossLaw
from epx.report.summary import Cell, measured

COLORS = ("#b9bec4", "#7fb2d6", "#1b4f8a", "#8f3d76", "#d98c3f", "#4d8f5b")
LINES = COLORS[1:]
# Key of a cell, marker, its size and color, and what the legend says.
RULERS = (
    ("gzip_bits_per_tok", "|", 420, "#c98a00", "gzip"),
    ("xz_bits_per_tok", "|", 420, "#c0392b", "xz"),
    ("oracle_bits_per_tok", "D", 26, "black", "the world's own law"),
)
ROW_INCHES = 0.62
FEWEST = 10
COMPUTE = "compute T to train and to code, FLOP"


def check(path: Path | str | None) -> None:
    """Raises ValueError where no figure can be written: no such folder, or an ending that is none
    of a format. None is no figure."""
    if path is None:
        return
    folder, ending = Path(path).parent, Path(path).suffix.lstrip(".").lower()
    if not folder.is_dir():
        raise ValueError(f"{path}: no such folder {folder}")
    accepted = sorted(FigureCanvasBase.get_supported_filetypes())
    if ending not in accepted:
        raise ValueError(f"{path}: accepted are figures that end in {', '.join(accepted)}")


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


def estimates(laws: dict[str, LossLaw], test_tokens: float, path: Path | str) -> Figure:
    """S and H of scaling laws against compute, a line for each, in bits of the whole coded set; a
    mark at the right edge is the value without bound.

    Args:
      laws: by name.
      test_tokens: size of the coded set.
      path: file to write; its ending (png, pdf, svg) chooses the format.
    """
    figure = Figure(figsize=(12, 4.6), layout="constrained")
    axes = figure.subplots(1, 2)
    budgets = np.geomspace(1e3 * test_tokens, 1e18 * test_tokens, 200)
    for rank, (name, law) in enumerate(laws.items()):
        color, dashes = _line(rank)
        found = [scaling.split(law, flops, test_tokens) for flops in budgets]
        nats = zip(*((one.structure_nats, one.entropy_nats) for one in found))
        for axis, values, limit in zip(axes, nats, law.limit(test_tokens)):
            axis.plot(budgets, np.array(values) / LN2, dashes, color=color, label=name)
            axis.plot(budgets[-1], limit / LN2, "o", color=color, markersize=4)
    for axis, title in zip(axes, ("structure S", "entropy H")):
        _dress(axis, f"{title} of {test_tokens:.3g} tokens, bit", COMPUTE)
        axis.set_xscale("log")
        axis.set_yscale("log")
    axes[0].legend(frameon=False, fontsize=9)
    figure.savefig(path, dpi=150)
    return figure


def messages(
    kl_bits: np.ndarray,
    length_bits: np.ndarray,
    looked: np.ndarray,
    message_bits: float,
    path: Path | str,
) -> Figure:
    """What sending takes against what is told, a bin of FEWEST or more messages of like KL to a
    point: the mean length with its 95 % interval between the KL and the proved bound, and the mean
    number of proposals that the encoder looked at.

    Args:
      kl_bits, length_bits, looked: of each message, in any shape.
      message_bits: of the bound KL + 2 log2(1 + KL) + message_bits.
      path: file to write; its ending (png, pdf, svg) chooses the format.

    Returns:
      The figure.

    Raises:
      ValueError: no bin has so many messages.
    """
    kl, length, looked = (np.ravel(array) for array in (kl_bits, length_bits, looked))
    bins = np.minimum((12 * kl / max(kl.max(), 1e-9)).astype(int), 11)
    members = [np.flatnonzero(bins == n) for n in range(12) if (bins == n).sum() >= FEWEST]
    if not members:
        raise ValueError(f"{len(kl)} messages: more are needed for a figure")
    x = np.array([kl[index].mean() for index in members])
    figure = Figure(figsize=(11, 4.4), layout="constrained")
    left, right = figure.subplots(1, 2)
    half = [1.96 * length[index].std(ddof=1) / np.sqrt(len(index)) for index in members]
    left.errorbar(x, [length[i].mean() for i in members], yerr=half, fmt="o", color=COLORS[2],
                  label="sent, mean and 95 % interval")  # fmt: skip
    grid = np.linspace(0, x.max() * 1.05, 200)
    bound = grid + 2 * np.log2(1 + grid) + message_bits
    left.plot(grid, grid, color="#777777", linestyle=":", label="KL")
    left.plot(grid, bound, color=COLORS[3], label=f"KL + 2 log2(1 + KL) + {message_bits}")
    right.plot(x, [looked[index].mean() for index in members], "o", color=COLORS[4])
    right.plot(grid, 2**grid, color="#777777", linestyle=":", label="2^KL")
    right.set_yscale("log")
    titles = ("length of a message, bit", "proposals looked at for a message")
    for axis, title in zip((left, right), titles):
        _dress(axis, title, "KL(teacher || student) of a message, bit")
        axis.legend(frameon=False, fontsize=9)
    figure.savefig(path, dpi=150)
    return figure


def frontiers(worlds: dict[str, Curve], path: Path | str) -> Figure:
    """S_T, H_T and S_T + H_T against compute, a column for each, a line for each world with its
    95 % interval; small dots are the runs' own points. Bits of the whole coded set.

    Args:
      worlds: frontiers by name.
      path: file to write; its ending (png, pdf, svg) chooses the format.
    """
    figure = Figure(figsize=(14, 4.4), layout="constrained")
    axes = figure.subplots(1, 3)
    for rank, (name, one) in enumerate(worlds.items()):
        color, dashes = _line(rank)
        points = one.points
        both = (points.structure_bits, points.entropy_bits, points.description_bits)
        total = [s.mean + h.mean for s, h in zip(one.structure_bits, one.entropy_bits)]
        means = [[bits.mean for bits in part] for part in (one.structure_bits, one.entropy_bits)]
        for axis, dots, line in zip(axes, both, (*means, total)):
            axis.plot(points.flops, dots, ".", color=color, alpha=0.25, markersize=3)
            axis.step(one.flops, line, dashes, where="post", color=color, label=name)
            axis.plot(one.flops[-1], line[-1], "o", color=color, markersize=4)
        for axis, part in zip(axes, (one.structure_bits, one.entropy_bits)):
            mean, half = np.array(part).T
            axis.fill_between(
                one.flops, mean - half, mean + half, step="post", color=color, alpha=0.2, lw=0
            )
    titles = ("structure S_T, bit", "entropy H_T, bit", "description S_T + H_T, bit")
    for axis, title in zip(axes, titles):
        _dress(axis, title, COMPUTE)
        axis.set_xscale("log")
    handles, names = axes[0].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside lower left", ncols=3, frameon=False, fontsize=9)
    figure.savefig(path, dpi=150)
    return figure


def _line(rank: int) -> tuple[str, str]:
    """Color and dashes of the line with this rank: as many colors as there are, then dashed."""
    return LINES[rank % len(LINES)], ("-", "--", ":")[rank // len(LINES) % 3]


def _dress(axis: Axes, title: str, across: str) -> None:
    """What the axes of all curves have in common."""
    axis.set_title(title, loc="left", fontsize=12)
    axis.set_xlabel(across)
    axis.grid(color="#e8e8e8", linewidth=0.8)
    axis.spines[["top", "right"]].set_visible(False)
