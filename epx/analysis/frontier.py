"""Two-part code against compute: which model tells a coded set in the fewest bits at each budget.

Every evaluation of every run is a point (T, S, H): the compute to train so far and to code the set,
the length of the model and that of the data given the model. The procedure of arXiv 2601.03220,
appendix B.1: the lower convex hull of S + H against T, and of every run only the hull point with
the median T, which takes out that S swings along one run. S_T and H_T are those of the last point
that is kept with T_point <= T.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from epx.analysis import ledger
from epx.analysis.measurement import LN2, Estimate
from epx.record import Record, RecordError

ACCOUNTINGS = ("exact", "paper")


class Points(NamedTuple):
    """Points in any order, float64 arrays of one shape, S and H in bits of the whole coded set.

    Attributes:
      run: which run each belongs to, `seed` which of its members and `step` how far it is (int).
      flops: T.
      structure_bits: S; below 0 where the last loss is above the online loss.
      entropy_bits: H.
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
        return self.structure_bits + self.entropy_bits

    def take(self, index: np.ndarray) -> "Points":
        """Some of them, in the order of the index."""
        return Points(*(array[index] for array in self))


def points(
    runs: Sequence[tuple[Record, list[int] | None]],
    test_tokens: float,
    anchor: str | None = None,
    accounting: str = "exact",
) -> Points:
    """A point for every evaluation of every member that is well, by the code of its record.

    Args:
      runs: runs on one world, of different observers or rates: a record each, with those of its
        members that differ in their seed alone, or None for all.
      test_tokens: 𝒟, the same for all, or their MDL could not be compared.
      anchor: as in `ledger.prequential`.
      accounting: of compute, `exact` or the `paper`'s.

    Raises:
      ValueError: an unknown accounting, or no test tokens.
      RecordError: no record has an evaluation with a finite loss.
    """
    if accounting not in ACCOUNTINGS:
        raise ValueError(f"accounting={accounting}: accepted are {', '.join(ACCOUNTINGS)}")
    found: list[tuple] = []
    for run, (record, members) in enumerate(runs):
        for step in sorted(record.evals):
            if not ledger.well(record, step, members).size:
                continue
            one = ledger.own(record)(record, anchor, test_tokens, members, step)
            flops_M = one.exact_flops if accounting == "exact" else one.paper_flops
            bits = one.structure_nats / LN2, one.entropy_nats / LN2
            found += [(run, seed, step, *rest) for seed, *rest in zip(one.members, flops_M, *bits)]
    if not found:
        raise RecordError("no evaluation with a finite loss in these records")
    return Points(*map(np.array, zip(*found)))


def hull(flops: np.ndarray, bits: np.ndarray, tolerance: float = 0.0) -> np.ndarray:
    """Indices, by rising T, of the lower convex hull in linear coordinates.

    Args:
      flops: T of each point.
      bits: its description length; it may be negative.
      tolerance: fraction of the lowest value so far by which a point may lie above it. The paper
        takes 0 for chess, 0.01 for emergence and 0.02 for three automata (where it also bends the
        hull, which is not done here); at 0 the description length never rises with T.
    """
    kept: list[int] = []
    seen, lowest, ceiling = -np.inf, np.inf, np.inf
    for i in np.lexsort((bits, flops)):
        if bits[i] > ceiling or flops[i] == seen:  # the first of equal T is the shortest
            continue
        while len(kept) > 1 and _is_above(kept[-1], kept[-2], i, flops, bits):
            kept.pop()
        kept.append(int(i))
        seen, lowest = flops[i], min(lowest, bits[i])
        ceiling = lowest + tolerance * abs(lowest)
    return np.array(kept, int)


def _is_above(middle: int, left: int, right: int, flops: np.ndarray, bits: np.ndarray) -> bool:
    """Whether a point is on or above the chord of its neighbours."""
    over = (bits[middle] - bits[left]) * (flops[right] - flops[left])
    return over >= (bits[right] - bits[left]) * (flops[middle] - flops[left])


