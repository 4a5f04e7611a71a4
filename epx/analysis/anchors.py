"""Estimators of a final loss, in nats per coded token with a standard error.

S needs the final loss of the weights under which the data were charged, H that of the weights with
which further data are coded. With a constant rate these differ: the last weights are noisy, and
their average is better. Were the charges of the first taken above the loss of the second, the noise
would count as structure, and S would grow with D although nothing more is learned.
"""

import numpy as np

# `ema` and `raw` are held-out losses of the averaged and of the last weights. `trend` and `tail`
# are the end of the online loss: of a line through its last 30 %, and the mean of its last tenth.
# `oracle` is the generator's law.
ANCHORS = ("ema", "raw", "trend", "tail", "oracle")
ONLINE = ("trend", "tail")
TAIL = 0.1
TREND = 0.3
# A line needs a few more charges than it has parameters to have a standard error.
MIN_CHARGES = 5


def mean_nats(nats_MxE: np.ndarray, coded_MxE: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Nats per coded token and its standard error over examples (a ratio of two means).

    The error is nan for a single example.
    """
    nats, coded = np.asarray(nats_MxE, np.float64), np.asarray(coded_MxE, np.float64)
    mean_M = nats.sum(1) / coded.sum(1)
    residual = nats - mean_M[:, None] * coded
    examples = nats.shape[1]
    if examples == 1:
        return mean_M, np.full_like(mean_M, np.nan)
    variance_M = (residual**2).sum(1) / (examples - 1) / examples
    return mean_M, np.sqrt(variance_M) / coded.mean(1)


def tail_nats(nats_MxK: np.ndarray, tok_MxK: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The mean of the last tenth of the charges; its error includes their trend."""
    last = _last(nats_MxK.shape[1], TAIL)
    return mean_nats(nats_MxK[:, last], tok_MxK[:, last])


def trend_nats(nats_MxK: np.ndarray, tok_MxK: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The end of a line through the last 30 % of the charges, each weighted by its tokens.

    A mean is above the final loss of a learner that still learns: with power laws of exponents 0.1
    to 1 it makes S 1 to 5 % too small for `tail`, and the line makes it up to 1.1 % too large. It
    has less noise than the held-out loss of a single state of weights.

    Args:
      nats_MxK: charges, in the order of training.
      tok_MxK: coded tokens of each; a charge of 0 tokens is left out.
    """
    ends = [_end_of_line(nats, tok) for nats, tok in zip(nats_MxK, tok_MxK)]
    return tuple(np.array(values) for values in zip(*ends))


def has_tail(tok_MxK: np.ndarray) -> bool:
    """Whether every member has tokens in the last tenth of its charges."""
    return bool(tok_MxK[:, _last(tok_MxK.shape[1], TAIL)].any(1).all())


def has_trend(tok_MxK: np.ndarray) -> bool:
    """Whether every member has enough charges for a line."""
    charges_M = (tok_MxK > 0).sum(1)
    return bool((np.round(TREND * charges_M) >= MIN_CHARGES).all())


def _last(steps: int, fraction: float) -> slice:
    return slice(steps - max(1, round(fraction * steps)), steps)


def fall_nats(nats_K: np.ndarray, tok_K: np.ndarray) -> tuple[float, float]:
    """How far the line of `trend_nats` falls over its charges, and its standard error."""
    line_P, covariance_PxP, count = _line(nats_K, tok_K)
    return -line_P[1] * count, np.sqrt(covariance_PxP[1, 1]) * count


def _end_of_line(nats_K: np.ndarray, tok_K: np.ndarray) -> tuple[float, float]:
    line_P, covariance_PxP, _ = _line(nats_K, tok_K)
    return line_P[0], np.sqrt(covariance_PxP[0, 0])


def _line(nats_K: np.ndarray, tok_K: np.ndarray) -> tuple[np.ndarray, np.ndarray, int]:
    """End and slope per charge of the line, their covariance, and the number of its charges."""
    charged = np.flatnonzero(tok_K)
    charged = charged[_last(len(charged), TREND)]
    loss, weight = nats_K[charged] / tok_K[charged], tok_K[charged]
    # Steps before the end of the last one.
    place = np.arange(len(charged)) - (len(charged) - 0.5)
    design_NxP = np.stack([np.ones_like(place), place], axis=1)
    normal_PxP = design_NxP.T @ (weight[:, None] * design_NxP)
    line_P = np.linalg.solve(normal_PxP, design_NxP.T @ (weight * loss))
    residual = loss - design_NxP @ line_P
    variance = (weight * residual**2).sum() / (len(charged) - 2)
    return line_P, variance * np.linalg.inv(normal_PxP), len(charged)
