"""Woken or taught: the excess description length of sums in words, from six starts.

    python -m experiments.sweep --sweep=elicit --workdir=runs/elicit
    python -m experiments.report --records=runs/elicit --elicit

A base learns a language without digits. From it sums of three digits in words are taught (task A).
If the same sums in signs (B) were learned before, A should only be woken. Controls learn, in place
of B, its format with the answers of other problems, products in signs, or more of the base. The
signs have so many spaces around them that the numbers stand where they stand in words. Answers are
known to have digits alone, so that learning this costs nothing. EDL(n) is that of the first pass
over n of a million problems, in batches of 4, the same for all n and starts, above the least
held-out loss. Adapters of rising size learn A from the base and after B.

Claims 151 to 154, not measured yet.
"""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from configs import base
from epx.analysis import elicitation
from epx.analysis.measurement import Estimate, interval
from epx.report import elicit, evidence
from epx.report.claims import Check, exact
from epx.report.figures import lines
from epx.report.summary import Run
from epx.sweeps.grid import chain, product, vary

CLAIMS = {
    151: "Sums in words are taught to the base and woken after the same sums in signs; format "
    "alone, products, or more of the base wake nothing",
    152: "What is taught has more excess description length than what is woken",
    153: "A taught task needs more adapter parameters than a woken one to close its gap",
    154: "Shuffled answers have less than a hundredth of the EDL of true ones",
}
SEEDS = range(5)
SIZES = (4, 8, 20, 40, 100, 200, 400, 1000, 4000, 10_000, 20_000, 40_000)
# A batch is charged before it is learned: it has to be small beside what a task needs to wake.
BATCH, BATCH_BEFORE, LENGTH = 4, 32, 24
STEPS, STEPS_BETWEEN = 2000, 6000  # of the base, and of what is learned after it
ADAPTED = 20_000  # examples of the task for adapters
LR = 0.1  # with it sums in signs come to 0.001 and 0.005 bit a token; two seeds
# Of 0.02 to 0.2 for 20,000 problems from the base, two seeds of which each had three or two of the
# rates; and of 0.003 to 1 for rank 8, one seed.
TASK_LR, ADAPTER_LR = 0.05, 0.01
TASK = {
    "generator.name": "arithmetic", "generator.operation": "add", "generator.digits": 3,
    "generator.notation": "words", "generator.length": LENGTH, "generator.marked": True,
}  # fmt: skip
SIGNS = TASK | {"generator.notation": "spaced", "run.steps": STEPS_BETWEEN}
# What is learned between the base and the task, by the label of the start.
BEFORE: dict[str, dict[str, Any]] = {
    "sums in signs": SIGNS,
    "format alone": SIGNS | {"generator.labels": "shuffled"},
    "products in signs": SIGNS | {"generator.operation": "multiply"},
}
MORE = "more of the base"
BASE, WOKEN = "base", "sums in signs"
STARTS = (BASE, *BEFORE, MORE)
CONTROLS = [start for start in STARTS if start not in (BASE, WOKEN)]
FULL, UNTRAINED = "all weights", "no training"
# Rank and entries of the adapters.
ADAPTERS = ((1, 10), (1, 100), (1, None), (2, None), (4, None), (8, None), (32, None))
CLOSED = 0.95  # of the gap between the base and all weights


def get_config(size: str = "cpu") -> base.ConfigDict:
    """The config shared by all runs."""
    config = base.get_config(size)
    config.figure = dict(name="elicit", size=size)
    config.generator.update(name="story", length=LENGTH)
    config.observer.update(depth=2, width=64, head_dim=16)
    config.optim.update(lr=LR, warmup_steps=10, ema_steps=10)
    config.run.update(batch=BATCH_BEFORE, steps=STEPS, chunk=10)
    config.eval.update(examples=4096)
    config.checkpoint.update(every=None, keep=1)
    return config


