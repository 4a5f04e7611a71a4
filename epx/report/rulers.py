"""Cheap rulers beside S: how far they order data as S does, and what they cost.

The reservoir score above its floor, the sizes under gzip and xz, and the complexity as advantage
(CAA, arXiv 2511.04590): the variance over observers of what they lose to the best one.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from tabulate import tabulate

from epx.analysis import rank
from epx.analysis.measurement import Estimate, interval
from epx.record import RecordError
from epx.report import evidence
from epx.report.rounding import rounded
from epx.report.summary import Run


class Rulers(NamedTuple):
    """Numbers of one kind of data.

    Attributes:
      generator: its label.
      observer: the learner of the shortest description.
      structure, entropy: its S and H, in bits per token.
      caa: variance over learners of the loss above the best one, in (bits per token)^2.
      reservoir: score above its floor, in bits.
      gzip, xz: bits per coded token.
      training_seconds, compressors_seconds, reservoir_seconds: of all seeds together.
    """

    generator: str
    observer: str
    structure: Estimate
    entropy: Estimate
    caa: float
    reservoir: Estimate
    gzip: float
    xz: float
    training_seconds: float
    compressors_seconds: float
    reservoir_seconds: float


def measure(runs: Sequence[Run], generator: str, without: Sequence[str] = ("oracle",)) -> Rulers:
    """The rulers of one kind of data, from all learners of its records.

    Args:
      runs: with `label.generator` and `label.observer`; one has `eval.rulers` set.
      generator: label.
      without: labels of observers that are no learners.

    Raises:
      RecordError: no run of this data has the rulers.
    """
    of_data = evidence.select(runs, label__generator=generator)
    learners = {
        name: run
        for run in of_data
        if (name := evidence.config(run)["label.observer"]) not in without
    }
    ruled = [run for run in of_data if "reservoir_bits" in run.record.baselines]
    if not ruled:
        raise RecordError(f"no run on {generator} has eval.rulers set")
    lengths = {n: _mean(run, evidence.description_bits_per_tok) for n, run in learners.items()}
    best = min(lengths, key=lambda name: lengths[name].mean)
    losses = {n: _mean(run, evidence.entropy_bits_per_tok).mean for n, run in learners.items()}
    members, arrays = ruled[0].members, ruled[0].record.baselines
    tokens = arrays["compressed_tok"][members].sum()
    above = (arrays["reservoir_bits"] - arrays["reservoir_floor_bits"])[members]
    rows = learners[best].record.rows
    return Rulers(
        generator,
        best,
        _mean(learners[best], evidence.structure_bits_per_tok),
        _mean(learners[best], evidence.entropy_bits_per_tok),
        float(np.var(list(losses.values()))),
        interval(above),
        *(float(arrays[f"{name}_bits"][members].sum() / tokens) for name in ("gzip", "xz")),
        float(rows["seconds"][0].sum() * len(learners[best].members) / len(rows["seconds"])),
        *(float(arrays[f"{n}_seconds"][members].sum()) for n in ("compressors", "reservoir")),
    )


def _mean(run: Run, quantity: evidence.Quantity) -> Estimate:
    return evidence.mean(evidence.by_seed(run, quantity))


COLUMNS = ("reservoir", "gzip", "xz", "caa")


def correlations(rows: Sequence[Rulers]) -> dict[str, rank.Correlation]:
    """The rank correlation of each ruler with S, over kinds of data."""
    s = [row.structure.mean for row in rows]
    values = {
        "reservoir": [row.reservoir.mean for row in rows],
        **{name: [getattr(row, name) for row in rows] for name in COLUMNS[1:]},
    }
    return {name: rank.with_interval(column, s) for name, column in values.items()}


def table(rows: Sequence[Rulers]) -> str:
    """The rulers of all kinds of data, and below them their rank correlations with S."""
    heads = [
        "data", "shortest description by", "S bit/token", "H bit/token", "CAA", "reservoir, bit",
        "gzip bit/token", "xz bit/token", "seconds: S", "gzip and xz", "reservoir",
    ]  # fmt: skip
    body = [
        [row.generator, row.observer, rounded(*row.structure), rounded(*row.entropy),
         f"{row.caa:.3g}", rounded(*row.reservoir), f"{row.gzip:.3f}", f"{row.xz:.3f}",
         f"{row.training_seconds:.0f}", f"{row.compressors_seconds:.2f}",
         f"{row.reservoir_seconds:.2f}"]
        for row in rows
    ]  # fmt: skip
    lines = [tabulate(body, heads, "simple", disable_numparse=True)]
    for name, found in correlations(rows).items():
        span = f"{found.low:.2f} to {found.high:.2f}"
        lines.append(f"rank correlation of {name} with S: {found.value:.2f} ({span})")
    return "\n".join(lines)
