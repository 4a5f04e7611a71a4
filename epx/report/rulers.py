"""Cheap rulers beside S: how far they order data as S does, and what they cost.

The reservoir score above its floor, the sizes under gzip and xz, and the complexity as advantage
(CAA, arXiv 2511.04590): the variance over learners of what they lose to the best one.
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
      caa: variance over learners of the loss above the best one, in (bits per token)^2: of each
        seed, and their mean with its interval.
      reservoir: score above its floor, in bits.
      gzip, xz: bits per coded token.
      training_seconds: of this learner, what S costs.
      learners_seconds: of all learners, what CAA costs.
      compressors_seconds, reservoir_seconds: of the rulers. All seconds are those of all seeds.
    """

    generator: str
    observer: str
    structure: Estimate
    entropy: Estimate
    caa: Estimate
    reservoir: Estimate
    gzip: float
    xz: float
    training_seconds: float
    learners_seconds: float
    compressors_seconds: float
    reservoir_seconds: float


def measure(runs: Sequence[Run], generator: str, learners: Sequence[str]) -> Rulers:
    """The rulers of one kind of data.

    Args:
      runs: with `label.generator` and `label.observer`; one has `eval.rulers` set.
      generator: label.
      learners: labels of the observers that are compared; one that failed is left out.

    Raises:
      RecordError: no run of this data has the rulers, or none is of a learner.
    """
    of_data = evidence.measured(evidence.select(runs, label__generator=generator))
    labels = {evidence.config(run)["label.observer"]: run for run in of_data}
    trained = {name: labels[name] for name in learners if name in labels}
    ruled = [run for run in of_data if "reservoir_bits" in run.record.baselines]
    if not ruled or not trained:
        lacking = "has eval.rulers set" if trained else f"is of {', '.join(learners)}"
        raise RecordError(f"no run on {generator} {lacking}")
    lengths = {n: _mean(run, evidence.description_bits_per_tok) for n, run in trained.items()}
    best = min(lengths, key=lambda name: lengths[name].mean)
    losses = [evidence.by_seed(run, evidence.entropy_bits_per_tok) for run in trained.values()]
    members, arrays = ruled[0].members, ruled[0].record.baselines
    tokens = arrays["compressed_tok"][members].sum()
    above = (arrays["reservoir_bits"] - arrays["reservoir_floor_bits"])[members]
    return Rulers(
        generator,
        best,
        _mean(trained[best], evidence.structure_bits_per_tok),
        _mean(trained[best], evidence.entropy_bits_per_tok),
        # What is lost to the best learner varies as the losses do.
        evidence.paired(lambda *of_seed: float(np.var(of_seed)), *losses),
        interval(above),
        *(float(arrays[f"{name}_bits"][members].sum() / tokens) for name in ("gzip", "xz")),
        _seconds(trained[best]),
        sum(map(_seconds, trained.values())),
        *(float(arrays[f"{n}_seconds"][members].sum()) for n in ("compressors", "reservoir")),
    )


def _seconds(run: Run) -> float:
    """Wall seconds of the training of a run: its share of the record's."""
    seconds_MxK = run.record.rows["seconds"]
    return float(seconds_MxK[0].sum() * len(run.members) / len(seconds_MxK))


def _mean(run: Run, quantity: evidence.Quantity) -> Estimate:
    return evidence.mean(evidence.by_seed(run, quantity))


COLUMNS = ("reservoir", "gzip", "xz", "caa")


def correlations(rows: Sequence[Rulers]) -> dict[str, rank.Correlation]:
    """The rank correlation of each ruler with S, over kinds of data."""
    s = [row.structure.mean for row in rows]
    found = {}
    for name in COLUMNS:
        values = [getattr(row, name) for row in rows]
        column = [value.mean if isinstance(value, Estimate) else value for value in values]
        found[name] = rank.with_interval(column, s)
    return found


def table(rows: Sequence[Rulers]) -> str:
    """The rulers of all kinds of data, and below them their rank correlations with S."""
    heads = [
        "data", "shortest description by", "S bit/token", "H bit/token", "CAA", "reservoir, bit",
        "gzip bit/token", "xz bit/token", "seconds: S", "CAA (all trainings)", "gzip and xz",
        "reservoir",
    ]  # fmt: skip
    body = [
        [row.generator, row.observer, rounded(*row.structure), rounded(*row.entropy),
         rounded(*row.caa), rounded(*row.reservoir), f"{row.gzip:.3f}", f"{row.xz:.3f}",
         f"{row.training_seconds:.0f}", f"{row.learners_seconds:.0f}",
         f"{row.compressors_seconds:.2f}", f"{row.reservoir_seconds:.2f}"]
        for row in rows
    ]  # fmt: skip
    lines = [tabulate(body, heads, "simple", disable_numparse=True)]
    for name, found in correlations(rows).items():
        span = f"{found.low:.2f} to {found.high:.2f}"
        lines.append(f"rank correlation of {name} with S: {found.value:.2f} ({span})")
    return "\n".join(lines)
