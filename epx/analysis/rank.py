"""Rank correlation, with an interval over the things that are ranked."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
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


def with_interval(first: Sequence[float], second: Sequence[float]) -> Correlation:
    """The correlation of pairs, and how it varies if the pairs are drawn again.

    The draws are the same at every call. Draws whose values are all equal are left out.
    """
    return _resampled(_spearman, first, second)


def advantage(
    first: Sequence[float], other: Sequence[float], outcome: Sequence[float]
) -> Correlation:
    """By how much the correlation of `first` with an outcome is above that of another predictor.

    The interval is that of `with_interval`, of triples.
    """
    return _resampled(lambda a, b, y: _spearman(a, y) - _spearman(b, y), first, other, outcome)


def _spearman(first_xN: np.ndarray, second_xN: np.ndarray) -> np.ndarray:
    """The correlation of the ranks along the last axis."""
    ranks = [stats.rankdata(values, axis=-1) for values in (first_xN, second_xN)]
    a_xN, b_xN = (rank_xN - rank_xN.mean(-1, keepdims=True) for rank_xN in ranks)
    with np.errstate(invalid="ignore"):
        return (a_xN * b_xN).sum(-1) / np.sqrt((a_xN**2).sum(-1) * (b_xN**2).sum(-1))


def _resampled(statistic: Callable[..., np.ndarray], *columns: Sequence[float]) -> Correlation:
    columns_CxN, random = np.array(columns, float), np.random.default_rng(0)
    count = columns_CxN.shape[1]
    draws_RxN = np.array([random.integers(0, count, count) for _ in range(RESAMPLED)])
    again_R = statistic(*columns_CxN[:, draws_RxN])
    known = again_R[~np.isnan(again_R)]
    low, high = np.percentile(known, [2.5, 97.5]) if len(known) else (np.nan, np.nan)
    return Correlation(float(statistic(*columns_CxN)), float(low), float(high))
