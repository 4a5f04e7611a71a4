"""A linear probe: logistic regression from vectors to labels."""

from typing import NamedTuple

import numpy as np
from scipy import special

MOST_STEPS = 50


class Linear(NamedTuple):
    """The log odds of a label are `vectors_NxR @ weights_R + offset`."""

    weights_R: np.ndarray
    offset: float

    def log_odds(self, vectors_NxR: np.ndarray) -> np.ndarray:
        """Of each vector, N."""
        return vectors_NxR @ self.weights_R + self.offset


def fit(vectors_NxR: np.ndarray, label_N: np.ndarray) -> Linear:
    """The most probable weights under independent normal priors, by Newton's method in float64.

    The prior has variance 1 for a number of the vectors in units of its standard deviation; the
    offset has none. A number that does not vary has weight 0.
    """
    x_NxR = np.asarray(vectors_NxR, np.float64)
    mean_R, deviation_R = x_NxR.mean(0), x_NxR.std(0)
    scale_R = np.where(deviation_R > 1e-6, 1 / np.maximum(deviation_R, 1e-6), 0.0)
    design_NxP = np.column_stack([(x_NxR - mean_R) * scale_R, np.ones(len(x_NxR))])
    prior_P = np.append(np.ones(len(mean_R)), 0.0)
    found_P = np.zeros(len(prior_P))
    for _ in range(MOST_STEPS):
        chance_N = special.expit(design_NxP @ found_P)
        slope_P = design_NxP.T @ (label_N - chance_N) - prior_P * found_P
        curve_PxP = (design_NxP * (chance_N * (1 - chance_N))[:, None]).T @ design_NxP
        step_P = np.linalg.solve(curve_PxP + np.diag(prior_P + 1e-9), slope_P)
        found_P += step_P
        if np.abs(step_P).max() < 1e-8:
            break
    weights_R = found_P[:-1] * scale_R
    return Linear(weights_R, float(found_P[-1] - mean_R @ weights_R))
