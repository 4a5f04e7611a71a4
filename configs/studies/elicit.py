"""Woken or taught: the excess description length of sums in words, from six starts.

    python -m experiments.sweep --sweep=elicit --workdir=runs/elicit
    python -m experiments.report --records=runs/elicit --elicit

A base learns a language without digits. From it sums of two digits in words are taught (task A).
If the same sums in signs (B) were learned before, A should only be woken. Controls learn, in place
of B, its format with the answers of other problems, differences or products in signs, or more of
the base; others learn A with answers of other problems, or of a permutation of all problems. The
signs have so many spaces around them that the numbers stand where they stand in words. Answers are
known to have digits alone, so that learning this costs nothing. EDL(n) is that of the first pass
over n problems, in batches of 4, the same for all n and starts, above the least held-out loss of
several passes. There are 10,000 different problems, and they are drawn with replacement: of 4000,
3300 differ, and most held-out ones of the largest n were seen. Adapters of rising size learn A from
the base and after B.

A first run, with three digits, seeds 0 to 4 and fewer steps, had not learned B in two seeds, and
EDL/n of A still rose in four. The rule of the shapes and the rates were settled on it and on seeds
100 to 102. The seeds here are the first five from 10 on that came below 0.05 bit a token on the
signs on one machine, chosen before the task was looked at: what is not learned can't be woken. On
another machine, where training rounds differently, all five have learned them, too. The size
`paper` has products of three digits, of which the controls can still be listed.

Claims 151 to 154 and 159, not measured yet.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from configs import base
from configs.studies import _elicit_readings as readings
from configs.studies._elicit_readings import (
    ADAPTED,
    ADAPTERS,
    BASE,
    FIXED,
    FORMAT,
    FULL,
    MORE,
    OTHER,
    SHUFFLED,
    UNTRAINED,
    WOKEN,
    adapter_name,
    capacity,
    of,
    starts_of,
    tuning,
)
from epx.analysis import elicitation
from epx.analysis.measurement import Estimate
from epx.report import elicit, evidence
from epx.report.claims import Check
from epx.report.summary import Run
from epx.sweeps.grid import chain, product, vary

CLAIMS = {
    151: "Problems in words are taught to the base and woken after the same ones in signs; format "
    "alone, another operation, or more of the base wake nothing",
    152: "What is taught has more excess description length than what is woken",
    153: "A taught task needs more adapter parameters than a woken one to close its gap",
    154: "Shuffled answers have less than a hundredth of the EDL of true ones",
    159: "A taught task fails with adapters at more EDL per parameter than a woken one does",
}
SEEDS = (12, 13, 14, 16, 17)
# Problems, and passes over them, until the loss no longer falls: five passes over 4000 problems
# ended amid the fall of three seeds.
PASSES = {
    4: 40, 8: 40, 20: 40, 40: 40, 100: 40, 200: 40, 400: 40, 1000: 40, 2000: 20, 4000: 10,
    10_000: 5, 20_000: 4, 40_000: 3, 100_000: 2,
}  # fmt: skip
MOST_EVALUATIONS = 10  # of a run with a short first pass
# A batch is charged before it is learned: it has to be small beside what a task needs to wake.
BATCH, BATCH_BEFORE, LENGTH = 4, 32, 24
STEPS, STEPS_BETWEEN = 2000, 8000  # of the base, and of what is learned after it
# Of 0.02 and 0.05 the second learns the task in all of three seeds; with 0.1 and 6000 steps one of
# five seeds had not learned the same problems in signs. Of adapters by rank, of 0.003 to 1, those
# with the least loss after one pass over 12,000 problems from both starts, two seeds; rank 4, which
# was not tried, has that of 8.
LR, TASK_LR = 0.1, 0.05
ADAPTER_LR = {1: 0.003, 2: 0.003, 4: 0.01, 8: 0.01, 32: 0.03}
# The operation and others, digits, width of the observer and the most problems.
SCALES = {
    "cpu": ("add", ("subtract", "multiply"), 2, 64, 100_000),
    "paper": ("multiply", ("add", "subtract"), 3, 256, 1_000_000),
}


def starts(size: str = "cpu") -> dict[str, dict[str, Any]]:
    """What is learned between the base and the task, by the label of the start.

    The base has nothing between, and more of it is a longer base.
    """
    _, others, *_ = SCALES[size]
    signs = task(size) | {"generator.notation": "spaced", "run.steps": STEPS_BETWEEN}
    signs |= {"optim.lr": TASK_LR}
    return {
        BASE: {},
        WOKEN: signs,
        FORMAT: signs | {"generator.labels": "shuffled"},
        **{OTHER[name]: signs | {"generator.operation": name} for name in others},
        MORE: {},
    }


def task(size: str = "cpu") -> dict[str, Any]:
    """The task in words."""
    operation, _, digits, *_ = SCALES[size]
    return {
        "generator.name": "arithmetic", "generator.operation": operation,
        "generator.digits": digits, "generator.notation": "words", "generator.length": LENGTH,
        "generator.marked": True,
    }  # fmt: skip


def get_config(size: str = "cpu") -> base.ConfigDict:
    """The config shared by all runs.

    Raises:
      SizeError: a size that is not cpu or paper.
    """
    base.require_size(size, tuple(SCALES))
    *_, width, _ = SCALES[size]
    config = base.get_config(size)
    config.figure = dict(name="elicit", size=size)
    config.generator.update(name="story", length=LENGTH)
    config.observer.update(depth=2, width=width, head_dim=16)
    config.optim.update(lr=LR, warmup_steps=10, ema_steps=10)
    config.run.update(batch=BATCH_BEFORE, steps=STEPS, chunk=10)
    config.run.require_accelerator = size == "paper"
    config.eval.update(examples=2048)
    config.checkpoint.update(every=None, keep=1)
    return config


def sweep(size: str = "cpu") -> list[dict[str, Any]]:
    """The base, what comes between, and the task from every start at every number of problems."""
    seeds = vary("run.seed", SEEDS)
    first = {"ensemble": _name(BASE), "label.generator": "the base", "label.observer": FULL}
    before = [
        {"ensemble": _name(start), "run.start": f"ensemble:{_name(BASE)}",
         "label.generator": f"before: {start}", "label.observer": FULL, **keys}
        for start, keys in starts(size).items() if keys
    ]  # fmt: skip
    # From the same weights and over the same first examples as the base, and longer.
    more = {
        "ensemble": _name(MORE), "run.steps": STEPS + STEPS_BETWEEN,
        "label.generator": f"before: {MORE}", "label.observer": FULL,
    }  # fmt: skip
    problems = [n for n in (*PASSES, 1_000_000) if n <= SCALES[size][-1]]
    # The shape of other starts and answers shows before, and their totals are in no claim.
    fewer = [n for n in problems if n <= SCALES[size][-1] // 2]
    tasks = [
        _task(size, start, n, f"after {start}")
        for start in starts(size)
        for n in (problems if start in (BASE, WOKEN) else fewer)
    ]
    controls = [
        _task(size, BASE, n, name) | {"generator.labels": labels}
        for name, labels, of in ((SHUFFLED, "shuffled", problems), (FIXED, "fixed", fewer))
        for n in of
    ]
    adapted = [
        _task(size, start, ADAPTED, f"after {start}") | _adapter(rank, entries)
        for start in (BASE, WOKEN)
        for rank, entries in ADAPTERS
    ]
    untrained = [_untrained(size, start) for start in (BASE, WOKEN)]
    return product(chain([first], before, [more], tasks, adapted, untrained, controls), seeds)


def _name(start: str) -> str:
    return start.replace(" ", "-")


def _task(size: str, start: str, problems: int, label: str) -> dict[str, Any]:
    """The task on so many problems, in several passes, each with five evaluations if it is long."""
    first_pass, passes = problems // BATCH, PASSES.get(problems, 1)
    every = first_pass * -(-passes // MOST_EVALUATIONS) if first_pass <= 1000 else first_pass // 5
    return task(size) | {
        "run.start": f"ensemble:{_name(start)}", "run.examples": problems, "run.batch": BATCH,
        "run.steps": passes * first_pass, "run.repeats": passes, "run.chunk": min(every, 50),
        "eval.every": every, "optim.lr": TASK_LR,
        "label.generator": label, "label.observer": FULL,
    }  # fmt: skip


def _untrained(size: str, start: str) -> dict[str, Any]:
    """What a start costs on the task, by the held-out problems: its rate is next to nothing."""
    return _task(size, start, 4, f"after {start}") | {
        "label.observer": UNTRAINED, "optim.lr": 1e-9, "run.steps": 1, "run.repeats": 1,
        "run.chunk": 1, "eval.every": 1,
    }  # fmt: skip


def _adapter(rank: int, entries: int | None) -> dict[str, Any]:
    return {
        "adapter.rank": rank, "adapter.entries": entries, "optim.lr": ADAPTER_LR[rank],
        "label.observer": adapter_name(rank, entries),
    }  # fmt: skip


def check(number: int, runs: Sequence[Run]) -> list[Check]:
    """Shapes of every seed, totals and gaps, paired by seed."""
    if number == 151:
        wanted = dict.fromkeys(starts_of(runs), elicitation.TAUGHT) | {WOKEN: elicitation.WOKEN}
        return [_shapes(runs, start, shape) for start, shape in wanted.items()]
    if number == 152:
        taught, woken = (_at_most(runs, f"after {start}") for start in (BASE, WOKEN))
        gap = evidence.difference(taught, woken)
        return [Check("EDL taught - woken, bit", gap, 0)]
    if number in (153, 159):
        what = "parameters needed" if number == 153 else "EDL per parameter at failure"
        found = {start: capacity(runs, start) for start in (BASE, WOKEN)}
        values = [
            {seed: place[number == 159] for seed, place in found[start].items()}
            for start in (BASE, WOKEN)
        ]
        # EDL that is not above 0 has no logarithm, and leaves the claim undecided.
        ratio = evidence.paired(lambda a, b: np.log2(a / b) if a > 0 < b else np.nan, *values)
        return [Check(f"{what}, taught / woken, log2", ratio, 0)]
    true, shuffled = (_at_most(runs, label) for label in (f"after {BASE}", SHUFFLED))
    share = evidence.paired(lambda a, b: a / b, shuffled, true)
    return [Check("EDL of shuffled / true answers", share, -0.01, 0.01)]


def _shapes(runs: Sequence[Run], start: str, wanted: str) -> Check:
    """The share of the seeds with a shape: of some alone it is undecided, as is the rule itself.

    A control without its peak leaves it undecided, too: something else than the same task has the
    shape of what is woken.
    """
    verdict = tuning(runs, f"after {start}").verdict
    share = evidence.mean({seed: float(s == wanted) for seed, s in verdict.by_seed.items()})
    lost = start not in (BASE, WOKEN) and share.mean < 1
    if lost or (share.mean == 1 and verdict.shape != wanted):
        share = Estimate(share.mean, np.nan)
    return Check(f"after {start}: share of seeds that are {wanted}", share, 1, 1)


def _at_most(runs: Sequence[Run], label: str) -> dict[int, float]:
    """EDL at the most problems, by seed."""
    sizes = [evidence.config(run)["run.examples"] for run in of(runs, label)]
    most = evidence.pick(
        runs, label__generator=label, label__observer=FULL, run__examples=max(sizes, default=0)
    )
    return elicit.excess_bits(most)


draw, table = readings.draw, readings.table
