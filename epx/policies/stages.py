"""A fixed sequence of mixtures: a curriculum, or its reverse."""

from collections.abc import Mapping

import numpy as np

from epx.policies import _texts
from epx.types import Policy, require


def make(prior_MxP: np.ndarray, chunk: int, stages: str = "", steps: str = "") -> Policy:
    """A policy that has the weights of one stage after the other.

    Args:
      prior_MxP: the weights of the config; a part that has 0 there has 0 in every stage.
      chunk: steps between two changes.
      stages: the weights of each stage, numbers with spaces between and `;` between two stages.
      steps: of each stage, multiples of `chunk` with spaces between; the last stage does not end.

    Raises:
      ValueError: weights or steps that are not accepted.
    """
    parts = prior_MxP.shape[1]
    accepted = (
        f"stages with {parts} numbers of at least 0 each, one for each part, not all 0, and 0 "
        "where generator.weights is"
    )
    weights_NxP = _texts.rows("policy.stages", stages, accepted)
    legal = all(len(weights) == parts and sum(weights) > 0 for weights in weights_NxP)
    never_P = (prior_MxP == 0).any(0)
    legal = legal and not np.array(weights_NxP)[:, never_P].any()
    require("policy.stages", stages, legal, accepted)
    accepted = f"{len(weights_NxP)} multiples of run.chunk={chunk} above 0, one for each stage"
    steps_N, *others = _texts.rows("policy.steps", steps, accepted)
    legal = len(steps_N) == len(weights_NxP) and all(n > 0 and n % chunk == 0 for n in steps_N)
    require("policy.steps", steps, legal and not others, accepted)
    ends_N = np.cumsum(steps_N)[:-1]
    shares_NxP = np.array(weights_NxP) / np.sum(weights_NxP, axis=1, keepdims=True)

    def policy(rows: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        done = rows["nats"].shape[1] if rows else 0
        stage_P = shares_NxP[np.searchsorted(ends_N, done, side="right")]
        return {"weights_P": np.broadcast_to(stage_P, prior_MxP.shape)}

    return policy
