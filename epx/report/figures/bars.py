"""S and H as bars: generators by observers."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure

from epx.analysis import scaling
from epx.analysis.measurement import LN2
from epx.report.figures import lines, style
from epx.report.summary import Cell, measured

# Key of a cell, marker, its size and colour, and its label.
BASELINES = (
    ("gzip_bits_per_tok", "|", 420, "#c98a00", "gzip"),
    ("xz_bits_per_tok", "x", 60, "#c0392b", "xz"),
    ("zstd_bits_per_tok", "+", 70, "#3d7a3a", "zstd"),
    ("oracle_bits_per_tok", "D", 26, "black", "the true law"),
)
ROW_INCHES = 0.62


def generators_by_observers(cells: Sequence[Cell], path: Path | str | None = None) -> Figure:
    """Draw S and H in two panels: a row for each generator, a bar for each observer.

    Bars are means over seeds in bits per coded token, whiskers 95 % intervals. Marks in the panel
    of H show gzip and xz on the same tokens, and a diamond the law of the generator if it is known.
    Generators with the same vocabulary V share a scale; a dotted line at log2 V is the entropy of
    uniform tokens.

    Args:
      cells: from `summary.cells`.
      path: file to write; its ending (png, pdf, svg) selects the format. None writes none.

    Returns:
      The figure.
    """
    counts = _panel_rows(cells)
    figure = Figure(figsize=(12, _height(counts)), layout="constrained")
    _draw(figure, cells)
    return style.save(figure, path)


def with_panels(
    cells: Sequence[Cell], shown: Sequence[lines.Panel], path: Path | str | None = None
) -> Figure:
    """Draw the bars of `generators_by_observers`, and small panels below them."""
    height, below = _height(_panel_rows(cells)), style.size(len(shown))[1]
    figure = Figure(figsize=(12, height + below), layout="constrained")
    upper, lower = figure.subfigures(2, 1, height_ratios=(height, below))
    _draw(upper, cells)
    lines.fill(lower, shown)
    return style.save(figure, path)


def _panel_rows(cells: Sequence[Cell]) -> dict[int, list[str]]:
    """The generators of each vocabulary, in their order."""
    rows: dict[int, list[str]] = {}
    for cell in measured(cells):
        generators = rows.setdefault(cell["vocab"], [])
        if cell["generator"] not in generators:
            generators.append(cell["generator"])
    return rows


def _height(rows: dict[int, list[str]]) -> float:
    return 1.9 + ROW_INCHES * sum(map(len, rows.values()))


def _draw(figure: Figure | SubFigure, cells: Sequence[Cell]) -> None:
    cells, panels = measured(cells), _panel_rows(cells)
    observers = list(dict.fromkeys(cell["observer"] for cell in cells))
    counts = [len(generators) for generators in panels.values()]
    axes = figure.subplots(len(panels), 2, squeeze=False, height_ratios=counts)
    for (vocab, generators), pair in zip(panels.items(), axes):
        for axis, key in zip(pair, ("S_bits_per_tok", "H_bits_per_tok")):
            _bars(axis, cells, generators, observers, key)
        _baselines(pair[1], cells, generators)
        pair[1].axvline(np.log2(vocab), color="#777777", linestyle=":", linewidth=1, zorder=0)
        pair[1].set_yticklabels([])
    axes[0, 0].set_title("structure S: what the observer learned", loc="left", fontsize=12)
    axes[0, 1].set_title("entropy H: what stays unpredictable to it", loc="left", fontsize=12)
    for axis in axes[-1]:
        axis.set_xlabel("bits per coded token")
    # Both panels of a row have bars, and some right ones baselines.
    handles = {}
    for axis in axes.flat:
        handles |= {label: handle for handle, label in zip(*axis.get_legend_handles_labels())}
    labels = [n for n in (*observers, *(baseline[-1] for baseline in BASELINES)) if n in handles]
    figure.legend(
        [handles[label] for label in labels], labels, loc="outside lower left",
        ncols=min(len(labels), 6), frameon=False,
    )  # fmt: skip
    subject = "The same data, different observers" if len(observers) > 1 else observers[0]
    title = f"{subject}   ({_seeds(cells)})"
    figure.suptitle(title, x=0.01, ha="left", fontsize=14, fontweight="bold")


def laws(splits: dict[str, scaling.Split], path: Path | str | None = None) -> Figure:
    """Draw S, and S as a share of S + H, of scaling laws at one compute budget, with log axes.

    Args:
      splits: by name of the law.
      path: file to write; its ending (png, pdf, svg) selects the format. None writes none.

    Returns:
      The figure.
    """
    ordered = sorted(splits.items(), key=lambda item: item[1].structure_nats)
    names = [name for name, _ in ordered]
    figure = Figure(figsize=(10, 1.2 + 0.45 * len(names)), layout="constrained")
    left, right = figure.subplots(1, 2, sharey=True)
    bits = np.array([(s.structure_nats, s.entropy_nats) for _, s in ordered]) / LN2
    for axis, values, title in (
        (left, bits[:, 0], "structure S, bit"),
        (right, bits[:, 0] / bits.sum(1), "S / (S + H)"),
    ):
        axis.plot(values, names, "o", color=style.LINES[0][0])
        style.dress(axis, title)
        style.log_x(axis)
    return style.save(figure, path)


def _bars(
    axis: Axes, cells: Sequence[Cell], generators: list[str], observers: list[str], key: str
) -> None:
    height = 0.8 / len(observers)
    for rank, observer in enumerate(observers):
        rows = [c for c in cells if c["observer"] == observer and c["generator"] in generators]
        if not rows:
            continue
        axis.barh(
            [generators.index(c["generator"]) + height * (rank + 0.5) - 0.4 for c in rows],
            [c[key][0] for c in rows],
            height=height,
            xerr=[c[key][1] or 0.0 for c in rows],
            error_kw=dict(ecolor="#333333", elinewidth=0.9, capsize=1.5),
            label=observer,
            edgecolor="white",
            linewidth=0,
            **style.fill(rank),
        )
    axis.set_yticks(range(len(generators)), generators, fontsize=11)
    axis.set_ylim(len(generators) - 0.5, -0.5)
    axis.grid(axis="x", color="#e8e8e8", linewidth=0.8)
    axis.set_axisbelow(True)
    axis.spines[["top", "right", "left"]].set_visible(False)
    axis.tick_params(axis="y", length=0)


def _baselines(axis: Axes, cells: Sequence[Cell], generators: list[str]) -> None:
    for key, marker, size, color, label in BASELINES:
        values = {
            c["generator"]: c[key] for c in cells if c["generator"] in generators and key in c
        }
        x = [value[0] if isinstance(value, list) else value for value in values.values()]
        y = [generators.index(generator) for generator in values]
        if values:
            axis.scatter(x, y, s=size, marker=marker, color=color, zorder=3, label=label)


def _seeds(cells: Sequence[Cell]) -> str:
    seeds = sorted({cell["seeds"] for cell in cells})
    note = ", exploratory" if any(cell["exploratory"] for cell in cells) else ""
    return f"{', '.join(map(str, seeds))} seeds, 95 % intervals{note}"
