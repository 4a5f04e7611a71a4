"""Coverage of real examples by others, in n-grams: the support, its tail, and the precision.

Learners that learn from each other lose the tails of the law first (arXiv 2305.17493). Support and
precision are the recall and the precision of arXiv 1904.06991, with the n-grams of a sample in
place of its neighbourhood. A finite sample also lacks rare n-grams of its own law, so that the
yardstick is not 1 but what another real sample of the same size covers.
"""

from typing import NamedTuple

import numpy as np

from epx.types import require, require_whole

TAIL = 0.1


class Coverage(NamedTuple):
    """What a sample covers of a real one.

    Attributes:
      support: share of the different n-grams of the real examples that occur in the others.
      tail: the same of the rarest ones, which together are at most TAIL of all n-grams of the real
        examples, counted as often as they occur; nan where there are none.
      precision: share of the n-grams of the other examples, counted as often as they occur, that
        occur in the real ones.
    """

    support: float
    tail: float
    precision: float


def of_ngrams(real_NxT: np.ndarray, drawn_NxT: np.ndarray, n: int) -> Coverage:
    """The coverage of real examples by others; n-grams lie within an example.

    Compare two samples only at equal sizes: a larger one covers more.

    Args:
      real_NxT: whole numbers of at least 0, the tokens of N examples.
      drawn_NxT: the same of the other examples, whose number may differ.
      n: tokens of an n-gram, 1 to T.

    Raises:
      ValueError: an n that is not accepted, or with so many different tokens too large.

    >>> of_ngrams(np.array([[0, 1, 0, 1, 2]]), np.array([[0, 1, 0, 2, 2]]), n=2)
    Coverage(support=0.6666666666666666, tail=nan, precision=0.5)
    """
    require_whole("n", n, 1, min(real_NxT.shape[1], drawn_NxT.shape[1]), "tokens of an example")
    vocab = 1 + max(int(tokens.max(initial=0)) for tokens in (real_NxT, drawn_NxT))
    require("n", n, vocab**n < 2**63, f"fewer with {vocab} tokens, whose n-grams have 63 bits")
    real_N, drawn_N = _codes(real_NxT, n, vocab), _codes(drawn_NxT, n, vocab)
    support_N, count_N = np.unique(real_N, return_counts=True)
    covered_N = np.isin(support_N, drawn_N)
    rarest_N = np.argsort(count_N, kind="stable")
    in_tail_N = count_N[rarest_N].cumsum() <= TAIL * len(real_N)
    return Coverage(
        _share(covered_N),
        _share(covered_N[rarest_N[in_tail_N]]),
        _share(np.isin(drawn_N, support_N)),
    )


def _codes(tokens_NxT: np.ndarray, n: int, vocab: int) -> np.ndarray:
    """A number for each n-gram, flat."""
    windows = np.lib.stride_tricks.sliding_window_view(tokens_NxT.astype(np.int64), n, axis=1)
    return (windows @ vocab ** np.arange(n, dtype=np.int64)).reshape(-1)


def _share(is_so_N: np.ndarray) -> float:
    return float(is_so_N.mean()) if len(is_so_N) else float("nan")
