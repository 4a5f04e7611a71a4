"""Curves: frontiers, loss curves, estimates from scaling laws, and the lengths of messages."""

from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from epx.analysis import scaling
from epx.analysis.frontier import Curve
from epx.analysis.loss import LossCurve
from epx.analysis.measurement import LN2, Estimate
from epx.analysis.scaling import LossLaw
from epx.report.figures import style
from epx.types import require

# Least number of messages in a bin of `messages`.
FEWEST = 10
BINS = 12


def frontiers(curves: dict[str, Curve], path: Path | str | None = None) -> Figure:
    """Draw S_T, H_T and S_T + H_T against compute, a small panel for each generator.

    Step lines are values, bands 95 % intervals, small dots the points of the runs. Bits are those
    of the full coded set.

    Args:
      curves: frontiers by name.
      path: file to write; its ending (png, pdf, svg) selects the format. None writes none.

    Returns:
      The figure.
    """
    figure, axes = style.panels(len(curves))
    for axis, (name, curve) in zip(axes, curves.items()):
        points = curve.points
        total = [s.mean + h.mean for s, h in zip(curve.structure_bits, curve.entropy_bits)]
        series = (
            ("structure S_T", points.structure_bits, curve.structure_bits),
            ("entropy H_T", points.entropy_bits, curve.entropy_bits),
            ("description S_T + H_T", None, [Estimate(value, np.nan) for value in total]),
        )
        for rank, (label, dots, estimates) in enumerate(series):
            _step_with_band(axis, curve.flops, estimates, rank, label)
            if dots is not None:
                color = style.LINES[rank][0]
                axis.plot(points.flops, dots, ".", color=color, alpha=0.3, markersize=2.5)
        style.dress(axis, name, style.COMPUTE, "bit")
        style.log_x(axis)
        shown = np.array([*curve.structure_bits, *curve.entropy_bits])
        lower = shown[:, 0] - np.nan_to_num(shown[:, 1])
        style.log_if_wide(axis, np.concatenate([shown[:, 0], lower]))
    _label_edges(axes)
    style.legend(figure, axes)
    return style.save(figure, path)


def _step_with_band(
    axis: Axes, x: np.ndarray, estimates: list[Estimate], rank: int, label: str
) -> None:
    mean, half = np.array(estimates, float).T
    look = style.line(rank)
    axis.step(x, mean, where="post", label=label, markevery=[len(x) - 1], **look)
    if np.isfinite(half).any():
        axis.fill_between(
            x, mean - half, mean + half, step="post", color=look["color"], alpha=0.18, linewidth=0
        )


def losses(curves: dict[str, dict[str, LossCurve]], path: Path | str | None = None) -> Figure:
    """Draw online loss against tokens, a panel for each generator, a line for each observer.

    Marks are held-out evaluations of the last weights. A generator with more than six observers has
    several panels.

    Args:
      curves: loss curves by generator and observer.
      path: file to write; its ending (png, pdf, svg) selects the format. None writes none.

    Returns:
      The figure.
    """
    names = dict.fromkeys(name for lines in curves.values() for name in lines)
    ranks = {name: rank for rank, name in enumerate(names)}
    parts = []
    for generator, lines in curves.items():
        names = list(lines)
        for first in range(0, len(names), style.SERIES):
            parts.append((generator, {n: lines[n] for n in names[first : first + style.SERIES]}))
    figure, axes = style.panels(len(parts))
    for axis, (generator, lines) in zip(axes, parts):
        for observer, curve in lines.items():
            look = style.line(ranks[observer])
            marker = {key: look.pop(key) for key in ("marker", "markersize")}
            axis.plot(curve.tokens, curve.bits_per_tok, **look)
            axis.plot(
                curve.held_out_tokens, curve.held_out_bits_per_tok, color=look["color"],
                linestyle="none", markeredgecolor="white", markeredgewidth=0.6, **marker,
            )  # fmt: skip
            axis.plot([], [], label=observer, **look, **marker)
        style.dress(axis, generator, "coded tokens learned from", "bit per coded token")
        style.log_x(axis)
        values = [value for curve in lines.values() for value in curve.bits_per_tok]
        style.log_if_wide(axis, values)
        if axis.get_yscale() == "linear":
            axis.set_ylim(bottom=0)
    _label_edges(axes)
    style.legend(figure, axes)
    return style.save(figure, path)


