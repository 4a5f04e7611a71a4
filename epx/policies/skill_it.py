"""Skill-it (arXiv 2307.14430): parts that help those with a high loss, by a graph of skills.

After each period part i has a weight in proportion to exp(rate sum_t sum_j graph_ij L_j(t)), where
t are the last choices and L_j is the loss of part j before each of them. The published method takes
held-out losses; these are the online losses of the last steps, which are as little trained on.
"""

import numpy as np
from scipy import special

from epx.policies import _curves, _texts
from epx.types import Policy, require, require_whole


def make(
    prior_MxP: np.ndarray,
    period: int = 1200,
    graph: str = "",
    rate: float = 0.1,
    choices: int = 3,
    window: int = 50,
) -> Policy:
    """Skill-it, by default as it is published for additions of three digits.

    Args:
      prior_MxP: the weights of the config, which the first period has.
      period: steps between two choices.
      graph: a row of numbers for each part, with spaces between, and `;` between two rows: how much
        part i helps each part j. "": only itself.
      rate: of the exponent, per nat.
      choices: last ones whose losses count.
      window: steps over which a loss is averaged.

    Raises:
      ValueError: an argument outside its bounds.
    """
    require_whole("policy.period", period, 1, 2**31 - 1, "steps")
    require_whole("policy.choices", choices, 1, 2**31 - 1)
    require_whole("policy.window", window, 1, 2**31 - 1, "steps")
    require("policy.rate", rate, 0 < rate < 1e9, "a number above 0")
    graph_PxP = _graph(graph, prior_MxP.shape[1])

    def choose(curves: _curves.Curves, weights_KxP: np.ndarray) -> np.ndarray:
        ends = range(len(weights_KxP), 0, -period)[:choices]
        losses_P = sum(curves.before(end).recent(window) for end in ends)
        return special.softmax(rate * graph_PxP @ losses_P)

    return _curves.every(period, prior_MxP, choose)


def _graph(text: str, parts: int) -> np.ndarray:
    accepted = f"{parts} rows of {parts} numbers of at least 0, with ; between two rows"
    if not text:
        return np.eye(parts)
    rows = _texts.rows("policy.graph", text, accepted)
    square = len(rows) == parts and all(len(row) == parts for row in rows)
    require("policy.graph", text, square, accepted)
    return np.array(rows)
