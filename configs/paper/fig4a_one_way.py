"""Figure 4a: a one-way function is harder to predict against its direction (paradox 2).

    python -m experiments.sweep --sweep=paper/fig4a_one_way --workdir=runs/fig4a

X is a uniform ring of n cells and Y its state under rule 30. All 2n cells are coded, X first or Y
first, so that n bits are unpredictable in both orders for an observer with time enough.

`cpu` took 44 minutes on 2 cores, beside other work. Claim 12 holds: forward the cost is 8.01, 10.05
and 12.3 bits for 8, 10 and 12 cells, in reverse 8.03, 11.4 and 17.4. S crosses over: in reverse it
is 0.45, 1.01 and 0.82 million bits, forward 0.48, 0.83 and 1.21. Rings of 8 cells are enough to be
memorised in both orders, those of 12 are not inverted in 4000 steps: the gap of the paper is
between these.
"""

import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from configs.paper import _figure
from epx.report import evidence
from epx.report.claims import Check
from epx.report.figures import lines
from epx.report.summary import Run
from epx.sweeps.grid import product, vary, zipped

CLAIMS = {
    12: "Forward the cost is n bits, within 5 %; in reverse it is higher, by more in larger rings"
}
RINGS = {"cpu": (8, 10, 12), "paper": (16, 24, 32)}
ORDERS = ("forward", "reverse")
STEPS = {"cpu": (4000, 4000), "paper": (50_000, 100_000)}
# The least gap in bits that the paper has at n cells after 8 steps.
GAPS = {16: 1.0, 24: 5.0, 32: 5.0}


def get_config(size: str = "cpu") -> _figure.ConfigDict:
    """The config shared by all runs."""
    config = _figure.get_config("fig4a_one_way", size)
    paper = size == "paper"
    config.generator.update(name="eca", rule=30, steps=8 if paper else 4, coded="all", bos=True)
    config.observer.update(depth=8 if paper else 4, width=128 if paper else 64)
    config.observer.head_dim = 64 if paper else 16
    config.optim.warmup_steps = 500 if paper else 100
    config.run.batch = 512 if paper else 64
    config.eval.update(every=500, examples=4096)
    config.checkpoint.every = 500
    config.label = dict(generator="{width} cells, {order}")
    return config


def sweep(size: str = "cpu") -> list[dict[str, Any]]:
    """Both orders of rings of several sizes."""
    orders = zipped(vary("generator.order", ORDERS), vary("run.steps", STEPS[size]))
    return product(vary("generator.width", RINGS[size]), orders, vary("run.seed", range(5)))


def check(number: int, runs: Sequence[Run]) -> list[Check]:
    """Bits of an example in both orders, paired by seed."""
    size = evidence.config(runs[0])["figure.size"]
    rings = RINGS[size]
    bits = {key: evidence.example_bits(run) for key, run in _by_task(runs, rings).items()}
    checks = []
    for n in rings:
        forward, reverse = bits[n, "forward"], bits[n, "reverse"]
        excess = evidence.mean({seed: value - n for seed, value in forward.items()})
        checks.append(Check(f"{n} cells: forward - n, bit", excess, high=0.05 * n))
        gap = evidence.difference(reverse, forward)
        least = GAPS[n] if size == "paper" else 0.0
        checks.append(Check(f"{n} cells: reverse - forward, bit", gap, least))
    for fewer, more in itertools.pairwise(rings):
        growth = evidence.paired(
            lambda a, b, c, d: (a - b) - (c - d),
            *(bits[n, order] for n in (more, fewer) for order in reversed(ORDERS)),
        )
        checks.append(Check(f"gap at {more} - gap at {fewer} cells, bit", growth, 0))
    return checks


def draw(runs: Sequence[Run], path: Path | None = None) -> Figure:
    """H of an example and S against the size of the ring."""
    rings = RINGS[evidence.config(runs[0])["figure.size"]]
    tasks = _by_task(runs, rings)
    structure = {k: evidence.by_seed(run, evidence.structure_bits) for k, run in tasks.items()}
    loss = {key: evidence.example_bits(run) for key, run in tasks.items()}
    floor = {"n bits, the entropy": [(float(n), float(n)) for n in rings]}
    panels = [
        lines.Panel(title, "cells of the ring, n", "bit", _by_order(values), exact)
        for title, values, exact in (
            ("entropy H of an example", loss, floor),
            ("structure S", structure, {}),
        )
    ]
    return lines.panels(panels, path)


def _by_task(runs: Sequence[Run], rings: Sequence[int]) -> dict[tuple[int, str], Run]:
    """The run of each ring and order."""
    return {
        (n, order): evidence.pick(runs, generator__width=n, generator__order=order)
        for n in rings
        for order in ORDERS
    }


def _by_order(values: dict[tuple[int, str], dict[int, float]]) -> dict[str, list]:
    """A line for each order."""
    return {
        order: [(n, evidence.mean(seeds)) for (n, of), seeds in values.items() if of == order]
        for order in ORDERS
    }
