"""Figure 5b: hidden cells of the input have to be guessed, and the guess costs exactly h bits.

    python -m experiments.sweep --sweep=paper/fig5b_hard_induction --workdir=runs/fig5b

The first h cells of a ring X are hidden, its state Y after some steps of rule 30 is coded.

Claim 13; 38 minutes on 2 cores, beside other work. A ring of 12 cells and two steps is what 4500
batches of 64 teach: 16 cells were too many for 2600, and a cap of 0.005 nats stopped the teacher.
Three hidden bits end 0.2 bit above theirs, and the gap falls with the steps.
"""

import functools
import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from configs.paper import _figure
from epx.analysis.exact import floors
from epx.report import evidence
from epx.report.claims import Check
from epx.report.figures import lines
from epx.report.summary import Run
from epx.sweeps.grid import product, vary

CLAIMS = {
    13: "The loss of h hidden cells ends at h bits; S rises with h, and so does the compute to "
    "come within half a bit"
}
HIDDEN = {"cpu": (0, 1, 2, 3), "paper": (0, 1, 3, 5)}
NEAR_BITS = 0.5


def get_config(size: str = "cpu") -> _figure.ConfigDict:
    """The config shared by all runs."""
    config = _figure.get_config("fig5b_hard_induction", size)
    paper = size == "paper"
    config.generator.update(name="eca", rule=30, width=32 if paper else 12, steps=4 if paper else 2)
    config.observer.update(depth=3 if paper else 2, width=256 if paper else 64)
    config.observer.head_dim = 64 if paper else 16
    config.optim.ema_steps = 100
    config.code.update(name="requential", max_kl=0.03)
    config.code.teacher_steps = 20_000 if paper else 3000
    config.run.update(batch=1536 if paper else 64, steps=25_000 if paper else 4500)
    config.eval.update(every=50, examples=4096 if paper else 1024)
    config.checkpoint.every = 500
    config.label = dict(generator="{hidden} cells hidden")
    return config


def sweep(size: str = "cpu") -> list[dict[str, Any]]:
    """Several numbers of hidden cells."""
    return product(vary("generator.hidden", HIDDEN[size]), vary("run.seed", range(5)))


def check(number: int, runs: Sequence[Run]) -> list[Check]:
    """The loss of an example against its exact floor, and neighbours in h, paired by seed."""
    found = _by_hidden(runs)
    loss = {h: evidence.example_bits(run) for h, run in found.items()}
    structure = {h: evidence.by_seed(run, evidence.structure_bits) for h, run in found.items()}
    flops = {h: evidence.flops_to(run, floor_bits(run) + NEAR_BITS) for h, run in found.items()}
    checks = []
    for h, of_seed in loss.items():
        above = evidence.mean({s: bits - floor_bits(found[h]) for s, bits in of_seed.items()})
        checks.append(Check(f"h = {h}: loss - floor, bit", above, high=0.15))
    for fewer, more in itertools.pairwise(found):
        gap = evidence.difference(structure[more], structure[fewer])
        checks.append(Check(f"S_req({more}) - S_req({fewer}), bit", gap, 0))
        gap = evidence.difference(flops[more], flops[fewer])
        checks.append(Check(f"FLOP to the floor, h = {more} - h = {fewer}", gap, 0))
    return checks


def floor_bits(run: Run) -> float:
    """The exact entropy of Y given the visible cells."""
    keys = ("rule", "width", "steps", "hidden")
    return _floor(*(evidence.config(run)[f"generator.{key}"] for key in keys))


@functools.cache
def _floor(rule: int, width: int, steps: int, hidden: int) -> float:
    return floors.hidden_bits(rule, width, steps, hidden).value


def _by_hidden(runs: Sequence[Run]) -> dict[int, Run]:
    size = evidence.config(runs[0])["figure.size"]
    return evidence.by_value(runs, "generator.hidden", HIDDEN[size])


def draw(runs: Sequence[Run], path: Path | None = None) -> Figure:
    """The held-out loss of an example against steps, and S against h."""
    found = _by_hidden(runs)
    loss = {f"h = {h}": evidence.example_bits_by_step(run) for h, run in found.items()}
    last = max(step for points in loss.values() for step, _ in points)
    exact = {
        f"{floor_bits(run):g} bits": [(points[0][0], floor_bits(run)), (last, floor_bits(run))]
        for run, points in zip(found.values(), loss.values())
    }
    s = [
        (h, evidence.mean(evidence.by_seed(run, evidence.structure_bits)))
        for h, run in found.items()
    ]
    return lines.panels(
        [
            lines.Panel(
                "held-out loss of an example",
                "steps of the student",
                "bit",
                loss,
                exact,
                y_scale="linear",
            ),
            lines.Panel("structure S", "hidden cells h", "bit", {"S, requential code": s}),
        ],
        path,
    )
