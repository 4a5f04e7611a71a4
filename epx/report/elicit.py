"""Woken or taught, from the records of a fine-tuning at rising numbers of examples."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from tabulate import tabulate

from epx.analysis import elicitation
from epx.analysis.elicitation import Curve, Verdict
from epx.analysis.measurement import LN2, Estimate, interval
from epx.record import RecordError
from epx.report import evidence, parts, summary
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
      RecordError: there is none, or two runs of one fine-tuning have the same number of examples.
    """
    groups: dict[tuple[str, str], dict[int, Run]] = {}
    records = list({id(run.record): run.record for run in runs}.values())
    cells = summary.cells(records)
    named = dict(zip(map(_identity, summary.runs(records)), cells, strict=True))
    for run in runs:
        cell, examples = named[_identity(run)], evidence.config(run).get("run.examples")
        if examples is None or "missing" in cell:
            continue
        name = cell["generator"], cell["observer"]
        if examples in groups.setdefault(name, {}):
            raise RecordError(f"{', '.join(name)}: two runs have {examples} examples; label them")
        groups[name][examples] = run
    found = [_tuning(name, of_size) for name, of_size in groups.items() if len(of_size) > 1]
    if not found:
        raise RecordError("no runs that differ in run.examples alone")
    return found


def _identity(run: Run) -> tuple[int, tuple[int, ...]]:
    return id(run.record), tuple(run.members)


def _tuning(name: tuple[str, str], by_size: dict[int, Run]) -> Tuning:
    ordered = [by_size[n] for n in sorted(by_size)]
    excess = [excess_bits(run) for run in ordered]
    seeds = sorted(set.intersection(*(set(of_seed) for of_seed in excess)))
    if not seeds:
        raise RecordError(f"{', '.join(name)}: no seed has all numbers of examples")
    sizes = np.array([charged_examples(run) for run in ordered], float)
    left = share_left(ordered[-1])
    curves = {
        seed: Curve(sizes, np.array([of_seed[seed] for of_seed in excess]), left[seed])
        for seed in seeds
    }
    batch = max(evidence.config(run)["run.batch"] for run in ordered)
    verdict = elicitation.decide(curves, batch)
    verdict.warnings.extend(_warnings(by_size))
    total = interval(np.array([curve.bits[-1] for curve in curves.values()]))
    facts = ordered[-1].record.config["facts"]
    learned = facts.get("learned_parameters", facts["parameters"])
    per_parameter = Estimate(total.mean / learned, total.half_width / learned)
    return Tuning(name, curves, total, per_parameter, verdict)


def charged_examples(run: Run) -> int:
    """The examples of the first pass, in whole batches: the n whose charges are in EDL(n)."""
    return _first_pass_steps(run) * evidence.config(run)["run.batch"]


def _first_pass_steps(run: Run) -> int:
    return int((run.record.rows["passes"][run.members[0]] == 0).sum())


def excess_bits(run: Run, among: Sequence[Run] = ()) -> dict[int, float]:
    """EDL by seed in bits: what the first pass charged above the floor.

    Args:
      run: of which EDL is asked.
      among: other runs on the same data, to have one floor for them all: a run that ends high would
        else have little EDL, as it has learned little.
    """
    floor = floors(run, among)
    return {
        seed: bits - tokens * floor[seed]
        for seed, (bits, tokens) in charges(run).items()
        if seed in floor
    }


def charges(run: Run, steps: int | None = None) -> dict[int, tuple[float, float]]:
    """By seed the bits that were charged in the first steps, and their coded tokens.

    Without `steps` they are those of the first pass over the examples.
    """
    rows, end = run.record.rows, _first_pass_steps(run) if steps is None else steps
    return {
        seed: (float(rows["nats"][member, :end].sum(dtype=np.float64)) / LN2,
               float(rows["coded_tok"][member, :end].sum(dtype=np.float64)))
        for seed, member in parts.finite(run).items()
    }  # fmt: skip


