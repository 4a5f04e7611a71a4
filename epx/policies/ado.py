"""Adaptive data optimisation (ADO, arXiv 2410.11820): where the loss still falls fast.

Each part has a power law of its loss against the examples of all parts together, which ADO counts
alike for all. A part is drawn by the speed of its law, its prior share and its recent share.
"""

import numpy as np

from epx.policies import _curves, _laws
from epx.types import Policy, require_whole

EVERY = 10  # points of a curve that are fitted
EXAMPLES = 256  # of a step in its code: the unit of its bounds, whatever the batch is here
LEAST_EXPONENT, LEAST_WEIGHT = 0.05, 0.01
HISTORY_DECAY, HISTORY_POWER = 0.9, 0.5
RECENT = 300  # steps, before which the history is forgotten


def make(
    prior_MxP: np.ndarray,
    period: int = 1000,
    warmup: int = 500,
    window: int = 101,
    bounded: bool = True,
) -> Policy:
    """ADO as its code has it, but for when it is asked.

    The scores are taken after each fit, and the mean is taken on after each chunk; its code does
    both in every step. Of the 512 starts of a fit the best four are improved.

    Args:
      prior_MxP: the weights of the config: those of the first period, and the prior.
      period: steps between two fits.
      warmup: first steps that are not fitted; fewer than a period.
      window: steps of the filter that smooths a curve.
      bounded: whether an irreducible loss below exp(0.5) = 1.65 nats is penalised. That is right
        for text, and wrong for data that are learned completely.

    Raises:
      ValueError: an argument outside its bounds.
    """
    require_whole("policy.period", period, 20, 2**31 - 1, "steps, of which a law is fitted")
    require_whole("policy.warmup", warmup, 0, period - 1, "steps before the first fit")
    require_whole("policy.window", window, 1, 2**31 - 1, "steps")

    def choose(curves: _curves.Curves, weights_KxP: np.ndarray) -> np.ndarray:
        prior_P = weights_KxP[0]
        speeds = [_speed(nats_K) for nats_K in curves.nats_PxK]
        recent_P = prior_P
        for weights_P in weights_KxP[-RECENT:]:
            recent_P = HISTORY_DECAY * recent_P + (1 - HISTORY_DECAY) * weights_P
        score_P = np.array(speeds) * prior_P * recent_P**HISTORY_POWER
        return _curves.floored(score_P if score_P.sum() > 0 else prior_P, LEAST_WEIGHT)

    def _speed(nats_K: np.ndarray) -> float:
        """How fast the law of a part falls, in nats per token and example."""
        seen = np.flatnonzero(np.isfinite(nats_K))
        smooth = _laws.smoothed(nats_K[seen], window)
        fitted = seen >= warmup
        if fitted.sum() < 2 * EVERY:
            return 0.0
        at, last = EXAMPLES * (seen[fitted] + 1.0), EXAMPLES * float(len(nats_K))
        law = _laws.fit(at[::EVERY], smooth[fitted][::EVERY], bounded)
        return max(law.exponent, LEAST_EXPONENT) * law.reducible(last) / last

    return _curves.averaged(period, prior_MxP, choose)
