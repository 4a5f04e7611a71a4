"""Collapse in closed form and by simulation: models fitted to what models drew.

Generation 1 is fitted to true data, each later one to data of the one before: alone (`replace`),
together with all data so far (`accumulate`), with as much drawn from all of it (`subsample`), or
with a tenth of the true data (`kept`). The models are a Gaussian (arXiv 2305.17493), frequencies
(the chain of Wright and Fisher) and linear regression (arXiv 2404.01413). `lost_from` dates a fall.
"""

import math
from collections.abc import Sequence

import numpy as np

from epx.types import require, require_whole

ARMS = ("replace", "accumulate", "subsample", "kept")
KEPT = 0.1
MOST = 10**6


def gaussian(
    arm: str, generations: int, samples: int = 100, replicas: int = 2000, seed: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """Means and variances of Gaussians, fitted by maximum likelihood; the truth is N(0, 1).

    Args:
      arm: one of ARMS.
      generations: G.
      samples: M, of each generation.
      replicas: independent runs, N.
      seed: of all draws.

    Returns:
      Two arrays of shape GxN.

    Raises:
      ValueError: an argument out of its bounds.
    """
    _check(arm, generations, samples, replicas)
    random = np.random.default_rng(seed)
    true_NxM = random.normal(size=(replicas, samples))
    data_NxM, found = true_NxM, []
    all_N, sum_N, squares_N = 0, np.zeros(replicas), np.zeros(replicas)
    room = (generations + 1) * samples if arm == "subsample" else samples
    pool_NxP = np.empty((replicas, room))  # all data so far, for one arm
    pool_NxP[:, :samples] = true_NxM
    for generation in range(1, generations + 1):
        if arm == "accumulate":
            all_N += samples
            sum_N = sum_N + data_NxM.sum(1)
            squares_N = squares_N + (data_NxM**2).sum(1)
            mean_N = sum_N / all_N
            variance_N = squares_N / all_N - mean_N**2
        else:
            mean_N, variance_N = data_NxM.mean(1), data_NxM.var(1)
        found.append((mean_N, variance_N))
        drawn_NxM = random.normal(mean_N[:, None], np.sqrt(variance_N)[:, None], true_NxM.shape)
        if arm == "kept":
            real = round(KEPT * samples)
            drawn_NxM[:, :real] = random.permuted(true_NxM, axis=1)[:, :real]
        elif arm == "subsample":
            end = (generation + 1) * samples
            pool_NxP[:, end - samples : end] = drawn_NxM
            places_NxM = random.integers(0, end, drawn_NxM.shape)
            drawn_NxM = np.take_along_axis(pool_NxP, places_NxM, axis=1)
        data_NxM = drawn_NxM
    means, variances = zip(*found)
    return np.array(means), np.array(variances)


def gaussian_variance(generations: int, samples: int) -> np.ndarray:
    """The expected variance of each generation under `replace`: (1 - 1/M)^g.

    >>> gaussian_variance(100, 100)[[9, 49, 99]].round(3).tolist()
    [0.904, 0.605, 0.366]
    """
    return (1 - 1 / samples) ** np.arange(1, generations + 1)


def frequencies(
    generations: int, outcomes: int = 6, samples: int = 1000, replicas: int = 2000, seed: int = 0
) -> np.ndarray:
    """Frequencies of equally likely outcomes, each generation counted from draws of the last.

    Returns:
      Shape GxNxK, under `replace`: the chain of Wright and Fisher, in which outcomes die out.

    Raises:
      ValueError: an argument out of its bounds.
    """
    _check("replace", generations, samples, replicas)
    require_whole("outcomes", outcomes, 2, MOST)
    random = np.random.default_rng(seed)
    law_NxK, found = np.full((replicas, outcomes), 1 / outcomes), []
    for _ in range(generations):
        law_NxK = random.multinomial(samples, law_NxK) / samples
        found.append(law_NxK)
    return np.array(found)


def diversity(generations: int, outcomes: int, samples: int) -> np.ndarray:
    """Expected 1 - sum p^2 of each generation: (1 - 1/K) (1 - 1/M)^g.

    >>> diversity(1000, 6, 1000)[[99, 999]].round(3).tolist()
    [0.754, 0.306]
    """
    return (1 - 1 / outcomes) * gaussian_variance(generations, samples)


def regression(
    arm: str,
    generations: int,
    features: int = 10,
    samples: int = 100,
    replicas: int = 500,
    seed: int = 0,
) -> np.ndarray:
    """Squared error of the weights of each generation, in units of the first one's expectation.

    The unit is s^2 d / (T - d - 1). Under `replace` the error grows by it in every generation,
    under `accumulate` it stays below pi^2 / 6 of them.

    Args:
      arm: `replace` or `accumulate`.
      generations, replicas, seed: as in `gaussian`.
      features: d.
      samples: T, of each generation, above d + 1.

    Returns:
      Shape GxN.

    Raises:
      ValueError: an argument out of its bounds.
    """
    _check(arm, generations, samples, replicas)
    require("arm", arm, arm in ARMS[:2], " or ".join(ARMS[:2]))
    require_whole("features", features, 1, samples - 2, f"with samples={samples}")
    random = np.random.default_rng(seed)
    # Without loss of generality the true weights are 0.
    weights_NxD = np.zeros((replicas, features))
    gram_NxDxD, product_NxD, found = 0.0, 0.0, []
    for _ in range(generations):
        x_NxTxD = random.normal(size=(replicas, samples, features))
        y_NxT = np.einsum("ntd,nd->nt", x_NxTxD, weights_NxD)
        y_NxT += random.normal(size=(replicas, samples))
        gram = np.einsum("ntd,nte->nde", x_NxTxD, x_NxTxD)
        product = np.einsum("ntd,nt->nd", x_NxTxD, y_NxT)
        accumulates = arm == "accumulate"
        gram_NxDxD = gram + gram_NxDxD * accumulates
        product_NxD = product + product_NxD * accumulates
        weights_NxD = np.linalg.solve(gram_NxDxD, product_NxD[..., None])[..., 0]
        found.append((weights_NxD**2).sum(1))
    return np.array(found) * (samples - features - 1) / features


def regression_bound(arm: str, generation: int) -> float:
    """The expected error of a generation in the same units: exact, or for `accumulate` a bound."""
    return float(generation) if arm == "replace" else math.pi**2 / 6


def lost_from(values_G: Sequence[float], share: float = 0.1) -> int:
    """The generation, from 1 on, from which all values are below the first by more than a share.

    One more than there are where the last value is not below it.

    >>> lost_from([10.0, 8.9, 9.5, 8.0, 7.0]), lost_from([10.0, 8.0, 9.1])
    (4, 4)
    """
    is_kept_G = [value >= (1 - share) * values_G[0] for value in values_G]
    return 1 + max(n for n, is_kept in enumerate(is_kept_G, 1) if is_kept)


def _check(arm: str, generations: int, samples: int, replicas: int) -> None:
    require("arm", arm, arm in ARMS, ", ".join(ARMS))
    require_whole("generations", generations, 1, MOST)
    require_whole("samples", samples, 2, MOST)
    require_whole("replicas", replicas, 1, MOST)
