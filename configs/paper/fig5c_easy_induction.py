"""Figure 5c: structure is largest where some rows of a chain are given and others are not.

    python -m experiments.sweep --sweep=paper/fig5c_easy_induction --workdir=runs/fig5c

Chains of V states; h of the V transition rows are hidden, the others are given with the sequence.

Claim 14, not measured yet.
"""

import functools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from configs.paper import _figure
from epx.analysis import floors
from epx.analysis.measurement import Estimate
from epx.report import evidence, lines
from epx.report.claims import Check
from epx.report.summary import Run
from epx.sweeps.grid import product, vary

CLAIMS = {
    14: "The loss reaches the floor of exact induction for every h; S is largest with three "
    "quarters of the rows hidden, then half, then all, and least with none"
}
HIDDEN = {"cpu": (0, 1, 2, 3, 4), "paper": (0, 2, 4, 6, 8)}


def get_config(size: str = "cpu") -> _figure.ConfigDict:
    """The config shared by all runs."""
    config = _figure.get_config("fig5c_easy_induction", size)
    paper = size == "paper"
    config.generator.update(name="markov", states=8 if paper else 4, length=512 if paper else 64)
    config.observer.update(depth=3 if paper else 2, width=128 if paper else 32)
    config.observer.head_dim = 64 if paper else 16
    config.optim.warmup_steps = 15
    config.code.update(name="requential", max_kl=0.01, teacher_steps=3000 if paper else 2500)
    config.run.update(batch=384 if paper else 64, steps=4000 if paper else 3000)
    config.eval.update(every=50, examples=4096 if paper else 1024)
    config.checkpoint.every = 500
    config.label = dict(generator="{hidden} rows hidden")
    return config


def sweep(size: str = "cpu") -> list[dict[str, Any]]:
    """Five numbers of hidden rows, from none to all."""
    return product(vary("generator.hidden", HIDDEN[size]), vary("run.seed", range(5)))


def check(number: int, runs: Sequence[Run]) -> list[Check]:
    """The loss of a sequence as a share of its floor, and S of pairs of h, paired by seed."""
    found = _by_hidden(runs)
    checks = []
    for h, run in found.items():
        floor, loss = floor_bits(run), evidence.example_bits(run)
        ratio = evidence.mean({seed: bits / floor.value for seed, bits in loss.items()})
        # The floor is drawn too; its error is added.
        error = 1.96 * floor.error / floor.value
        ratio = Estimate(ratio.mean, (ratio.half_width**2 + error**2) ** 0.5)
        checks.append(Check(f"h = {h}: loss / floor", ratio, high=1.005))
    structure = {h: evidence.by_seed(run, evidence.structure_bits) for h, run in found.items()}
    none, few, half, most, every = found
    pairs = ((most, half), (half, every), (every, none), (few, none))
    for larger, smaller in pairs:
        gap = evidence.difference(structure[larger], structure[smaller])
        checks.append(Check(f"S_req({larger}) - S_req({smaller}), bit", gap, 0))
    return checks


def floor_bits(run: Run) -> floors.Fact:
    """What the exact predictor pays for a sequence."""
    keys = ("states", "hidden", "length")
    return _floor(*(evidence.config(run)[f"generator.{key}"] for key in keys))


@functools.cache
def _floor(states: int, hidden: int, length: int) -> floors.Fact:
    return floors.markov_bits(states, hidden, length, samples=20_000)


def _by_hidden(runs: Sequence[Run]) -> dict[int, Run]:
    size = evidence.config(runs[0])["figure.size"]
    return evidence.by_value(runs, "generator.hidden", HIDDEN[size])


def draw(runs: Sequence[Run], path: Path | None = None) -> Figure:
    """The held-out loss of a sequence above its floor against steps, and S against h."""
    found = _by_hidden(runs)
    above = {
        f"h = {h}": [
            (step, Estimate(bits.mean - floor_bits(run).value, bits.half_width))
            for step, bits in evidence.example_bits_by_step(run)
        ]
        for h, run in found.items()
    }
    s = [
        (h, evidence.mean(evidence.by_seed(run, evidence.structure_bits)))
        for h, run in found.items()
    ]
    return lines.panels(
        [
            lines.Panel("held-out loss above the floor", "steps of the student", "bit", above),
            lines.Panel("structure S", "hidden rows h", "bit", {"S, requential code": s}),
        ],
        path,
    )
