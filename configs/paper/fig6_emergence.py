"""Figure 6: with more compute an observer that writes down intermediate states wins abruptly.

    python -m experiments.sweep --sweep=paper/fig6_emergence --workdir=runs/fig6

Rule 54 from X to its state after many steps: directly, or in loops, with the states between as
tokens that are coded too, so that the loops pay for every state. Both code the same final states.
Twenty steps are the fewest found at which the direct observer does not come to the end: it is still
5 bits away when ten loops of two steps have arrived; sixteen steps it learns.

Claim 15; 60 minutes on 2 cores, beside other work.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from matplotlib.figure import Figure

from configs.paper import _figure
from epx.analysis.measurement import Measurement, interval
from epx.record import RecordError
from epx.report import evidence
from epx.report.claims import Check
from epx.report.evidence import Reading
from epx.report.figures import lines
from epx.report.summary import Run
from epx.sweeps.grid import product, vary, zipped

CLAIMS = {
    15: "The shortest description is direct at little compute and looped at much, and S falls at "
    "the switch"
}
FINAL_TOKENS = {"cpu": 2e6, "paper": 1e9}
# Loops with the batch that gives each about the same coded tokens in a step, and the steps that
# bring both to about the same compute.
LOOPS = {"cpu": {1: 64, 10: 6}, "paper": {1: 2304, 16: 144}}
STEPS = {"cpu": {1: 7000, 10: 5000}, "paper": {1: 6781, 16: 6781}}
OBSERVERS = {
    "cpu": ((1, 32), (2, 64)),
    "paper": tuple((depth, width) for depth in (1, 2, 4, 8) for width in (32, 64, 128)),
}


def get_config(size: str = "cpu") -> _figure.ConfigDict:
    """The config shared by all runs."""
    config = _figure.get_config("fig6_emergence", size)
    paper = size == "paper"
    cells = 64 if paper else 20
    config.generator.update(name="eca", rule=54, width=cells, steps=cells, burnin=1000)
    config.observer.head_dim = 32 if paper else 16
    config.optim.lr = 0.06
    config.code.name = "requential"
    config.eval.update(every=100, examples=2048 if paper else 512)
    config.checkpoint.every = 500
    config.label = dict(generator="{loops} loops", observer="{depth} layers of {width}")
    return config


def sweep(size: str = "cpu") -> list[dict[str, Any]]:
    """Direct and looped, under observers of rising size."""
    loops = zipped(
        vary("generator.loops", LOOPS[size]),
        vary("run.batch", LOOPS[size].values()),
        vary("run.steps", STEPS[size].values()),
    )
    observers = [{"observer.depth": d, "observer.width": w} for d, w in OBSERVERS[size]]
    return product(loops, observers, vary("run.seed", range(5)))


def check(number: int, runs: Sequence[Run]) -> list[Check]:
    """Of each seed the shortest descriptions at the least and at the most compute of both kinds."""
    direct, looped = _shortest(runs, looped=False), _shortest(runs, looped=True)
    seeds = sorted(direct.keys() & looped.keys())
    if not seeds:
        raise RecordError("direct and looped runs have no seed in common")
    pairs = [(direct[seed], looped[seed]) for seed in seeds]
    low = max(curve.flops[0] for pair in pairs for curve in pair)
    high = min(curve.last_flops for pair in pairs for curve in pair)
    gaps = {
        flops: interval(np.array([b.at(flops)[1] - a.at(flops)[1] for a, b in pairs]))
        for flops in (low, high)
    }
    falls = [plain.structure_bits.max() - loops.at(high)[0] for plain, loops in pairs]
    return [
        Check(f"MDL looped - direct at {low:.2g} FLOP, bit", gaps[low], 0),
        Check(f"MDL looped - direct at {high:.2g} FLOP, bit", gaps[high], high=0),
        Check("most S direct - S looped at the end, bit", interval(np.array(falls)), 0),
    ]


class Curve(NamedTuple):
    """The shortest descriptions so far of a seed, by rising compute up to `last_flops`."""

    flops: np.ndarray
    structure_bits: np.ndarray
    description_bits: np.ndarray
    last_flops: float

    def at(self, flops: float) -> tuple[float, float]:
        """S and S + H of the last one within the budget."""
        n = np.searchsorted(self.flops, flops, side="right") - 1
        return self.structure_bits[n], self.description_bits[n]


def _shortest(runs: Sequence[Run], looped: bool) -> dict[int, Curve]:
    """The curve of each seed, over all observers and evaluations."""
    points: dict[int, list] = {}
    for run in runs:
        config = evidence.config(run)
        if (config["generator.loops"] > 1) != looped:
            continue
        tokens = FINAL_TOKENS[config["figure.size"]] * config["generator.loops"]
        for step in run.record.evals:
            reading = Reading(test_tokens=tokens, step=step)
            numbers = [
                evidence.by_seed(run, quantity, reading)
                for quantity in (_flops, evidence.structure_bits, evidence.description_bits)
            ]
            for seed in numbers[0]:
                points.setdefault(seed, []).append([of_seed[seed] for of_seed in numbers])
    return {seed: _running_minimum(np.array(rows)) for seed, rows in points.items()}


def _running_minimum(rows_Nx3: np.ndarray) -> Curve:
    rows_Nx3 = rows_Nx3[np.argsort(rows_Nx3[:, 0])]
    best = np.minimum.accumulate(rows_Nx3[:, 2])
    return Curve(*rows_Nx3[rows_Nx3[:, 2] == best].T, rows_Nx3[-1, 0])


def _flops(measured: Measurement) -> np.ndarray:
    return measured.exact_flops


def draw(runs: Sequence[Run], path: Path | None = None) -> Figure:
    """The shortest description and its S against compute, the mean over seeds."""
    panels = []
    for title, column in (("shortest S + H", 1), ("its structure S", 0)):
        series = {}
        for name, looped in (("direct", False), ("looped", True)):
            curves = _shortest(runs, looped).values()
            first = max(curve.flops[0] for curve in curves)
            last = min(curve.last_flops for curve in curves)
            series[name] = [
                (flops, interval(np.array([curve.at(flops)[column] for curve in curves])))
                for flops in np.geomspace(first, last, 12)
            ]
        label = "compute T to train and to code, FLOP"
        panels.append(lines.Panel(title, label, "bit", series, scale="log"))
    return lines.panels(panels, path)
