"""The user's own data beside their controls: a line for each, and a figure of all observers."""

import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from matplotlib.figure import Figure
from tabulate import tabulate

from epx.analysis.logs import meter
from epx.analysis.measurement import Estimate
from epx.report import evidence
from epx.report.figures import bars, lines, style
from epx.report.rounding import rounded
from epx.report.summary import Cell, Run, measured

SHORT_DATA = 1.0  # tokens learned from for each weight, below which S says little
REPEATED = 0.05  # of the pieces, above which a compressor finds what an observer does not


class Rulers(NamedTuple):
    """What needs no learner.

    Attributes:
      bits_per_tok: of each compressor, by name.
      reservoir_bits: score above that of the tokens in random order; None: too few tokens.
      repeated: share of the pieces of 32 tokens that occurred before.
      bytes_per_token: of the file; 0 where bytes say nothing.
    """

    bits_per_tok: dict[str, float]
    reservoir_bits: float | None
    repeated: float
    bytes_per_token: float


def best(cells: Sequence[Cell]) -> dict[str, Cell]:
    """The cell of the shortest description S + H, by generator."""
    found: dict[str, Cell] = {}
    for cell in measured(cells):
        other = found.setdefault(cell["generator"], cell)
        if cell["MDL_bits_per_tok"][0] < other["MDL_bits_per_tok"][0]:
            found[cell["generator"]] = cell
    return found


def table(cells: Sequence[Cell], runs: Sequence[Run], rulers: Mapping[str, Rulers]) -> str:
    """S and H of the shortest description of each, beside the rulers, and what to beware of."""
    names = list(next(iter(rulers.values())).bits_per_tok)
    has_bytes = any(found.bytes_per_token for found in rulers.values())
    heads = ["data", "S bit/token", "H bit/token", *["S bit/byte", "H bit/byte"] * has_bytes,
             "by", *names, "reservoir"]  # fmt: skip
    rows = []
    for name, cell in best(cells).items():
        ruler = rulers[name]
        s, h = cell["S_bits_per_tok"], cell["H_bits_per_tok"]
        size = ruler.bytes_per_token
        per_byte = [_rounded(*pair, size) if size else "" for pair in (s, h)]
        score = "" if ruler.reservoir_bits is None else f"{ruler.reservoir_bits:.1f}"
        rows.append(
            [name, _rounded(*s), _rounded(*h), *per_byte * has_bytes,
             cell["observer"], *(f"{bits:.3f}" for bits in ruler.bits_per_tok.values()), score]
        )  # fmt: skip
    text = tabulate(rows, heads, "simple", disable_numparse=True)
    return "\n".join([text, *warnings(cells, runs, rulers)])


def _rounded(mean: float, half_width: float | None, size: float = 1.0) -> str:
    """An estimate divided by a size, to a millionth at most."""
    half = None if half_width is None else round(half_width / size, 6)
    return rounded(round(mean / size, 6), half, tight=True)


def warnings(cells: Sequence[Cell], runs: Sequence[Run], rulers: Mapping[str, Rulers]) -> list[str]:
    """Where the numbers mean little, in words."""
    found = []
    falling = {
        (evidence.config(run)["label.generator"], evidence.config(run)["label.observer"])
        for run in runs
        if _falls(run)
    }
    for name, cell in best(cells).items():
        weights = cell["parameters"]
        learns = cell["observer_arguments"]["name"] != "counts"  # its numbers are counts
        if learns and cell["coded_tok"] < SHORT_DATA * weights:
            found.append(
                f"{name}: short for this observer: {cell['coded_tok']:.3g} tokens for "
                f"{weights:.3g} weights"
            )
        if (name, cell["observer"]) in falling:
            found.append(
                f"{name}: the loss still falls at the end: with more tokens S is larger and H "
                "smaller"
            )
        sizes = rulers[name].bits_per_tok
        shortest = min(sizes, key=sizes.get, default="")
        if shortest and sizes[shortest] < cell["H_bits_per_tok"][0]:
            found.append(
                f"{name}: {shortest} needs {sizes[shortest]:.3f} bit per token, less than H: the "
                "data are short, or have repeats that no example shows"
            )
        share = rulers[name].repeated
        if share > REPEATED:
            found.append(f"{name}: {share:.0%} of its pieces of 32 tokens occurred before")
    return found


def _falls(run: Run) -> bool:
    """Whether the loss of a run, the mean over its seeds, still falls at the end."""
    nats_K, tokens_K = (run.record.rows[key][run.members].sum(0) for key in ("nats", "coded_tok"))
    return bool(meter.notes(nats_K, tokens_K))


def draw(
    cells: Sequence[Cell], runs: Sequence[Run], data: Sequence[str], path: Path | None = None
) -> Figure:
    """Draw S and H of all observers as bars; below S against compute, and the reservoir score.

    Beside the observers of the data stand their controls, under the observer that describes the
    data most shortly.

    Args:
      cells: of the data and of their controls, with `reservoir_bits` where there is a score.
      runs: the same.
      data: the labels of the data, without controls.
      path: file to write; its ending (png, pdf, svg) selects the format. None writes none.
    """
    shortest = best(cells)
    panels = []
    for name in data:
        series = {}
        for run in evidence.select(runs, label__generator=name):
            series[evidence.config(run)["label.observer"]] = _points(run)
        observer = shortest[name]["observer"]
        for control in _controls(shortest, name):
            label = f"{name}, {control}"
            for run in evidence.select(runs, label__generator=label, label__observer=observer):
                series[control] = _points(run)
        title = f"{name}: S, controls by {observer}"
        panels.append(lines.Panel(title, style.COMPUTE, "bit per token", series, scale="log"))
    return bars.with_panels(cells, [*panels, *_scores(shortest, data)], path)


def _points(run: Run) -> list[tuple[float, Estimate]]:
    return evidence.against_compute(run, evidence.structure_bits_per_tok)


def _controls(names: Iterable[str], data: str) -> list[str]:
    """The names of the controls of data, which follow their label."""
    return [name.removeprefix(f"{data}, ") for name in names if name.startswith(f"{data}, ")]


def _scores(cells: Mapping[str, Cell], data: Sequence[str]) -> list[lines.Panel]:
    """The reservoir scores of data and controls, if there are any."""
    controls = list(dict.fromkeys(c for name in data for c in _controls(cells, name)))
    series = {}
    for name in data:
        scored = [cells.get(f"{name}, {c}" if c else name, {}) for c in ("", *controls)]
        points = [
            (float(n), Estimate(cell["reservoir_bits"][0], math.nan))
            for n, cell in enumerate(scored)
            if "reservoir_bits" in cell
        ]
        series |= {f"reservoir, {name}": points} if points else {}
    places = ["data", *(control.partition(" of ")[0] for control in controls)]
    title = "reservoir score above its floor"
    return [lines.Panel(title, "", "bit", series, names=places)] if series else []