def sweep() -> list[dict[str, Any]]:
    """The base, what comes between, and the task from every start at every size."""
    seeds = vary("run.seed", SEEDS)
    first = {"ensemble": _name(BASE), "label.generator": "the base", "label.observer": FULL}
    between = [
        {"ensemble": _name(start), "run.start": f"ensemble:{_name(BASE)}",
         "label.generator": f"before: {start}", "label.observer": FULL, **keys}
        for start, keys in BEFORE.items()
    ]  # fmt: skip
    # From the same weights and over the same first examples as the base, and longer.
    more = {
        "ensemble": _name(MORE), "run.steps": STEPS + STEPS_BETWEEN,
        "label.generator": f"before: {MORE}",
        "label.observer": FULL,
    }  # fmt: skip
    tasks = [_task(start, n, f"after {start}") for start in STARTS for n in SIZES]
    shuffled = [
        _task(BASE, n, "shuffled answers") | {"generator.labels": "shuffled"} for n in SIZES
    ]
    adapted = [
        _task(start, ADAPTED, f"after {start}") | _adapter(rank, entries)
        for start in (BASE, WOKEN)
        for rank, entries in ADAPTERS
    ]
    untrained = [_untrained(start) for start in (BASE, WOKEN)]
    return product(chain([first], between, [more], tasks, shuffled, adapted, untrained), seeds)


def _name(start: str) -> str:
    return start.replace(" ", "-")


