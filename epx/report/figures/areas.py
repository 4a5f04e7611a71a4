"""S of a single training as the area of its loss above its end: the table and the figure."""

import csv
import io
import json
import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from tabulate import tabulate

from epx.analysis.logs.charges import Log
from epx.analysis.logs.meter import Reading
from epx.analysis.measurement import LN2, Estimate
from epx.report.figures import style
from epx.report.rounding import rounded

HEADS = ("final loss", "tokens D", "S, bit", "S/D, bit/token", "share of the error",
         "H, bit/token")  # fmt: skip
BINS = 400  # of the drawn loss


def table(readings: Sequence[Reading], notes: Sequence[str]) -> str:
    """A line for each final loss, the preferred one first, and the notes.

    The share of the error is that of the final loss in the variance of S.
    """
    rows = []
    for found in readings:
        share = "unknown" if math.isnan(found.anchor_share) else f"{found.anchor_share:.0%}"
        rows.append(
            [found.anchor, f"{found.tokens:.4g}", rounded(*found.structure_bits),
             rounded(*_per_token(found)), share, rounded(*found.entropy_bits_per_tok)]
        )  # fmt: skip
    lines = [tabulate(rows, HEADS, "simple", disable_numparse=True), *notes]
    return "\n".join(lines)


def markdown(readings: Sequence[Reading], notes: Sequence[str]) -> str:
    """The table in Markdown."""
    rows = [list(_plain(found).values()) for found in readings]
    heads = list(_plain(readings[0]))
    return "\n\n".join([tabulate(rows, heads, "github", floatfmt=".6g"), *notes])


def comma_separated(readings: Sequence[Reading], notes: Sequence[str]) -> str:
    """All numbers in full precision; the notes are the last column."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([*_plain(readings[0]), "notes"])
    writer.writerows([[*_plain(found).values(), "; ".join(notes)] for found in readings])
    return text.getvalue().rstrip("\n")


def as_json(readings: Sequence[Reading], notes: Sequence[str]) -> str:
    """All numbers as JSON; null for what is unknown."""
    rows = [{name: _known(value) for name, value in _plain(r).items()} for r in readings]
    return json.dumps({"readings": rows, "notes": list(notes)}, indent=1)


FORMATS = {"table": table, "md": markdown, "csv": comma_separated, "json": as_json}


def _plain(found: Reading) -> dict[str, float | str]:
    s, h = found.structure_bits, found.entropy_bits_per_tok
    return {
        "final_loss": found.anchor,
        "tokens": found.tokens,
        "S_bits": s.mean,
        "S_bits_error": s.half_width,
        "S_error_share_of_final_loss": found.anchor_share,
        "H_bits_per_tok": h.mean,
        "H_bits_per_tok_error": h.half_width,
    }


def _known(value: float | str) -> float | str | None:
    return None if isinstance(value, float) and math.isnan(value) else value


def _per_token(found: Reading) -> Estimate:
    s = found.structure_bits
    return Estimate(s.mean / found.tokens, s.half_width / found.tokens)


def draw(log: Log, reading: Reading, path: Path | str | None = None) -> Figure:
    """Draw the loss against tokens, and shade what lies above the final loss: S.

    Args:
      log: the charges.
      reading: of them.
      path: file to write; its ending (png, pdf, svg) selects the format. None writes none.

    Returns:
      The figure.
    """
    figure = Figure(figsize=(8, 4), layout="constrained")
    axis = figure.subplots()
    edges = np.unique(np.linspace(0, len(log.tokens_K), BINS + 1).astype(int))
    nats, tokens = (np.add.reduceat(x, edges[:-1]) for x in (log.nats_K, log.tokens_K))
    ends, loss = np.cumsum(tokens), nats / tokens / LN2
    end = reading.entropy_bits_per_tok.mean
    x, y = np.concatenate([[0.0], ends]), np.concatenate([loss[:1], loss])
    structure = f"S = {rounded(*reading.structure_bits)} bit"
    axis.fill_between(x, y, end, step="pre", color=style.FILLS[1], label=structure)
    axis.step(x, y, where="pre", **style.line(0) | {"marker": ""}, label="loss of the training")
    axis.axhline(end, color="#777777", linestyle=":", label=f"final loss: {reading.anchor}")
    style.dress(axis, "structure is the area above the final loss", "tokens", "bit per token")
    axis.set_ylim(bottom=min(end, loss.min()) - 0.05 * (loss.max() - loss.min()))
    axis.legend(frameon=False, fontsize=9)
    return style.save(figure, path)
