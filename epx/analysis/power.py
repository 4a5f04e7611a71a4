"""How many seeds resolve a difference that is paired by seed."""

import math

from scipy import stats

MOST_SEEDS = 10_000


def half_width(deviation: float, seeds: int) -> float:
    """Half width of the 95 % interval of a mean over seeds, two-sided Student t.

    Args:
      deviation: standard deviation of the differences of a seed.
      seeds: their number, 2 or more.

    >>> round(half_width(0.3, 5), 2), round(half_width(0.3, 16), 2)
    (0.37, 0.16)
    """
    return float(stats.t.ppf(0.975, seeds - 1)) * deviation / math.sqrt(seeds)


def seeds_to_resolve(deviation: float, difference: float) -> int | None:
    """The fewest seeds whose interval is narrower than a difference; None above 10,000, or for nan.

    With so many, a true difference of this size is seen in half of all studies; twice as large a
    one nearly always.

    >>> seeds_to_resolve(0.3, 0.37), seeds_to_resolve(0.3, 0.16), seeds_to_resolve(0.3, 0.0)
    (6, 16, None)
    """
    if not (difference > 0 and half_width(deviation, MOST_SEEDS) <= difference):
        return None  # also of a deviation that is not known
    low, high = 2, MOST_SEEDS
    while low < high:
        middle = (low + high) // 2
        if half_width(deviation, middle) <= difference:
            high = middle
        else:
            low = middle + 1
    return low