def saved_bits(first: Run, second: Run) -> dict[int, float]:
    """By seed the code of the first pass of one run minus that of another on the same examples.

    It is the difference of their EDL above any floor that they share.

    Raises:
      RecordError: they were charged for different tokens, such as where one was interrupted.
    """
    own, other = charges(first), charges(second)
    shared = [seed for seed in own if seed in other]
    if any(own[seed][1] != other[seed][1] for seed in shared):
        paths = first.record.path, second.record.path
        raise RecordError("{} and {} were charged for different tokens".format(*paths))
    return {seed: own[seed][0] - other[seed][0] for seed in shared}


def floors(run: Run, among: Sequence[Run] = ()) -> dict[int, float]:
    """The held-out loss of the best evaluation after the first pass, by seed, in bits per token.

    The evaluations stop the training early, as in arXiv 2601.04728: the floor is the least held-out
    loss, not that of the training. The evaluation is chosen by every other held-out example and its
    loss is that of the rest, so that the choice does not lower it; of records with the means of
    evaluations alone it is chosen and read by the same. With other runs, `among`, it is the best
    evaluation of all of them.
    """
    losses = [_later_losses(other) for other in (run, *among)]
    if not all(of_seed.size for found in losses for of_seed in found.values()):
        raise RecordError(f"{run.record.path}: no evaluation after the first pass")
    found = {}
    for seed in set.intersection(*(set(of_seed) for of_seed in losses)):
        losses_Nx2 = np.concatenate([of_seed[seed] for of_seed in losses])
        found[seed] = float(losses_Nx2[losses_Nx2[:, 0].argmin(), 1]) / LN2
    return found


def share_left(run: Run) -> dict[int, float]:
    """By seed the floor as a share of what the first batch was charged, before any training."""
    floor = floors(run)
    return {
        seed: floor[seed] * tokens / bits
        for seed, (bits, tokens) in charges(run, steps=1).items()
        if seed in floor
    }


def _later_losses(run: Run) -> dict[int, np.ndarray]:
    """By seed the two losses of each evaluation after the first pass."""
    steps = [step for step in sorted(run.record.evals) if step >= _first_pass_steps(run)]
    return {
        seed: np.array([_halves(run, step, member) for step in steps])
        for seed, member in parts.finite(run).items()
    }


def _halves(run: Run, step: int, member: int) -> tuple[float, float]:
    """The held-out loss of a member, nats per token, by each half of the held-out examples."""
    nats_E, coded_E = (evidence.held_out(run, name, step)[member] for name in ("nats", "coded_tok"))
    halves = [slice(0, None, 2), slice(1, None, 2)] if len(nats_E) > 1 else [slice(None)] * 2
    first, second = (float(nats_E[half].sum() / coded_E[half].sum()) for half in halves)
    return first, second


def _warnings(by_size: dict[int, Run]) -> list[str]:
    """Where the first evaluation is the best, the last one, or the only one, and what was learned
    by heart."""
    worse, falling, single, by_heart = [], [], [], []
    for n, run in sorted(by_size.items()):
        steps = sorted(run.record.evals)
        losses = [evidence.held_out(run, "nats", s)[run.members].mean() for s in steps]
        if len(steps) == 1:
            single.append(str(n))
        elif int(np.argmin(losses)) == 0:
            worse.append(str(n))
        elif losses[-1] < (1 - elicitation.FALL) * min(losses[:-1]):
            falling.append(str(n))
        if _is_by_heart(run):
            by_heart.append(str(n))
    said = {
        "the first evaluation is the best of all": worse,
        "the loss still fell when the training ended": falling,
        "there is one evaluation: eval.every stops it early": single,
        "the training loss ends below half of the held-out floor: learned by heart": by_heart,
    }
    return [f"at {', '.join(sizes)} examples {what}" for what, sizes in said.items() if sizes]


def _is_by_heart(run: Run) -> bool:
    """Whether the last pass was charged less than half of the held-out floor, on average."""
    rows = run.record.rows
    passes = rows["passes"][run.members[0]]
    if passes[-1] == 0:
        return False
    last = passes == passes[-1]
    nats, coded = (rows[name][run.members][:, last].sum() for name in ("nats", "coded_tok"))
    return bool(nats / coded / LN2 < 0.5 * np.mean(list(floors(run).values())))


def table(found: Sequence[Tuning]) -> str:
    """A line for each fine-tuning, and below it what makes the rule unreliable.

    The floor of EDL is the least held-out loss (`floors`).
    """
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
