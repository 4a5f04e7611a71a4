"""The atlas: S and H of many observers on many kinds of data, in one poster and as ladders."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from matplotlib.figure import Figure
from tabulate import tabulate

from epx.analysis import anchors, ledger, rank
from epx.analysis.measurement import Estimate
from epx.report import evidence
from epx.report.evidence import Reading
from epx.report.figures import lines, style
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
      generators, observers: labels of the rows and columns, in order; a cell without a run has a
        dash.
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
    labels = ("label.generator", "label.observer")
    return {tuple(evidence.config(run)[key] for key in labels): run for run in runs}


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


def ladders(
    runs: Sequence[Run],
    generators: Sequence[str],
    families: Sequence[str],
    path: Path | str | None = None,
) -> Figure:
    """Draw S and H against compute: every evaluation of every run is a point, by family.

    Points are means over seeds with 95 % intervals, in bits per token of the coded set; those of
    all sizes of a family are in one series.

    Args:
      runs: as in `poster`.
      generators: labels of the panels.
      families: names of observers.
      path: as in `poster`.
    """
    quantities = {"S": evidence.structure_bits_per_tok, "H": evidence.entropy_bits_per_tok}
    shown = []
    for what, quantity in quantities.items():
        for generator in generators:
            series: dict[str, list[tuple[float, Estimate]]] = {}
            for run in evidence.select(runs, label__generator=generator):
                family = evidence.config(run)["observer.name"]
                if family in families:
                    series.setdefault(family, []).extend(evidence.against_compute(run, quantity))
            title = f"{generator}: {what}"
            shown.append(lines.Panel(title, "FLOP", "bit per token", series, scale="log"))
    return lines.panels(shown, path)


class Survival(NamedTuple):
    """The rank correlation of S over kinds of data, of an observer, with that in other readings."""

    observer: str
    correlations: dict[str, rank.Correlation]


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
    own = [table[generator, observer] for generator in generators]
    reference = [_structure(run) for run in own]
    found = {}
    available = [ledger.anchors(run.record, members=run.members) for run in own]
    for anchor in anchors.ANCHORS:
        if anchor != "oracle" and all(anchor in names for names in available):
            values = [_structure(run, Reading(anchor=anchor)) for run in own]
            found[f"anchor {anchor}"] = rank.with_interval(reference, values)
    for name, label in others.items():
        values = [_structure(table[generator, label]) for generator in generators]
        found[name] = rank.with_interval(reference, values)
    return Survival(observer, found)


def _structure(run: Run, reading: Reading = evidence.DEFAULT) -> float:
    return evidence.mean(evidence.by_seed(run, evidence.structure_bits_per_tok, reading)).mean


def survival_table(rows: Sequence[Survival]) -> str:
    """The correlations as text, an observer a row; in brackets the 95 % interval over the data."""
    heads = ["observer", *rows[0].correlations]
    body = []
    for row in rows:
        cells = [f"{c.value:.2f} ({c.low:.2f} to {c.high:.2f})" for c in row.correlations.values()]
        body.append([row.observer, *cells])
    return tabulate(body, heads, "simple", disable_numparse=True)
