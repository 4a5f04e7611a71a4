"""The atlas: S and H of many observers on many kinds of data, in one poster and as ladders."""

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from tabulate import tabulate

from epx.analysis import anchors, ledger, rank
from epx.analysis.measurement import Estimate
from epx.report import evidence
from epx.report.evidence import Reading
from epx.report.figures import style
from epx.report.summary import Run

STRUCTURE, ENTROPY = "#1b4f8a", "#c9d3dd"


def per_token(run: Run) -> tuple[Estimate, Estimate]:
    """S and H of a run in bits per token of its coded set."""
    s = evidence.by_seed(run, evidence.structure_bits_per_tok)
    return evidence.mean(s), evidence.mean(evidence.by_seed(run, evidence.entropy_bits_per_tok))


def poster(
    runs: Sequence[Run],
    generators: Sequence[str],
    observers: Sequence[str],
    caption: str,
    path: Path | str | None = None,
) -> Figure:
    """Draw S and H of every observer (a column) on every kind of data (a row).

    The bar of a cell is as long as S + H in units of log2 V, the bits of a token that nothing is
    known of: the dark part is S, the light part H, whiskers are the 95 % intervals of S and of H.
    The numbers below are S and H in bits per token.

    Args:
      runs: with `label.generator` and `label.observer` in their configs.
      generators, observers: labels of the rows and columns, in order; a cell without a run that can
        be measured has a dash.
      caption: what all numbers have in common.
      path: file to write; its ending (png, pdf, svg) selects the format. None writes none.

    Returns:
      The figure.
    """
    table = _table(runs)
    shape = len(generators), len(observers)
    figure = Figure(figsize=(2.4 + 1.02 * shape[1], 1.4 + 0.56 * shape[0]), layout="constrained")
    grid = figure.subplots(*shape, squeeze=False, sharex=True)
    for row, generator in zip(grid, generators):
        for axis, observer in zip(row, observers):
            _cell(axis, table.get((generator, observer)))
        row[0].set_ylabel(generator, rotation=0, ha="right", va="center", fontsize=9)
    for axis, observer in zip(grid[0], observers):
        axis.set_title(observer.replace(", ", "\n"), fontsize=8)
    figure.suptitle(
        f"What {caption} find: structure S (dark) and entropy H (light), bit per token",
        x=0.01, ha="left", fontsize=12, fontweight="bold",
    )  # fmt: skip
    return style.save(figure, path)


def _table(runs: Sequence[Run]) -> dict[tuple[str, str], Run]:
    """The runs that can be measured, by the labels of data and observer."""
    labels = ("label.generator", "label.observer")
    configs = [(evidence.config(run), run) for run in evidence.measured(runs)]
    return {tuple(config[key] for key in labels): run for config, run in configs}


def _cell(axis, run: Run | None) -> None:
    axis.set_xlim(0, 1.35)
    axis.set_ylim(-1.0, 0.55)
    axis.set_xticks([])
    axis.set_yticks([])
    axis.spines[["top", "right", "bottom", "left"]].set_visible(False)
    axis.axvline(1, color="#aaaaaa", linewidth=0.7, linestyle=":")
    if run is None:
        axis.text(0.5, 0, "–", ha="center", va="center", color="#999999")
        return
    s, h = per_token(run)
    unit = np.log2(run.record.config["facts"]["vocab"])
    shown = max(s.mean, 0.0)
    axis.barh(0, shown / unit, color=STRUCTURE, height=0.6)
    axis.barh(0, h.mean / unit, left=shown / unit, color=ENTROPY, height=0.6)
    for end, half, place in ((shown, s.half_width, 0.12), (shown + h.mean, h.half_width, -0.12)):
        axis.errorbar(end / unit, place, xerr=np.nan_to_num(half) / unit, color="black",
                      elinewidth=0.8, capsize=1.5)  # fmt: skip
    axis.text(0, -0.7, f"{s.mean:.3f} + {h.mean:.3f}", fontsize=6.5, va="center")


QUANTITIES = {
    "structure S": evidence.structure_bits_per_tok,
    "entropy H": evidence.entropy_bits_per_tok,
    "S + H": evidence.description_bits_per_tok,
}
DESCRIPTION, LEAST = "S + H", "shortest S + H so far"


