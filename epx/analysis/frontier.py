"""The frontier: the shortest two-part code of a coded set at each compute budget.

Every evaluation of every run is a point (T, S, H): the compute to train so far and to code the set,
the length of the model, and the length of the data given the model. The procedure is that of arXiv
2601.03220, appendix B.1: take the lower convex hull of S + H against T, and keep of every run only
the hull point with the median T, which removes oscillations of S within a run. S_T and H_T are
those of the last kept point with T_point <= T.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from epx.analysis import ledger
from epx.analysis.measurement import LN2, Estimate
from epx.record import Record, RecordError
from epx.types import require

ACCOUNTINGS = ("exact", "paper")


class Points(NamedTuple):
    """Points in any order: arrays of equal length, S and H in bits of the full coded set.

    Attributes:
      run: index of the run (int).
      seed: index of the member of the run (int).
      step: training steps done (int).
      flops: T, float64.
      structure_bits: S, float64; below 0 where the last loss is above the online loss.
      entropy_bits: H, float64.
    """

    run: np.ndarray
    seed: np.ndarray
    step: np.ndarray
    flops: np.ndarray
    structure_bits: np.ndarray
    entropy_bits: np.ndarray

    @property
    def description_bits(self) -> np.ndarray:
        """MDL = S + H."""
        # arXiv 2601.03220, section 3.
        return self.structure_bits + self.entropy_bits

    def take(self, index: np.ndarray) -> "Points":
        """The points at these indices, in this order."""
        return Points(*(array[index] for array in self))


def points(
    runs: Sequence[tuple[Record, list[int] | None]],
    test_tokens: float,
    anchor: str | None = None,
    accounting: str = "exact",
) -> Points:
    """Make a point of every evaluation of every finite member, by the code of its record.

    Args:
      runs: runs on one generator with different observers or rates: for each a record and its
        members that differ only in their seed, or None for all members.
      test_tokens: 𝒟, the same for all points, so that their MDL can be compared.
      anchor: as in `ledger.measure`.
      accounting: of compute, `exact` or `paper`.

    Raises:
      ValueError: an unknown accounting, or test tokens that are not above 0.
      RecordError: no record has an evaluation with a finite loss.
    """
    require("accounting", accounting, accounting in ACCOUNTINGS, ", ".join(ACCOUNTINGS))
    rows: list[tuple] = []
    for run, (record, members) in enumerate(runs):
        for step in sorted(record.evals):
            if not ledger.finite_members(record, step, members).size:
                continue
            measured = ledger.measure(record, None, anchor, test_tokens, members, step)
            flops_M = measured.exact_flops if accounting == "exact" else measured.paper_flops
            bits = measured.structure_nats / LN2, measured.entropy_nats / LN2
            for seed, *values in zip(measured.members, flops_M, *bits):
                rows.append((run, seed, step, *values))
    if not rows:
        raise RecordError("no evaluation with a finite loss in these records")
    return Points(*map(np.array, zip(*rows)))


def hull(flops: np.ndarray, bits: np.ndarray, tolerance: float = 0.0) -> np.ndarray:
    """Indices of the lower convex hull in linear coordinates, by rising T.

    Args:
      flops: T of each point.
      bits: its description length; it may be negative.
      tolerance: fraction by which a point may lie above the lowest value so far. The paper takes 0
        for chess, 0.01 for emergence and 0.02 for three automata, where it also loosens the
        convexity test, unlike this function. At 0 the description length never rises with T.
    """
    kept: list[int] = []
    last_flops, lowest, ceiling = -np.inf, np.inf, np.inf
    for i in np.lexsort((bits, flops)):
        if bits[i] > ceiling or flops[i] == last_flops:  # of equal T the shortest comes first
            continue
        while len(kept) > 1 and _is_above(kept[-1], kept[-2], i, flops, bits):
            kept.pop()
        kept.append(int(i))
        last_flops, lowest = flops[i], min(lowest, bits[i])
        ceiling = lowest + tolerance * abs(lowest)
    return np.array(kept, int)


def _is_above(middle: int, left: int, right: int, flops: np.ndarray, bits: np.ndarray) -> bool:
    """Whether a point is on or above the chord of its neighbours."""
    over = (bits[middle] - bits[left]) * (flops[right] - flops[left])
    return over >= (bits[right] - bits[left]) * (flops[middle] - flops[left])


def frontier(points: Points, tolerance: float = 0.0) -> Points:
    """The hull point with the median T of every run, by rising T.

    Of two middle points the one with less compute is kept.
    """
    on_hull = points.take(hull(points.flops, points.description_bits, tolerance))
    kept = []
    for run in np.unique(on_hull.run):
        of_run = np.flatnonzero(on_hull.run == run)
        kept.append(of_run[(len(of_run) - 1) // 2])
    return on_hull.take(np.sort(kept))


def at(kept: Points, flops: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """S_T and H_T in bits at each budget: those of the last kept point within the budget.

    nan below the cheapest point.
    """
    index = np.searchsorted(kept.flops, flops, side="right") - 1
    affordable = index >= 0
    return tuple(
        np.where(affordable, bits[np.maximum(index, 0)], np.nan)
        for bits in (kept.structure_bits, kept.entropy_bits)
    )


def mean_over_seeds(points: Points) -> Points:
    """Average over seeds: one point for every run and evaluation, with `seed` 0.

    Compute can differ between seeds and is averaged as well.
    """
    index, group = np.unique(np.stack([points.run, points.step]), axis=1, return_inverse=True)
    group = group.reshape(-1)
    count = np.bincount(group)
    values = [np.bincount(group, np.asarray(array, float)) / count for array in points[3:]]
    return Points(index[0], 0 * index[0], index[1], *values)


def resampled(
    points: Points, flops: np.ndarray, seed: int, draws: int = 200, tolerance: float = 0.0
) -> tuple[list[Estimate], list[Estimate]]:
    """S_T and H_T at each budget with 95 % bootstrap intervals.

    Runs are drawn with replacement, then the seeds of each, and the procedure is repeated.

    Args:
      points: every point of every seed.
      flops: budgets.
      seed: seed of the bootstrap.
      draws: number of bootstrap samples.
      tolerance: as in `hull`.

    Returns:
      Estimates of S and of H in bits. The mean is the value from all points, nan at a budget below
      the cheapest kept point. The half width is half of the central 95 % of the draws; near the
      cheapest budget some draws have no value and are left out. nan for one run of one seed.
    """
    rng = np.random.default_rng(seed)
    value = at(frontier(mean_over_seeds(points), tolerance), flops)
    alone = len(set(zip(points.run, points.seed))) == 1
    samples = []
    for _ in range(draws):
        sample = mean_over_seeds(_draw(points, rng))
        samples.append(at(frontier(sample, tolerance), flops))
    result = []
    for centre, draws_RxT in zip(value, np.moveaxis(np.array(samples), 1, 0)):
        half = np.full(len(centre), np.nan)
        affordable = np.isfinite(draws_RxT).any(0) & np.isfinite(centre)
        if affordable.any() and not alone:
            low, high = np.nanquantile(draws_RxT[:, affordable], [0.025, 0.975], axis=0)
            half[affordable] = (high - low) / 2
        result.append([Estimate(*pair) for pair in zip(centre, half)])
    return result[0], result[1]


class Curve(NamedTuple):
    """The frontier of a generator.

    Attributes:
      points: all points of all runs.
      flops: budgets, rising.
      structure_bits, entropy_bits: estimates of S_T and H_T at each budget.
      test_tokens: size of the coded set.
    """

    points: Points
    flops: np.ndarray
    structure_bits: list[Estimate]
    entropy_bits: list[Estimate]
    test_tokens: float


def curve(points: Points, test_tokens: float, tolerance: float = 0.0, budgets: int = 12) -> Curve:
    """S_T and H_T with their intervals at budgets evenly spaced in log T.

    Budgets range from the cheapest kept point to the most expensive point; there is one budget if
    these are equal.
    """
    low = frontier(mean_over_seeds(points), tolerance).flops[0]
    high = max(low, points.flops.max())
    # Rounding may leave a nearly empty range.
    flops = np.unique(np.clip(np.geomspace(low, high, budgets), low, high))
    return Curve(points, flops, *resampled(points, flops, 0, tolerance=tolerance), test_tokens)


def _draw(points: Points, rng: np.random.Generator) -> Points:
    """Draw runs with replacement, then the seeds of each with replacement."""
    index, runs = [], []
    for new, run in enumerate(rng.choice(np.unique(points.run), len(np.unique(points.run)))):
        seeds = np.unique(points.seed[points.run == run])
        for seed in rng.choice(seeds, len(seeds)):
            of_seed = np.flatnonzero((points.run == run) & (points.seed == seed))
            index.append(of_seed)
            runs.append(np.full(len(of_seed), new))
    return points.take(np.concatenate(index))._replace(run=np.concatenate(runs))
