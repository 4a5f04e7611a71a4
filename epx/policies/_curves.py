"""The loss of each part of a mixture against the tokens of that part, from the rows of a run."""

from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np

from epx.types import Policy

NEW = 0.1  # of the weights that a policy averages; the rest is the mean of what was new before


class Curves(NamedTuple):
    """Of one member.

    Attributes:
      nats_PxK: mean loss of each part in each step, in nats per token; nan where it has no token.
      tokens_PxK: tokens of each part before and in each step.
    """

    nats_PxK: np.ndarray
    tokens_PxK: np.ndarray

    def before(self, step: int) -> "Curves":
        """The first steps alone."""
        return Curves(self.nats_PxK[:, :step], self.tokens_PxK[:, :step])

    def recent(self, steps: int) -> np.ndarray:
        """The mean loss of each part over its last tokens: those of the last steps it was seen in.

        A part that was never seen has the largest loss of the others, or 0 if there is none.
        """
        means = []
        for nats_K in self.nats_PxK:
            seen = nats_K[np.isfinite(nats_K)][-steps:]
            means.append(seen.mean() if seen.size else np.nan)
        means_P = np.array(means)
        return np.nan_to_num(means_P, nan=np.nanmax(means_P) if np.isfinite(means_P).any() else 0)


def of_members(rows: Mapping[str, np.ndarray]) -> list[Curves]:
    """The curves of each member."""
    found = []
    for nats_KxP, tokens_KxP in zip(rows["part_nats"], rows["part_coded_tok"]):
        tokens_KxP = tokens_KxP.astype(np.float64)
        with np.errstate(invalid="ignore", divide="ignore"):
            mean_KxP = np.where(tokens_KxP > 0, nats_KxP / tokens_KxP, np.nan)
        found.append(Curves(mean_KxP.T, tokens_KxP.cumsum(0).T))
    return found


def floored(weights_P: np.ndarray, least: float) -> np.ndarray:
    """Weights that sum to 1; what is below `least` is set to it before the last normalisation."""
    weights_P = np.maximum(weights_P / weights_P.sum(), least)
    return weights_P / weights_P.sum()


def every(
    period: int, prior_MxP: np.ndarray, choose: Callable[[Curves, np.ndarray], np.ndarray]
) -> Policy:
    """A policy that chooses after each period; in between weights stay as they are.

    A part without a prior weight is never drawn: it may be there to be evaluated.

    Args:
      period: steps between two choices; the first period has the prior.
      prior_MxP: weights of the config.
      choose: (curves, weights_KxP of all steps so far) -> weights of a member, of shape P.
    """

    def weights(curves: Curves, weights_KxP: np.ndarray, prior_P: np.ndarray) -> np.ndarray:
        if len(weights_KxP) % period:
            return weights_KxP[-1]
        return _open(choose(curves, weights_KxP), prior_P)

    return _of_each(prior_MxP, weights)


def averaged(
    period: int, prior_MxP: np.ndarray, choose: Callable[[Curves, np.ndarray], np.ndarray]
) -> Policy:
    """A policy that follows its choices slowly, as ADO and EpiSelect do.

    Weights are 0.9 of the mean and 0.1 of the last choice. The mean is that of the choices that
    held in all steps so far, and changes with every chunk. The arguments are those of `every`.
    """

    def weights(curves: Curves, weights_KxP: np.ndarray, prior_P: np.ndarray) -> np.ndarray:
        mean_P, new_P = choices(weights_KxP)
        if len(weights_KxP) % period == 0:
            new_P = _open(choose(curves, weights_KxP), prior_P)
        return (1 - NEW) * mean_P + NEW * new_P

    return _of_each(prior_MxP, weights)


def choices(weights_KxP: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The mean of the choices of `averaged` over all steps, and the last of them.

    They are found again from the weights, so that the rows of a run are all that a policy needs.
    """
    starts = np.flatnonzero((np.diff(weights_KxP, axis=0) != 0).any(1)) + 1
    ends = [*starts, len(weights_KxP)]
    mean_P = new_P = weights_KxP[0]
    for start, end in zip(starts, ends[1:]):
        new_P = (weights_KxP[start] - (1 - NEW) * mean_P) / NEW
        mean_P = mean_P + (new_P - mean_P) * (end - start) / end
    return mean_P, new_P


def _open(weights_P: np.ndarray, prior_P: np.ndarray) -> np.ndarray:
    """Weights of the parts that have a prior weight, which sum to 1."""
    weights_P = weights_P * (prior_P > 0)
    return weights_P / weights_P.sum()


def _of_each(
    prior_MxP: np.ndarray, weights: Callable[[Curves, np.ndarray, np.ndarray], np.ndarray]
) -> Policy:
    """A policy from one of a member: the prior first, and what `weights` says after a chunk."""

    def policy(rows: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        if not rows:
            return {"weights_P": prior_MxP}
        members = zip(of_members(rows), rows["part_weights"].astype(np.float64), prior_MxP)
        return {"weights_P": np.array([weights(*member) for member in members])}

    return policy
