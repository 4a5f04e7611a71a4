"""Power laws L(n) = exp(e) + exp(a) n^-alpha of a loss against tokens, fitted by Huber's loss.

As in ADO (arXiv 2410.11820): Huber's loss of the logarithm, several starts, penalties that keep the
exponents in bounds. Of the starts on its grid the best ones are improved, not all.
"""

import itertools
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from scipy import optimize, signal, special

HUBER = 1e-3
IMPROVED = 4  # starts from which the optimiser goes
SLOPES = np.linspace(-2, 5, 8)
ENTROPIES = np.linspace(-2, 1.5, 8)
EXPONENTS = np.linspace(0, 0.7, 8)
MOST_EXPONENT, LEAST_EXPONENT, MOST_SLOPE, LEAST_ENTROPY = 0.8, 0.001, 6.5, 0.5


class Law(NamedTuple):
    """L(n) = exp(entropy) + exp(slope) n^-exponent, in nats per token."""

    entropy: float
    slope: float
    exponent: float

    @property
    def irreducible(self) -> float:
        """What stays of the loss, in nats per token."""
        return float(np.exp(self.entropy))

    def reducible(self, tokens: float) -> float:
        """What is above it after so many tokens."""
        return float(np.exp(self.slope - self.exponent * np.log(tokens)))


def smoothed(values_N: np.ndarray, window: int, order: int = 3) -> np.ndarray:
    """A Savitzky-Golay filter, with a shorter odd window where there are fewer values."""
    window = min(window, len(values_N))
    window -= 1 - window % 2
    if window <= order:
        return values_N
    return signal.savgol_filter(values_N, window, order)


def fit(tokens_N: np.ndarray, nats_N: np.ndarray, bounded: bool) -> Law:
    """The law of losses at numbers of tokens.

    Args:
      tokens_N: above 0, rising.
      nats_N: losses above 0, in nats per token.
      bounded: whether an irreducible loss below exp(0.5) nats is penalised, as in ADO's code.
    """
    log_n, log_loss = np.log(tokens_N), np.log(np.maximum(nats_N, 1e-9))
    # ADO adds penalties to the sum of Huber's loss, which is this mean times its unit.
    weight = 1 / (HUBER * len(log_n))

    def cost(point: np.ndarray) -> tuple[float, np.ndarray]:
        value, slopes, _ = misfit(point, log_n, log_loss)
        beyond = np.array([LEAST_ENTROPY - point[0] if bounded else 0.0, point[1] - MOST_SLOPE])
        exponent = point[2] - np.clip(point[2], LEAST_EXPONENT, MOST_EXPONENT)
        penalty = np.maximum(beyond, 0).sum() + abs(exponent)
        sides = np.array([-1.0 * (beyond[0] > 0), 1.0 * (beyond[1] > 0), np.sign(exponent)])
        return value + weight * penalty, slopes + weight * sides

    grid = itertools.product(ENTROPIES, SLOPES, EXPONENTS)
    starts = sorted(grid, key=lambda start: cost(np.array(start))[0])
    found = [improved(cost, np.array(start)) for start in starts[:IMPROVED]]
    return Law(*min(found, key=lambda point: cost(point)[0]).tolist())


def misfit(
    point: np.ndarray, log_n: np.ndarray, log_loss: np.ndarray
) -> tuple[float, np.ndarray, np.ndarray]:
    """Huber's mean loss of the logarithm in units of HUBER, and its slopes.

    Returns:
      The loss; its slopes in entropy, slope and exponent; its slopes in each of `log_n`.
    """
    entropy, slope, exponent = point
    falling = slope - exponent * log_n
    gaps = np.logaddexp(entropy, falling) - log_loss
    pull = np.clip(gaps / HUBER, -1, 1) / len(gaps)
    of_falling = pull * special.expit(falling - entropy)
    value = float(special.huber(HUBER, gaps).mean() / HUBER)
    slopes = np.array([(pull - of_falling).sum(), of_falling.sum(), -(of_falling @ log_n)])
    return value, slopes, -exponent * of_falling


def improved(
    cost: Callable[[np.ndarray], tuple[float, np.ndarray]], start: np.ndarray
) -> np.ndarray:
    """The end of L-BFGS from a start, for a cost with its slopes."""
    options = {"maxiter": 200, "ftol": 1e-12, "gtol": 1e-8}
    return optimize.minimize(cost, start, jac=True, method="L-BFGS-B", options=options).x