def frontier(found: Points, tolerance: float = 0.0) -> Points:
    """The points that are kept: those of the hull, and of every run only the one with the median T
    (of two in the middle the one of less compute), by rising T."""
    on_hull = found.take(hull(found.flops, found.description_bits, tolerance))
    kept = []
    for run in np.unique(on_hull.run):
        mine = np.flatnonzero(on_hull.run == run)
        kept.append(mine[(len(mine) - 1) // 2])
    return on_hull.take(np.sort(kept))


def at(kept: Points, flops: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """S_T and H_T in bits at each budget: those of the last point kept that it can pay for; nan
    below the cheapest."""
    index = np.searchsorted(kept.flops, flops, side="right") - 1
    pays = index >= 0
    return tuple(
        np.where(pays, bits[np.maximum(index, 0)], np.nan)
        for bits in (kept.structure_bits, kept.entropy_bits)
    )


def mean_over_seeds(found: Points) -> Points:
    """One point for every run and evaluation, the mean of its seeds (`seed` becomes 0), whose
    compute can differ."""
    index, group = np.unique(np.stack([found.run, found.step]), axis=1, return_inverse=True)
    group = group.reshape(-1)
    count = np.bincount(group)
    values = [np.bincount(group, np.asarray(array, float)) / count for array in found[3:]]
    return Points(index[0], 0 * index[0], index[1], *values)


def resampled(
    found: Points, flops: np.ndarray, seed: int, draws: int = 200, tolerance: float = 0.0
) -> tuple[list[Estimate], list[Estimate]]:
    """S_T and H_T at each budget with 95 % intervals: runs are drawn with replacement, and then the
    seeds of each, and the procedure is repeated.

    Args:
      found: every point, of every seed.
      flops: budgets.
      seed: of the draws.
      draws: how many.
      tolerance: as in `hull`.

    Returns:
      Estimates of S and of H in bits: the value of all points, nan at a budget that pays for none
      that is kept, and half of the central 95 % of the draws that can pay, which at the cheapest
      budgets are not all; nan of one run of one seed, of which there is nothing to draw.
    """
    rng = np.random.default_rng(seed)
    value = at(frontier(mean_over_seeds(found), tolerance), flops)
    alone = len(set(zip(found.run, found.seed))) == 1
    drawn = []
    for _ in range(draws):
        drawn.append(at(frontier(mean_over_seeds(_draw(found, rng)), tolerance), flops))
    result = []
    for centre, draws_RxT in zip(value, np.moveaxis(np.array(drawn), 1, 0)):
        half = np.full(len(centre), np.nan)
        pays = np.isfinite(draws_RxT).any(0) & np.isfinite(centre)
        if pays.any() and not alone:
            low, high = np.nanquantile(draws_RxT[:, pays], [0.025, 0.975], axis=0)
            half[pays] = (high - low) / 2
        result.append([Estimate(*pair) for pair in zip(centre, half)])
    return result[0], result[1]


class Curve(NamedTuple):
    """The frontier of a world.

    Attributes:
      points: all that it was drawn from.
      flops: budgets, rising.
      structure_bits, entropy_bits: estimates of S_T and H_T at each.
      test_tokens: size of the coded set.
    """

    points: Points
    flops: np.ndarray
    structure_bits: list[Estimate]
    entropy_bits: list[Estimate]
    test_tokens: float


def curve(found: Points, test_tokens: float, tolerance: float = 0.0, budgets: int = 12) -> Curve:
    """S_T and H_T with their intervals at budgets that are even in log T, from the cheapest point
    that is kept to the dearest of all; one budget where these are the same."""
    low = frontier(mean_over_seeds(found), tolerance).flops[0]
    high = max(low, found.flops.max())
    # Rounding may leave the range, where there is next to none.
    flops = np.unique(np.clip(np.geomspace(low, high, budgets), low, high))
    return Curve(found, flops, *resampled(found, flops, 0, tolerance=tolerance), test_tokens)


def _draw(found: Points, rng: np.random.Generator) -> Points:
    """As many runs, with replacement, each with as many of its seeds, with replacement."""
    index, runs = [], []
    for new, run in enumerate(rng.choice(np.unique(found.run), len(np.unique(found.run)))):
        seeds = np.unique(found.seed[found.run == run])
        for seed in rng.choice(seeds, len(seeds)):
            mine = np.flatnonzero((found.run == run) & (found.seed == seed))
            index.append(mine)
            runs.append(np.full(len(mine), new))
    return found.take(np.concatenate(index))._replace(run=np.concatenate(runs))
