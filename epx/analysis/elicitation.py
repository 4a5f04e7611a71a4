"""Woken or taught: what the excess description length per example, EDL(n)/n, says of a training.

Where a capability is only woken, the first examples save most, and EDL/n falls from the start.
Where it is taught, examples first save more and more: EDL/n rises to a peak and then falls (arXiv
2601.04728 and companions). The rule here asks every seed for the shape; it is evidence, not proof.
"""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from epx.types import require

WOKEN, TAUGHT, UNDECIDED = "woken", "taught", "undecided"
RISE = 0.25  # of the first value, by which a peak must exceed it to count
FALL = 0.1  # of the peak, by which the last value must be below it
FEWEST_POINTS, FEWEST_SEEDS = 6, 5
LARGEST_FIRST = 10  # examples of the first point, above which a start was not seen
RESAMPLED = 2000


class Curve(NamedTuple):
    """EDL of one seed by the number of examples.

    Attributes:
      examples: n, rising.
      bits: EDL(n), in total.
    """

    examples: np.ndarray
    bits: np.ndarray

    @property
    def bits_per_example(self) -> np.ndarray:
        """EDL(n)/n."""
        return self.bits / self.examples


class Verdict(NamedTuple):
    """What the curves of all seeds say.

    Attributes:
      shape: `woken`, `taught` or `undecided`.
      by_seed: the shape of each seed.
      peak_examples: n at the peak of the mean of EDL/n, and the ends of its 95 % interval, from
        seeds drawn again.
      warnings: what makes the rule unreliable here.
    """

    shape: str
    by_seed: dict[int, str]
    peak_examples: tuple[float, float, float]
    warnings: list[str]


def shape(curve: Curve) -> str:
    """Woken, taught or undecided, from one seed.

    Woken: the first point is the highest, and the last one clearly lower. Taught: a later point is
    clearly higher than the first, and the last one clearly lower than that.
    """
    values = curve.bits_per_example
    peak = int(np.argmax(values))
    top, first, last = values[peak], values[0], values[-1]
    if top <= 0 or last > (1 - FALL) * top:
        return UNDECIDED
    if peak == 0:
        return WOKEN
    return TAUGHT if top > first + RISE * abs(first) else UNDECIDED


def decide(curves: Mapping[int, Curve]) -> Verdict:
    """The verdict on curves by seed, all of the same numbers of examples.

    Raises:
      ValueError: no curves, or of different numbers of examples.
    """
    examples = [tuple(curve.examples.tolist()) for curve in curves.values()]
    require("curves", examples, len(set(examples)) == 1, "curves of the same numbers of examples")
    by_seed = {seed: shape(curve) for seed, curve in curves.items()}
    shapes = set(by_seed.values())
    overall = shapes.pop() if len(shapes) == 1 else UNDECIDED
    warnings = _warnings(curves)
    if any(warning.startswith("only") for warning in warnings):
        overall = UNDECIDED
    return Verdict(overall, by_seed, _peak(curves), warnings)


def _warnings(curves: Mapping[int, Curve]) -> list[str]:
    found = []
    first = next(iter(curves.values()))
    if len(curves) < FEWEST_SEEDS:
        found.append(
            f"{len(curves)} seeds: an interval and a rule of every seed need {FEWEST_SEEDS}"
        )
    if len(first.examples) < FEWEST_POINTS:
        found.append(f"only {len(first.examples)} numbers of examples, of {FEWEST_POINTS} or more")
    if first.examples[0] > LARGEST_FIRST:
        found.append(f"only from {first.examples[0]:g} examples on: the start was not seen")
    negative = sorted(seed for seed, curve in curves.items() if curve.bits[-1] < 0)
    if negative:
        found.append(f"EDL is negative at the end for seeds {negative}: what was learned does harm")
    return found


def _peak(curves: Mapping[int, Curve]) -> tuple[float, float, float]:
    """Of the mean over seeds, and of seeds that are drawn again; the draws are always the same."""
    values_SxN = np.array([curve.bits_per_example for curve in curves.values()])
    examples = next(iter(curves.values())).examples
    random, count = np.random.default_rng(0), len(values_SxN)
    again = [
        examples[values_SxN[random.integers(0, count, count)].mean(0).argmax()]
        for _ in range(RESAMPLED)
    ]
    low, high = np.percentile(again, [2.5, 97.5], method="nearest")
    return float(examples[values_SxN.mean(0).argmax()]), float(low), float(high)
