"""Woken or taught, from the records of a fine-tuning at rising numbers of examples."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from tabulate import tabulate

from epx.analysis import elicitation, ledger
from epx.analysis.elicitation import Curve, Verdict
from epx.analysis.measurement import LN2, Estimate, interval
from epx.record import RecordError
from epx.report import evidence, summary
from epx.report.evidence import Reading
from epx.report.rounding import rounded
from epx.report.summary import Run


class Tuning(NamedTuple):
    """A fine-tuning: its runs at each number of examples, and what they say.

    Attributes:
      name: of the data and of the observer.
      curves: EDL by seed.
      total_bits: EDL at the most examples.
      bits_per_parameter: the same for each number that learns, P.
      verdict: of the rule.
    """

    name: tuple[str, str]
    curves: dict[int, Curve]
    total_bits: Estimate
    bits_per_parameter: Estimate
    verdict: Verdict


def tunings(runs: Sequence[Run]) -> list[Tuning]:
    """The fine-tunings among runs: those with `run.examples`, by data and observer.

    Raises:
      RecordError: there is none.
    """
    groups: dict[tuple[str, str], dict[int, Run]] = {}
    cells = summary.cells(list({id(run.record): run.record for run in runs}.values()))
    for run, cell in zip(runs, cells):
        examples = evidence.config(run).get("run.examples")
        if examples is not None and "missing" not in cell:
            groups.setdefault((cell["generator"], cell["observer"]), {})[examples] = run
    found = [_tuning(name, of_size) for name, of_size in groups.items() if len(of_size) > 1]
    if not found:
        raise RecordError("no runs that differ in run.examples alone")
    return found


def _tuning(name: tuple[str, str], by_size: dict[int, Run]) -> Tuning:
    sizes = sorted(by_size)
    excess = [excess_bits(by_size[n]) for n in sizes]
    seeds = sorted(set.intersection(*(set(of_seed) for of_seed in excess)))
    if not seeds:
        raise RecordError(f"{', '.join(name)}: no seed has all numbers of examples")
    curves = {
        seed: Curve(np.array(sizes, float), np.array([of_seed[seed] for of_seed in excess]))
        for seed in seeds
    }
    verdict = elicitation.decide(curves)
    verdict.warnings.extend(_warnings(by_size))
    total = interval(np.array([curve.bits[-1] for curve in curves.values()]))
    facts = by_size[sizes[-1]].record.config["facts"]
    learned = facts.get("learned_parameters", facts["parameters"])
    per_parameter = Estimate(total.mean / learned, total.half_width / learned)
    return Tuning(name, curves, total, per_parameter, verdict)


def excess_bits(run: Run) -> dict[int, float]:
    """EDL by seed above the held-out loss of the best evaluation after the first pass.

    The evaluations stop the training early, as in arXiv 2601.04728: the floor is the least held-out
    loss, not that of the training.
    """
    first_pass = _first_pass_steps(run)
    found: dict[int, float] = {}
    for step in sorted(run.record.evals):
        if step < first_pass:
            continue
        reading = Reading(code="excess", anchor=_anchor(run, step), step=step)
        for seed, bits in evidence.by_seed(run, evidence.structure_bits, reading).items():
            found[seed] = max(bits, found.get(seed, -np.inf))
    return found


def _anchor(run: Run, step: int) -> str:
    """The held-out loss: of the averaged weights, or of a counter's."""
    available = ledger.anchors(run.record, "excess", run.members, step)
    return "ema" if "ema" in available else "raw"


def _first_pass_steps(run: Run) -> int:
    keys = evidence.config(run)
    return -(-keys["run.examples"] // keys["run.batch"])


def _warnings(by_size: dict[int, Run]) -> list[str]:
    """Where the first evaluation is the best: more training did only harm."""
    worse = []
    for n, run in by_size.items():
        steps = sorted(run.record.evals)
        losses = [
            run.record.evals[step][f"{_anchor(run, step)}_nats"][run.members].sum(1).mean() / LN2
            for step in steps
        ]
        if len(steps) > 1 and int(np.argmin(losses)) == 0:
            worse.append(n)
    last = [n for n, run in by_size.items() if len(run.record.evals) == 1]
    found = []
    if worse:
        named = ", ".join(map(str, worse))
        found.append(f"at {named} examples the first evaluation is the best: train for less")
    if last:
        named = ", ".join(map(str, sorted(last)))
        found.append(f"at {named} examples there is one evaluation: eval.every stops it early")
    return found


def table(found: Sequence[Tuning]) -> str:
    """A line for each fine-tuning, and below it what makes the rule unreliable."""
    heads = ["data", "observer", "EDL, bit", "EDL/P, bit", "peak of EDL/n at n", "seeds", "verdict"]
    rows = []
    for tuning in found:
        peak, low, high = tuning.verdict.peak_examples
        rows.append(
            [*tuning.name, rounded(*tuning.total_bits), rounded(*tuning.bits_per_parameter),
             f"{peak:g} ({low:g} to {high:g})", len(tuning.curves), tuning.verdict.shape]
        )  # fmt: skip
    lines = [tabulate(rows, heads, "simple", disable_numparse=True)]
    for tuning in found:
        lines += [f"{', '.join(tuning.name)}: {warning}" for warning in tuning.verdict.warnings]
    return "\n".join(lines)
