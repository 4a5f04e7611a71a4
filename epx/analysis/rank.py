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
    if len(set(first)) < 2 or len(set(second)) < 2:
        return float("nan")
    return float(stats.spearmanr(first, second).statistic)


def with_interval(first: Sequence[float], second: Sequence[float]) -> Correlation:
    """The correlation of pairs, and how it varies if the pairs are drawn again.

    The draws are the same at every call. Draws whose values are all equal are left out.
    """
    return _resampled(spearman, first, second)


def advantage(
    first: Sequence[float], other: Sequence[float], outcome: Sequence[float]
) -> Correlation:
    """By how much the correlation of `first` with an outcome is above that of another predictor.

    The interval is that of `with_interval`, of triples.
    """
    return _resampled(lambda a, b, y: spearman(a, y) - spearman(b, y), first, other, outcome)


def _resampled(statistic: Callable[..., float], *columns: Sequence[float]) -> Correlation:
    columns_CxN, random = np.array(columns, float), np.random.default_rng(0)
    count = columns_CxN.shape[1]
    again = [statistic(*columns_CxN[:, random.integers(0, count, count)]) for _ in range(RESAMPLED)]
    known = [value for value in again if not np.isnan(value)] or [np.nan]
    low, high = np.percentile(known, [2.5, 97.5])
    return Correlation(statistic(*columns_CxN), float(low), float(high))
