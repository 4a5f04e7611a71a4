"""A fixed sequence of mixtures: a curriculum, or its reverse."""

from collections.abc import Mapping

import numpy as np

from epx.types import Policy, refusal, require


def make(prior_MxP: np.ndarray, stages: str = "", steps: str = "") -> Policy:
    """A policy that has the weights of one stage after the other.

    A chunk has the weights of its first step: `run.chunk` should divide the steps of every stage.

    Args:
      prior_MxP: the weights of the config; a part that has 0 there has 0 in every stage.
      stages: the weights of each stage, numbers with spaces between and `;` between two stages.
      steps: of each stage, whole numbers with spaces between; the last stage does not end.

    Raises:
      ValueError: weights or steps that are not accepted.
    """
    parts = prior_MxP.shape[1]
    accepted = (
        f"stages with {parts} numbers of at least 0 each, one for each part, not all 0, and 0 "
        "where generator.weights is"
    )
    weights_NxP = [_numbers("policy.stages", stage, accepted) for stage in stages.split(";")]
    never_P = (prior_MxP == 0).any(0)
    legal = all(
        len(weights) == parts and min(weights) >= 0 and sum(weights) > 0
        and not np.any(np.array(weights)[never_P])
        for weights in weights_NxP
    )  # fmt: skip
    require("policy.stages", stages, legal, accepted)
    accepted = f"{len(weights_NxP)} whole numbers above 0, one for each stage"
    steps_N = _numbers("policy.steps", steps, accepted)
    legal = len(steps_N) == len(weights_NxP) and all(n > 0 and n == int(n) for n in steps_N)
    require("policy.steps", steps, legal, accepted)
    ends_N = np.cumsum(steps_N)[:-1]
    shares_NxP = np.array(weights_NxP) / np.sum(weights_NxP, axis=1, keepdims=True)

    def policy(rows: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        done = rows["nats"].shape[1] if rows else 0
        stage_P = shares_NxP[np.searchsorted(ends_N, done, side="right")]
        return {"weights_P": np.broadcast_to(stage_P, prior_MxP.shape)}

    return policy


def _numbers(key: str, text: str, accepted: str) -> list[float]:
    """The finite numbers of a text, at least one."""
    try:
        numbers = [float(word) for word in text.split()]
    except ValueError:
        raise refusal(key, text, accepted) from None
    require(key, text, len(numbers) > 0 and bool(np.isfinite(numbers).all()), accepted)
    return numbers