def _task(start: str, examples: int, label: str) -> dict[str, Any]:
    """The task on so many problems, cycling through them, with evaluations to stop it early."""
    steps = max(200, 10 * math.ceil(math.sqrt(examples) * 4), 3 * examples // (2 * BATCH))
    steps = -(-steps // 100) * 100
    return TASK | {
        "run.start": f"ensemble:{_name(start)}", "run.examples": examples, "run.batch": BATCH,
        "run.steps": steps, "run.repeats": -(-steps * BATCH // examples), "optim.lr": TASK_LR,
        "eval.every": 10 if steps <= 300 else 100,
        "label.generator": label, "label.observer": FULL,
    }  # fmt: skip


def _untrained(start: str) -> dict[str, Any]:
    """What a start costs on the task, by the held-out problems: its rate is next to nothing."""
    return _task(start, SIZES[0], f"after {start}") | {
        "label.observer": UNTRAINED, "optim.lr": 1e-9, "run.steps": 10, "run.repeats": 10,
    }  # fmt: skip


def _adapter(rank: int, entries: int | None) -> dict[str, Any]:
    number = f"rank {rank}" if entries is None else f"{entries} of rank {rank}"
    return {
        "adapter.rank": rank, "adapter.entries": entries, "optim.lr": ADAPTER_LR,
        "label.observer": number,
    }  # fmt: skip


def check(number: int, runs: Sequence[Run]) -> list[Check]:
    """Shapes of every seed, totals and gaps, paired by seed."""
    if number == 151:
        wanted = dict.fromkeys((BASE, *CONTROLS), elicitation.TAUGHT)
        wanted[WOKEN] = elicitation.WOKEN
        return [_shapes(runs, start, shape) for start, shape in wanted.items()]
    if number == 152:
        taught, woken = (_at_most(runs, f"after {start}") for start in (BASE, WOKEN))
        gap = evidence.difference(taught, woken)
        return [Check("EDL taught - woken, bit", gap, 0)]
    if number == 153:
        needed = {start: parameters_needed(runs, start) for start in (BASE, WOKEN)}
        gap = evidence.paired(lambda a, b: np.log2(a / b), needed[BASE], needed[WOKEN])
        return [Check("parameters taught / woken, log2", gap, 0)]
    true, shuffled = (_at_most(runs, label) for label in (f"after {BASE}", "shuffled answers"))
    share = evidence.paired(lambda a, b: a / b, shuffled, true)
    return [Check("EDL of shuffled / true answers", share, -0.01, 0.01)]


def _of(runs: Sequence[Run], label: str, observer: str = FULL) -> list[Run]:
    found = evidence.select(runs, label__generator=label, label__observer=observer)
    return [run for run in found if evidence.config(run).get("run.examples") is not None]


def _curves(runs: Sequence[Run], start: str) -> elicit.Tuning:
    (tuning,) = elicit.tunings(_of(runs, f"after {start}"))
    return tuning


def _shapes(runs: Sequence[Run], start: str, wanted: str) -> Check:
    """The share of the seeds with a shape; it has to be 1."""
    by_seed = _curves(runs, start).verdict.by_seed
    share = np.mean([shape == wanted for shape in by_seed.values()])
    return Check(f"after {start}: seeds that are {wanted}", exact(float(share)), 1, 1)


def _at_most(runs: Sequence[Run], label: str) -> dict[int, float]:
    """EDL at the most examples, by seed."""
    most = max(_of(runs, label), key=lambda run: evidence.config(run)["run.examples"])
    return elicit.excess_bits(most)


def parameters_needed(runs: Sequence[Run], start: str) -> dict[int, float]:
    """By seed the fewest parameters that close the gap between the start and all weights.

    Where no adapter closes it, twice the largest one: a lower bound.
    """
    label = f"after {start}"
    whole = next(r for r in _of(runs, label) if evidence.config(r)["run.examples"] == ADAPTED)
    full = _best_bits(whole)
    (untrained,) = _of(runs, label, UNTRAINED)
    first = _best_bits(untrained)
    adapted = [
        _of(runs, label, _adapter(rank, entries)["label.observer"])[0] for rank, entries in ADAPTERS
    ]
    sizes = [run.record.config["facts"]["learned_parameters"] for run in adapted]
    needed = dict.fromkeys(full, 2.0 * max(sizes))
    for run, learned in zip(adapted, sizes):
        for seed, bits in _best_bits(run).items():
            closed = (first[seed] - bits) / (first[seed] - full[seed])
            if closed >= CLOSED:
                needed[seed] = min(needed[seed], learned)
    return needed


def _best_bits(run: Run) -> dict[int, float]:
    """The least held-out loss of a seed, bits per token."""
    best: dict[int, float] = {}
    for step in run.record.evals:
        reading = evidence.Reading(step=step, anchor="ema")
        for seed, bits in evidence.by_seed(run, evidence.entropy_bits_per_tok, reading).items():
            best[seed] = min(bits, best.get(seed, np.inf))
    return best


def draw(runs: Sequence[Run], path: Path | None = None) -> Figure:
    """EDL/n against n from every start, and the gap that adapters close against their size."""
    starts = {f"after {start}": f"after {start}" for start in STARTS} | {
        "shuffled answers": "shuffled answers"
    }
    series: dict[str, list[tuple[float, Estimate]]] = {}
    for name, label in starts.items():
        (tuning,) = elicit.tunings(_of(runs, label))
        curves = list(tuning.curves.values())
        values_SxN = np.array([curve.bits_per_example for curve in curves])
        series[name] = [
            (n, interval(column)) for n, column in zip(curves[0].examples, values_SxN.T)
        ]
    closed = {
        f"after {start}": [
            (learned, evidence.mean(_best_bits(run)))
            for rank, entries in ADAPTERS
            for run in _of(runs, f"after {start}", _adapter(rank, entries)["label.observer"])
            if (learned := run.record.config["facts"]["learned_parameters"])
        ]
        for start in (BASE, WOKEN)
    }
    return lines.panels(
        [
            lines.Panel("EDL(n) / n of sums in words", "problems n", "bit", series, scale="log",
                        y_scale="linear"),
            lines.Panel("held-out loss with an adapter", "parameters that learn", "bit per token",
                        closed, scale="log", y_scale="linear"),
        ],
        path,
    )  # fmt: skip
