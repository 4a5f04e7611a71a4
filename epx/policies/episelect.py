"""EpiSelect (arXiv 2601.03220, section 6): where a token adds most to the structure learned so far.

The loss of part m is L_m = eps_m + beta_m (sum_k gamma_mk n_k)^-alpha_m, with a row gamma_m on the
simplex: what the tokens n_k of part k are worth to it. With S = sum_m sum of the charges above the
last loss, a token of part k adds sum_m n_m alpha_m gamma_mk / (sum_i gamma_mi n_i) (L_m - eps_m).
"""

import numpy as np
from scipy import special

from epx.policies import _curves, _laws
from epx.types import Policy, require, require_whole

EVERY = 10  # points of a curve that are fitted
CROSS = ("none", "full")
DIAGONAL = 10.0  # of the first gamma, beside 1


def make(
    prior_MxP: np.ndarray,
    period: int = 1000,
    window: int = 101,
    cross: str = "none",
    temperature: float = 1.0,
    bounded: bool = False,
) -> Policy:
    """EpiSelect.

    Args:
      prior_MxP: the weights of the config, which the first period has.
      period: steps between two fits.
      window: steps of the filter that smooths a curve.
      cross: `none`: gamma is the identity; `full`: it is fitted.
      temperature: of the softmax over the gains.
      bounded: as in `ado`; the published code has it.

    Raises:
      ValueError: an argument outside its bounds.
    """
    require_whole("policy.period", period, 20, 2**31 - 1, "steps, of which a law is fitted")
    require_whole("policy.window", window, 1, 2**31 - 1, "steps")
    require("policy.cross", cross, cross in CROSS, " or ".join(CROSS))
    require("policy.temperature", temperature, 0 < temperature < 1e9, "a number above 0")

    def choose(curves: _curves.Curves, weights_KxP: np.ndarray) -> np.ndarray:
        gains_P = np.zeros(len(curves.nats_PxK))
        for part in range(len(gains_P)):
            gains_P += _gains(curves, part, window, cross == "full", bounded)
        return special.softmax(gains_P / temperature)

    return _curves.averaged(period, prior_MxP, choose)


def _gains(
    curves: _curves.Curves, part: int, window: int, fits_cross: bool, bounded: bool
) -> np.ndarray:
    """What a token of each part adds to the structure of one, in nats."""
    own_P = np.eye(len(curves.nats_PxK))[part]
    nats_K, tokens_PxK = curves.nats_PxK[part], curves.tokens_PxK
    seen = np.flatnonzero(np.isfinite(nats_K))
    if len(seen) < 2 * EVERY:
        return 0 * own_P
    smooth = _laws.smoothed(nats_K[seen], window)
    law = _laws.fit(tokens_PxK[part, seen][::EVERY], smooth[::EVERY], bounded)
    gamma_P = own_P
    if fits_cross:
        law, gamma_P = fit_cross(tokens_PxK[:, seen][:, ::EVERY], smooth[::EVERY], part, law)
    tokens_P = tokens_PxK[:, -1]
    share_P = tokens_P[part] * law.exponent * gamma_P / (gamma_P @ tokens_P)
    return share_P * law.reducible(gamma_P @ tokens_P)


def fit_cross(
    tokens_PxN: np.ndarray, nats_N: np.ndarray, part: int, law: _laws.Law
) -> tuple[_laws.Law, np.ndarray]:
    """The law of a part whose tokens are a weighted sum of those of all, and the weights.

    Args:
      tokens_PxN: of all parts.
      nats_N: losses of the part, in nats per token.
      part: its number.
      law: of its own tokens, where the fit begins.
    """
    parts = len(tokens_PxN)
    first = np.where(np.arange(parts) == part, np.log(DIAGONAL), 0.0)
    log_loss = np.log(np.maximum(nats_N, 1e-9))

    def cost(point: np.ndarray) -> tuple[float, np.ndarray]:
        gamma_P = special.softmax(point[3:])
        sums_N = gamma_P @ tokens_PxN + 1e-9
        value, slopes, of_log_n = _laws.misfit(point[:3], np.log(sums_N), log_loss)
        of_gamma_P = tokens_PxN @ (of_log_n / sums_N)
        of_logits_P = gamma_P * (of_gamma_P - gamma_P @ of_gamma_P)
        weight, negative = 1 / (_laws.HUBER * len(log_loss)), max(-point[2], 0)
        slopes[2] -= weight * (negative > 0)
        return value + weight * negative, np.concatenate([slopes, of_logits_P])

    found = _laws.improved(cost, np.array([*law, *first]))
    return _laws.Law(*found[:3].tolist()), special.softmax(found[3:])
