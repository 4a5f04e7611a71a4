"""Woken or taught: what the excess description length per example, EDL(n)/n, says of a training.

Where a capability is only woken, the first examples save most, and EDL/n falls from the start.
Where it is taught, examples first save more and more: EDL/n rises to a peak and then falls (arXiv
2601.04728 and companions). The rule here asks every seed for the shape, and that the task was
learned: the format of random labels is learned early too. It is evidence, not proof.
"""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from epx.analysis.measurement import interval
from epx.types import require

WOKEN, TAUGHT, UNDECIDED = "woken", "taught", "undecided"
FALL = 0.1  # of the peak, by which the last value must be below it
LEFT = 0.5  # of the first loss, of which no more may be left: else the task was not learned
FEWEST_POINTS, FEWEST_SEEDS = 6, 5
START = 10  # batches: a peak among what they charge is at the start
RESAMPLED = 2000


class Curve(NamedTuple):
    """EDL of one seed by the number of examples.

    Attributes:
      examples: n, rising.
      bits: EDL(n), in total.
      left: share of the loss before training that is left after training on the most examples.
    """

    examples: np.ndarray
    bits: np.ndarray
    left: float = 0.0

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


def shape(curve: Curve, batch: int = 1) -> str:
    """Woken, taught or undecided, by the place of the peak of one seed.

    Woken: the peak is within the first 10 batches, each charged before its update. Taught: it comes
    later, and the first value is clearly lower. In both cases EDL/n falls from the peak on, clearly
    and without a second rise, and most of the first loss is gone in the end.
    """
    values = curve.bits_per_example
    peak = int(np.argmax(values))
    top, first, after = values[peak], values[0], values[peak:]
    rise = (after - np.minimum.accumulate(after)).max()
    falls = after[-1] <= (1 - FALL) * top and rise <= FALL * top
    if top <= 0 or not falls or curve.left > LEFT:
        return UNDECIDED
    if curve.examples[peak] <= START * batch:
        return WOKEN
    return TAUGHT if first < (1 - FALL) * top else UNDECIDED


def decide(curves: Mapping[int, Curve], batch: int = 1) -> Verdict:
    """The verdict on curves by seed, all of the same numbers of examples, in batches of so many.

    Every seed must show the shape, and over the seeds the intervals must tell the peak of the mean
    from 0, from the end, and of what is taught from the start: noise has peaks too.

    Raises:
      ValueError: no curves, or of different numbers of examples.
    """
    examples = [tuple(curve.examples.tolist()) for curve in curves.values()]
    require("curves", examples, len(set(examples)) == 1, "curves of the same numbers of examples")
    by_seed = {seed: shape(curve, batch) for seed, curve in curves.items()}
    shapes = set(by_seed.values())
    overall = shapes.pop() if len(shapes) == 1 else UNDECIDED
    warnings = _warnings(curves, START * batch)
    if any(warning.startswith("only") for warning in warnings) or not _stands_out(curves, overall):
        overall = UNDECIDED
    return Verdict(overall, by_seed, _peak(curves), warnings)


def _stands_out(curves: Mapping[int, Curve], overall: str) -> bool:
    """Whether the seeds tell the peak of their mean from what it has to be above."""
    values_SxN = np.array([curve.bits_per_example for curve in curves.values()])
    peak_S = values_SxN[:, values_SxN.mean(0).argmax()]
    others = [np.zeros_like(peak_S), values_SxN[:, -1]]
    if overall == TAUGHT:
        others.append(values_SxN[:, 0])
    gaps = [interval(peak_S - other_S) for other_S in others]
    return all(gap.mean > gap.half_width for gap in gaps)  # of a single seed it is not a number


def _warnings(curves: Mapping[int, Curve], start: int) -> list[str]:
    found = []
    first = next(iter(curves.values()))
    if len(curves) < FEWEST_SEEDS:
        found.append(f"only {len(curves)} seeds, of {FEWEST_SEEDS} or more")
    if len(first.examples) < FEWEST_POINTS:
        found.append(f"only {len(first.examples)} numbers of examples, of {FEWEST_POINTS} or more")
    if first.examples[0] > start:
        found.append(f"only from {first.examples[0]:g} examples on: the start was not seen")
    unlearned = sorted(seed for seed, curve in curves.items() if curve.left > LEFT)
    if unlearned:
        found.append(f"more than half of the first loss is left for seeds {unlearned}")
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
