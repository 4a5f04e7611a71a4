"""Most of the next chunk from the part with the highest loss: what drowns in noise."""

import numpy as np

from epx.policies import _curves
from epx.types import Policy, require, require_whole


def make(prior_MxP: np.ndarray, period: int = 50, window: int = 50, least: float = 0.01) -> Policy:
    """A policy that takes the part whose loss is highest.

    Args:
      prior_MxP: the weights of the config, which the first period has.
      period: steps between two choices.
      window: steps over which a loss is averaged.
      least: weight of every other part, so that its loss stays known.

    Raises:
      ValueError: an argument outside its bounds.
    """
    parts = prior_MxP.shape[1]
    require_whole("policy.period", period, 1, 2**31 - 1, "steps")
    require_whole("policy.window", window, 1, 2**31 - 1, "steps")
    require("policy.least", least, 0 <= least <= 1 / parts, f"0 to {1 / parts:.3g}, 1 / parts")

    def choose(curves: _curves.Curves, weights_KxP: np.ndarray) -> np.ndarray:
        weights_P = np.full(parts, least)
        drawn_P = weights_KxP[0] > 0  # others have no loss that is known
        highest = np.where(drawn_P, curves.recent(window), -np.inf).argmax()
        weights_P[highest] += 1 - parts * least
        return weights_P

    return _curves.every(period, prior_MxP, choose)