def ladders(
    runs: Sequence[Run],
    generators: Sequence[str],
    families: Mapping[str, Sequence[str]],
    oracle: str,
    caption: str,
    path: Path | str | None = None,
) -> Figure:
    """Draw S, H and S + H (columns) of every kind of data (rows) against compute.

    A line is one learner: a point for each evaluation, the mean over seeds with its 95 % interval,
    in bits per token of the coded set. Learners of a family share colour, dashes and marker; the
    markers of all but its largest are open. Points of S + H are not joined: the black line is the
    least of all learners with as much compute or less. The oracle is a cross; what its program
    costs is not counted, so that it is outside of the minimum.

    Args:
      runs: as in `poster`.
      generators: labels of the rows.
      families: the labels of the learners of each family, from small to large.
      oracle: label of the observer that is given the law.
      caption, path: as in `poster`.
    """
    table, looks = _table(runs), _looks(families)
    figure = Figure(figsize=(12, 2.2 * len(generators) + 1.4), layout="constrained")
    grid = figure.subplots(len(generators), len(QUANTITIES), squeeze=False, sharex="row")
    for row, generator in zip(grid, generators):
        learners = {n: run for n in looks if (run := table.get((generator, n)))}
        for axis, what in zip(row, QUANTITIES):
            style.dress(axis, f"{generator}: {what}", "", "bit per token")
            _ladder(axis, learners, looks, what)
            if known := table.get((generator, oracle)):
                last = evidence.against_compute(known, QUANTITIES[what])[-1:]
                _points(axis, last, dict(color="black", marker="x", markersize=6, label=oracle))
            style.log_x(axis)
            drawn = [y for series in axis.containers for y in series.lines[0].get_ydata()]
            style.log_if_wide(axis, np.array(drawn), factor=100.0)
    for axis in grid[-1]:
        axis.set_xlabel(style.COMPUTE, fontsize=9)
    figure.suptitle(f"What {caption} find with more compute", x=0.01, ha="left", fontweight="bold")
    style.legend(figure, list(grid.flat), columns=4)
    return style.save(figure, path)


def _ladder(axis: Axes, learners: dict[str, Run], looks: dict[str, dict], what: str) -> None:
    """Draw the series of the learners, and of S + H the least so far."""
    ends = []
    for name, run in learners.items():
        points = evidence.against_compute(run, QUANTITIES[what])
        apart = {"linestyle": "none"} if what == DESCRIPTION else {}
        _points(axis, points, looks[name] | apart | {"label": name})
        ends += [flops for flops, _ in points]
    if ends and what == DESCRIPTION:
        least = evidence.shortest([*learners.values()], QUANTITIES[what])
        x, y = zip(*((flops, bits.mean) for flops, bits in least))
        look = dict(color="black", drawstyle="steps-post", label=LEAST, zorder=3)
        axis.plot([*x, max(ends)], [*y, y[-1]], **look)


def _points(axis: Axes, points: Sequence[tuple[float, Estimate]], look: dict) -> None:
    if points:
        x, estimates = zip(*points)
        mean, half = np.array(estimates, float).T
        axis.errorbar(x, mean, yerr=np.nan_to_num(half), capsize=2, elinewidth=0.9, **look)


def _looks(families: Mapping[str, Sequence[str]]) -> dict[str, dict]:
    """The look of the line of each learner."""
    return {
        name: style.line(rank) | ({} if name == names[-1] else {"markerfacecolor": "white"})
        for rank, names in enumerate(families.values())
        for name in names
    }


class Survival(NamedTuple):
    """How far the order of the data by S survives, of one learner.

    Attributes:
      observer: its label.
      correlations: the rank correlation of S over kinds of data with S in each other reading.
      ranked: how many kinds of data each is over: what failed in a reading is left out.
    """

    observer: str
    correlations: dict[str, rank.Correlation]
    ranked: dict[str, int]


def survival(
    runs: Sequence[Run], generators: Sequence[str], observer: str, others: dict[str, str]
) -> Survival:
    """How the order of the data by S changes with the anchor, and with other runs.

    Args:
      runs: as in `poster`.
      generators: labels of the data that are ordered.
      observer: label of the learner.
      others: labels of the same learner with other settings, by their name in the result.
    """
    table = _table(runs)
    read = partial(_structures, table, generators)
    reference = read(observer)
    readings = {
        f"anchor {name}": read(observer, name) for name in anchors.ANCHORS if name != "oracle"
    }
    readings |= {name: read(label) for name, label in others.items()}
    result = Survival(observer, {}, {})
    for name, values in readings.items():
        if common := [generator for generator in values if generator in reference]:
            pairs = ([of[generator] for generator in common] for of in (reference, values))
            result.correlations[name] = rank.with_interval(*pairs)
            result.ranked[name] = len(common)
    return result


def _structures(
    table: Mapping[tuple[str, str], Run],
    generators: Sequence[str],
    observer: str,
    anchor: str | None = None,
) -> dict[str, float]:
    """S of the data on which the observer has this anchor, in bits per token."""
    found = {}
    for generator in generators:
        run = table.get((generator, observer))
        if run and (anchor is None or anchor in ledger.anchors(run.record, members=run.members)):
            reading = Reading(anchor=anchor)
            values = evidence.by_seed(run, evidence.structure_bits_per_tok, reading)
            found[generator] = evidence.mean(values).mean
    return found


def survival_table(rows: Sequence[Survival]) -> str:
    """The correlations as text, an observer a row; in brackets the 95 % interval over the data."""
    heads = list(dict.fromkeys(name for row in rows for name in row.correlations))
    body = []
    for row in rows:
        line, most = [row.observer], max(row.ranked.values(), default=0)
        for name in heads:
            found, count = row.correlations.get(name), row.ranked.get(name)
            text = f"{found.value:.2f} ({found.low:.2f} to {found.high:.2f})" if found else "–"
            line.append(f"{text}, {count} data" if found and count < most else text)
        body.append(line)
    return tabulate(body, ["observer", *heads], "simple", disable_numparse=True)
