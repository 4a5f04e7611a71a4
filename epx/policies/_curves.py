"""The loss of each part of a mixture against the tokens of that part, from the rows of a run."""

from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np

from epx.types import Policy


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

    def policy(rows: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        if not rows:
            return {"weights_P": prior_MxP}
        if rows["nats"].shape[1] % period:
            return {"weights_P": rows["part_weights"][:, -1]}
        members = zip(of_members(rows), rows["part_weights"].astype(np.float64))
        chosen_MxP = np.array([choose(*member) for member in members]) * (prior_MxP > 0)
        return {"weights_P": chosen_MxP / chosen_MxP.sum(1, keepdims=True)}

    return policy