def _label_edges(axes: list[Axes]) -> None:
    """Keep x labels only on the lowest panels of a grid, y labels on the first of each row."""
    for axis in axes:
        spec = axis.get_subplotspec()
        below = [a for a in axes if a.get_subplotspec().colspan == spec.colspan]
        if axis is not below[-1]:
            axis.set_xlabel("")
        if not spec.is_first_col():
            axis.set_ylabel("")


def estimates(
    laws: dict[str, LossLaw], test_tokens: float, path: Path | str | None = None
) -> Figure:
    """Draw S and H of scaling laws against compute, in bits of the full coded set.

    A mark at the right edge is the value for unbounded compute.

    Args:
      laws: by name.
      test_tokens: size of the coded set.
      path: file to write; its ending (png, pdf, svg) selects the format. None writes none.

    Returns:
      The figure.
    """
    figure = Figure(figsize=(12, 4.6), layout="constrained")
    axes = figure.subplots(1, 2)
    budgets = np.geomspace(1e3 * test_tokens, 1e18 * test_tokens, 200)
    for rank, (name, law) in enumerate(laws.items()):
        splits = [scaling.split(law, flops, test_tokens) for flops in budgets]
        nats = zip(*((split.structure_nats, split.entropy_nats) for split in splits))
        look = style.line(rank)
        for axis, values, limit in zip(axes, nats, law.limit(test_tokens)):
            axis.plot(budgets, np.array(values) / LN2, label=name, markevery=(5 * rank, 40), **look)
            mark = look | {"linestyle": "none", "markersize": 6}
            axis.plot(budgets[-1], limit / LN2, clip_on=False, **mark)
    for axis, title in zip(axes, ("structure S", "entropy H")):
        style.dress(axis, f"{title} of {test_tokens:.3g} tokens, bit", style.COMPUTE)
        style.log_x(axis)
        axis.set_yscale("log")
    style.legend(figure, [axes[0]], columns=4)
    return style.save(figure, path)


def messages(
    kl_bits: np.ndarray,
    length_bits: np.ndarray,
    proposals: np.ndarray,
    message_bits: float,
    path: Path | str | None = None,
) -> Figure:
    """Draw the length of messages and the number of proposals against their KL.

    Each mark is a bin of at least FEWEST messages of similar KL: the mean length with its 95 %
    interval, with the KL and the proved bound, and the mean number of examined proposals.

    Args:
      kl_bits, length_bits, proposals: of each message, in any shape.
      message_bits: the constant of the bound KL + 2 log2(1 + KL) + message_bits.
      path: file to write; its ending (png, pdf, svg) selects the format. None writes none.

    Returns:
      The figure.

    Raises:
      ValueError: no bin has enough messages.
    """
    kl, length, proposals = (np.ravel(array) for array in (kl_bits, length_bits, proposals))
    bins = np.minimum((BINS * kl / max(kl.max(), 1e-9)).astype(int), BINS - 1)
    members = [np.flatnonzero(bins == n) for n in range(BINS) if (bins == n).sum() >= FEWEST]
    accepted = f"enough for a figure: {FEWEST} of similar KL, at most {BINS * FEWEST - BINS + 1}"
    require("messages", len(kl), bool(members), accepted)
    x = np.array([kl[index].mean() for index in members])
    figure = Figure(figsize=(10, 4.2), layout="constrained")
    left, right = figure.subplots(1, 2)
    half = [1.96 * length[index].std(ddof=1) / np.sqrt(len(index)) for index in members]
    mean = [length[index].mean() for index in members]
    label = "sent, mean and 95 % interval"
    mark = dict(fmt="o", markersize=5, capsize=2, color=style.LINES[0][0], label=label)
    left.errorbar(x, mean, yerr=half, **mark)
    grid = np.linspace(0, x.max() * 1.05, 200)
    # arXiv 2607.11883: the bound on the expected length of a message.
    bound = grid + 2 * np.log2(1 + grid) + message_bits
    left.plot(grid, grid, color="#777777", linestyle=":", label="KL")
    left.plot(grid, bound, "--", color=style.LINES[1][0],
              label=f"KL + 2 log2(1 + KL) + {message_bits}")  # fmt: skip
    right.plot(x, [proposals[index].mean() for index in members], "o", markersize=5,
               color=style.LINES[0][0], label="tried, mean")  # fmt: skip
    right.plot(grid, 2**grid, color="#777777", linestyle=":", label="2^KL")
    right.set_yscale("log")
    titles = ("length of a message, bit", "proposals tried for a message")
    for axis, title in zip((left, right), titles):
        style.dress(axis, title, "KL(teacher || student) of a message, bit")
        axis.legend(frameon=False, fontsize=9)
    return style.save(figure, path)
