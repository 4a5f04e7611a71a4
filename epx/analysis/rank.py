"""Rank correlation, with an interval over the things that are ranked, and over seeds."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from epx.analysis.measurement import Estimate

RESAMPLED = 2000


class Correlation(NamedTuple):
    """Spearman's coefficient, or a difference of two, and the ends of its 95 % interval."""

    value: float
    low: float
    high: float

    @property
    def estimate(self) -> Estimate:
        """With the longer half of the interval on both sides."""
        return Estimate(self.value, max(self.high - self.value, self.value - self.low))


def spearman(first: Sequence[float], second: Sequence[float]) -> float:
    """Spearman's rank correlation; nan if all values of one are equal."""
    return float(_spearman(np.asarray(first, float), np.asarray(second, float)))


def with_interval(first: ArrayLike, second: ArrayLike) -> Correlation:
    """The correlation of N pairs, and how it varies if the pairs are drawn again.

    Args:
      first, second: N numbers, or N x S, one for each of S seeds, whose means are ranked. Seeds are
        then drawn again too, the same ones for all pairs, which share them.

    The draws are the same at every call. Draws whose values are all equal are left out.
    """
    return _resampled(_spearman, first, second)


def advantage(first: ArrayLike, other: ArrayLike, outcome: ArrayLike) -> Correlation:
    """By how much the correlation of `first` with an outcome is above that of another predictor.

    The arguments and the interval are those of `with_interval`, of triples.
    """
    return _resampled(lambda a, b, y: _spearman(a, y) - _spearman(b, y), first, other, outcome)


def average_precision(score_N: np.ndarray, label_N: np.ndarray) -> float:
    """The mean over the true labels of the precision down to their score; nan if none is true.

    The share of true labels among all with a score at least as high. Without knowledge it is about
    the share of all.
    """
    label_N = np.asarray(label_N, bool)
    score_N = np.asarray(score_N, float)
    at_least_N = np.array([label_N[score_N >= score].mean() for score in score_N[label_N]])
    return float(at_least_N.mean()) if at_least_N.size else float("nan")


def _spearman(first_xN: np.ndarray, second_xN: np.ndarray) -> np.ndarray:
    """The correlation of the ranks along the last axis."""
    ranks = [stats.rankdata(values, axis=-1) for values in (first_xN, second_xN)]
    a_xN, b_xN = (rank_xN - rank_xN.mean(-1, keepdims=True) for rank_xN in ranks)
    with np.errstate(invalid="ignore"):
        return (a_xN * b_xN).sum(-1) / np.sqrt((a_xN**2).sum(-1) * (b_xN**2).sum(-1))


def _resampled(statistic: Callable[..., np.ndarray], *columns: ArrayLike) -> Correlation:
    found = [np.asarray(column, float) for column in columns]
    by_seed = np.broadcast_arrays(*(c if c.ndim == 2 else c[:, None] for c in found))
    values_CxNxS, random = np.array(by_seed), np.random.default_rng(0)
    _, count, seeds = values_CxNxS.shape
    draws_RxN = np.array([random.integers(0, count, count) for _ in range(RESAMPLED)])
    seeds_RxS = random.integers(0, seeds, (RESAMPLED, seeds))
    again_CxRxNxS = values_CxNxS[:, draws_RxN[:, :, None], seeds_RxS[:, None, :]]
    again_R = statistic(*again_CxRxNxS.mean(-1))
    known = again_R[~np.isnan(again_R)]
    low, high = np.percentile(known, [2.5, 97.5]) if len(known) else (np.nan, np.nan)
    return Correlation(float(statistic(*values_CxNxS.mean(-1))), float(low), float(high))
