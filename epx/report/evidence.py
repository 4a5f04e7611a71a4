"""Runs of records chosen by their config, and estimates over their seeds, for claims.

Seeds have held-out examples of their own, as those of endless generators do; for finite ones
`comparison.difference` adds the error that they share.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from epx.analysis import ledger
from epx.analysis.measurement import LN2, Estimate, Measurement, interval
from epx.record import Record, RecordError, flatten
from epx.report import summary
from epx.report.summary import Run

# A quantity of each measured member of a run.
Quantity = Callable[[Measurement], np.ndarray]


def structure_bits(measured: Measurement) -> np.ndarray:
    """S in bits."""
    return measured.structure_nats / LN2


def entropy_bits_per_tok(measured: Measurement) -> np.ndarray:
    """The held-out loss in bits per coded token."""
    return measured.anchor_nats / LN2


def structure_bits_per_tok(measured: Measurement) -> np.ndarray:
    """S in bits per token of the coded set."""
    return measured.structure_nats / measured.test_tok / LN2


def description_bits(measured: Measurement) -> np.ndarray:
    """S + H in bits."""
    return (measured.structure_nats + measured.entropy_nats) / LN2


def description_bits_per_tok(measured: Measurement) -> np.ndarray:
    """S + H in bits per token of the coded set."""
    return description_bits(measured) / measured.test_tok


class Reading(NamedTuple):
    """How a run is measured: arguments of `ledger.measure`, None for their defaults."""

    code: str | None = None
    anchor: str | None = None
    test_tokens: float | None = None
    step: int | None = None


DEFAULT = Reading()


def of_figure(records: Sequence[Record], figure: str) -> dict[str, list[Run]]:
    """The runs whose config names a figure in `figure.name`, by `figure.size`."""
    by_size: dict[str, list[Record]] = {}
    for record in records:
        section = record.config.get("figure", {})
        if section.get("name") == figure and record.rows:
            by_size.setdefault(section.get("size", ""), []).append(record)
    return {size: summary.runs(named) for size, named in by_size.items()}


def config(run: Run) -> dict[str, Any]:
    """The config of a run by dotted keys, with what distinguishes its members."""
    return flatten(run.record.config) | run.varied


def pick(runs: Sequence[Run], **wanted: Any) -> Run:
    """The run with these values of its config; `generator__rule=30` is the key generator.rule.

    Raises:
      RecordError: there is none, or more than one.
    """
    found = select(runs, **wanted)
    if len(found) != 1:
        named = ", ".join(f"{key.replace('__', '.')}={value}" for key, value in wanted.items())
        raise RecordError(f"{len(found)} runs with {named}; one is needed")
    return found[0]


def by_value(runs: Sequence[Run], key: str, values: Sequence[Any]) -> dict[Any, Run]:
    """The one run with each value of a key, in the order of the values.

    Raises:
      RecordError: as `pick`.
    """
    return {value: pick(runs, **{key.replace(".", "__"): value}) for value in values}


def select(runs: Sequence[Run], **wanted: Any) -> list[Run]:
    """All runs with these values of their config, as in `pick`."""
    keys = {key.replace("__", "."): value for key, value in wanted.items()}
    return [
        run for run in runs if all(config(run).get(key) == value for key, value in keys.items())
    ]


def measured(runs: Sequence[Run]) -> list[Run]:
    """The runs that can be measured: evaluated, and not every member of them failed."""
    return [
        run
        for run in runs
        if (steps := run.record.evals)
        and ledger.finite_members(run.record, max(steps), run.members).size
    ]


def by_seed(run: Run, quantity: Quantity, reading: Reading = DEFAULT) -> dict[int, float]:
    """A quantity of a run by seed, without failed members.

    Raises:
      RecordError: as `ledger.measure`, or there is no evaluation at the step of the reading.
    """
    if reading.step is not None and reading.step not in run.record.evals:
        raise RecordError(f"{run.record.path} has no evaluation after {reading.step} steps")
    measured = ledger.measure(
        run.record, reading.code, reading.anchor, reading.test_tokens, run.members, reading.step
    )
    values = dict(zip(measured.members.tolist(), quantity(measured).tolist()))
    return {seed: values[m] for seed, m in summary.seeds(run).items() if m in values}


def mean(values: dict[int, float]) -> Estimate:
    """The mean over seeds with its 95 % interval; nan without a seed."""
    return paired(lambda value: value, values)


def paired(combine: Callable[..., float], *values: dict[int, float]) -> Estimate:
    """The mean of a function of several quantities of the same seed, over the common seeds.

    Raises:
      RecordError: they have no seed in common.
    """
    seeds = sorted(set.intersection(*(set(of_seed) for of_seed in values)))
    if not seeds:
        raise RecordError("the runs of a claim have no seed in common")
    return interval(np.array([combine(*(of_seed[s] for of_seed in values)) for s in seeds]))


def minus(first: dict[int, float], second: dict[int, float]) -> dict[int, float]:
    """First minus second, of the seeds that both have."""
    return {seed: value - second[seed] for seed, value in first.items() if seed in second}


def difference(first: dict[int, float], second: dict[int, float]) -> Estimate:
    """The mean of first minus second, paired by seed."""
    return paired(lambda a, b: a - b, first, second)


def example_bits(run: Run, reading: Reading = DEFAULT) -> dict[int, float]:
    """The held-out loss of an example in bits, by seed."""
    loss = by_seed(run, entropy_bits_per_tok, reading)
    return {seed: bits * _coded_per_example(run) for seed, bits in loss.items()}


def example_bits_by_step(run: Run) -> list[tuple[float, Estimate]]:
    """The held-out loss of an example in bits, at every evaluation."""
    steps = sorted(run.record.evals)
    return [(float(step), mean(example_bits(run, Reading(step=step)))) for step in steps]


def held_out(run: Run, name: str, step: int | None = None) -> np.ndarray:
    """Numbers of the held-out examples at a step or at the end, of shape MxE.

    `nats` and `hits` are those of the averaged weights, or of a counter, which has no average.

    Raises:
      RecordError: the evaluation has no such numbers.
    """
    evals = run.record.evals[max(run.record.evals) if step is None else step]
    for key in (f"ema_{name}", f"raw_{name}", name):
        if key in evals:
            return evals[key]
    raise RecordError(f"{run.record.path} has no {name} of held-out examples")


def accuracy(run: Run) -> dict[int, float]:
    """By seed the share of the held-out coded tokens that were predicted best, at the end."""
    hits_M, coded_M = (
        held_out(run, name).sum(1, dtype=np.float64) for name in ("hits", "coded_tok")
    )
    finite = by_seed(run, entropy_bits_per_tok)
    return {s: float(hits_M[m] / coded_M[m]) for s, m in summary.seeds(run).items() if s in finite}


def all_right(run: Run) -> dict[int, float]:
    """By seed the share of the held-out examples whose coded tokens were all predicted best."""
    return {seed: float(is_right_E.mean()) for seed, is_right_E in right_examples(run).items()}


def right_examples(run: Run) -> dict[int, np.ndarray]:
    """By seed whether all coded tokens of a held-out example were predicted best, of shape E."""
    is_right_MxE = held_out(run, "hits") == held_out(run, "coded_tok")
    finite = by_seed(run, entropy_bits_per_tok)
    return {seed: is_right_MxE[m] for seed, m in summary.seeds(run).items() if seed in finite}


def distinct_examples(run: Run) -> dict[int, float]:
    """By seed the number of different held-out examples, as a share of all; RecordError if the
    record is older than this number."""
    return _distinct(run, "distinct_examples")


def distinct_contexts(run: Run) -> dict[int, float]:
    """The same of what their coded tokens are predicted from: tokens that are not, and vectors."""
    return _distinct(run, "distinct_contexts")


def training_flops(run: Run, step: int) -> dict[int, float]:
    """By seed the FLOPs of the first steps."""
    flops_MxK = run.record.rows["flops"][:, :step]
    return {
        seed: float(flops_MxK[member].sum(dtype=np.float64))
        for seed, member in summary.seeds(run).items()
    }


def by_compute(run: Run, quantity: Quantity) -> list[tuple[float, dict[int, float]]]:
    """A quantity by seed at every evaluation that can be measured, with the FLOPs to train and to
    code."""
    points = []
    for step in sorted(run.record.evals):
        reading = Reading(step=step)
        try:
            flops = mean(by_seed(run, lambda measured: measured.exact_flops, reading)).mean
            points.append((flops, by_seed(run, quantity, reading)))
        except RecordError:
            continue
    return points


def against_compute(run: Run, quantity: Quantity) -> list[tuple[float, Estimate]]:
    """The same as means over seeds."""
    return [(flops, mean(values)) for flops, values in by_compute(run, quantity)]


def shortest(runs: Sequence[Run], quantity: Quantity) -> list[tuple[float, Estimate]]:
    """A quantity where S + H is smaller than at every evaluation with less compute, of any run."""
    points = []
    for run in runs:
        lengths = against_compute(run, description_bits_per_tok)
        points += zip(lengths, against_compute(run, quantity))
    kept, least = [], math.inf
    for (flops, length), (_, estimate) in sorted(points, key=lambda point: point[0]):
        if length.mean < least:
            least = length.mean
            kept.append((flops, estimate))
    return kept


def flops_to(run: Run, target_bits: float) -> dict[int, float]:
    """By seed the training FLOPs at the first evaluation with an example's loss within a target.

    nan for a seed that does not come to `target_bits` in this run.
    """
    reached: dict[int, float] = {}
    for step in sorted(run.record.evals, reverse=True):
        flops = training_flops(run, step)
        for seed, bits in example_bits(run, Reading(step=step)).items():
            reached[seed] = flops[seed] if bits <= target_bits else reached.get(seed, math.nan)
    return reached


def _distinct(run: Run, name: str) -> dict[int, float]:
    if name not in run.record.baselines:
        raise RecordError(f"{run.record.path} has no {name}: it was made by an older version")
    share_M = run.record.baselines[name] / run.record.config["eval"]["examples"]
    finite = by_seed(run, entropy_bits_per_tok)
    return {seed: float(share_M[m]) for seed, m in summary.seeds(run).items() if seed in finite}


def _coded_per_example(run: Run) -> float:
    coded = run.record.evals[max(run.record.evals)]["coded_tok"]
    return float(coded[run.members].mean())
