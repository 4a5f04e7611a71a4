"""Rank correlation, with an interval over the things that are ranked."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy import stats

RESAMPLED = 2000


class Correlation(NamedTuple):
    """Spearman's coefficient and the ends of its 95 % bootstrap interval."""

    value: float
    low: float
    high: float


def spearman(first: Sequence[float], second: Sequence[float]) -> float:
    """Spearman's rank correlation; nan if all values of one are equal."""
    if len(set(first)) < 2 or len(set(second)) < 2:
        return float("nan")
    return float(stats.spearmanr(first, second).statistic)


def with_interval(first: Sequence[float], second: Sequence[float]) -> Correlation:
    """The correlation of pairs, and how it varies if the pairs are drawn again.

    The draws are the same at every call. Draws whose values are all equal are left out.
    """
    pairs_2xN, random = np.array([first, second], float), np.random.default_rng(0)
    count = pairs_2xN.shape[1]
    again = [spearman(*pairs_2xN[:, random.integers(0, count, count)]) for _ in range(RESAMPLED)]
    known = [value for value in again if not np.isnan(value)] or [np.nan]
    low, high = np.percentile(known, [2.5, 97.5])
    return Correlation(spearman(*pairs_2xN), float(low), float(high))
