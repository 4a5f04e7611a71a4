"""Simple learners whose excess description length (EDL) has a closed form,

    EDL(n) = sum of the losses before each of n examples - n x the expected loss after all of them

(arXiv 2601.04728, definition 3.2), in bits, or in the unit of the given losses. They test the
estimators, and they explain the shape of a measured EDL/n: it falls where a capability is only
elicited, and rises to a peak where it is taught.
"""

import math

import numpy as np
from scipy import special, stats


def excess(losses_N: np.ndarray, after: float) -> float:
    """EDL of a curve: the area of the losses before each example above the loss after the last."""
    losses_N = np.asarray(losses_N, np.float64)
    # arXiv 2601.04728, definition 3.2.
    return float(np.sum(losses_N - after))


def random_labels(examples: int, classes: int, alpha: float = 0.5) -> tuple[float, float]:
    """Expected code and EDL, in bits, of the Dirichlet(alpha) counter on uniform random labels.

    For a fixed uniform predictor they are n log2 k and 0. The counter's EDL is slightly above 0,
    although it never memorises, because it pays for learning the frequencies. Exact: both are sums
    over classes, so the binomial law of one count is enough.
    """
    count_N = np.arange(examples + 1)
    probability_N = stats.binom.pmf(count_N, examples, 1 / classes)
    total = alpha * classes
    # ln Gamma(k a + n) / Gamma(k a) - k E[ln Gamma(c + a) / Gamma(a)], c the count of one class.
    ln_code = special.gammaln(total + examples) - special.gammaln(total)
    ln_code -= classes * probability_N @ (special.gammaln(count_N + alpha) - special.gammaln(alpha))
    # E[ln (n + k a) / (c + a)], the price of one more label.
    ln_after = math.log(examples + total) - probability_N @ np.log(count_N + alpha)
    return ln_code / math.log(2), (ln_code - examples * ln_after) / math.log(2)


def hypothesis_collapse(answers_HxN: np.ndarray, true: int) -> tuple[np.ndarray, np.ndarray]:
    """Code of the mixture of H equally likely hypotheses for the labels of the true one.

    Args:
      answers_HxN: the label that each hypothesis predicts for each example.
      true: index of the true hypothesis.

    Returns:
      bits_N, the code of each label, and survivors_N, the number of hypotheses that agree with all
      labels up to it. The bits sum to log2 (H / survivors) for any order of the labels.
    """
    answers_HxN = np.asarray(answers_HxN)
    agrees_HxN = np.cumprod(answers_HxN == answers_HxN[true], axis=1)
    survivors_N = agrees_HxN.sum(0)
    before_N = np.concatenate([[len(answers_HxN)], survivors_N[:-1]])
    return np.log2(before_N / survivors_N), survivors_N


def distinguishing_label(hypotheses: int) -> tuple[float, float]:
    """Bits of one label that identifies the true hypothesis of H, and their expectation.

    Only the true hypothesis predicts "yes" for the example. That label takes log2 H bits, which is
    the EDL at n = 1. Its expected code length under the mixture is the entropy of a coin of 1/H.
    """
    p = 1 / hypotheses
    return math.log2(hypotheses), -p * math.log2(p) - (1 - p) * math.log2(1 - p)


def slices(
    examples: float, weight_J: np.ndarray, saved_J: np.ndarray, needed_J: np.ndarray
) -> np.ndarray:
    """EDL of slices of the data, each learned independently and in one step.

    The loss on slice j falls by `saved` after `needed` examples of all slices. A learned slice adds
    weight x saved x needed, any other nothing.
    """
    weight_J, saved_J, needed_J = map(np.asarray, (weight_J, saved_J, needed_J))
    return np.where(needed_J <= examples, weight_J * saved_J * needed_J, 0.0)


def coupon_collector(examples: np.ndarray, concepts: int, saved: float = 1.0) -> np.ndarray:
    """Expected EDL where each of K equally likely concepts costs `saved` at its first example.

    EDL = saved (K (1 - q) - n q), with q = (1 - 1/K)^n, the probability that a concept is unseen.
    EDL/n rises to 0.2984 x saved at n = 1.793 K and then falls: the curve of teaching.
    """
    n = np.asarray(examples, np.float64)
    unseen = np.exp(n * math.log1p(-1 / concepts))
    return saved * (concepts * (1 - unseen) - n * unseen)


def coupon_collector_poisson(examples: np.ndarray, concepts: int, saved: float = 1.0) -> np.ndarray:
    """Coupon collector with Poisson counts, as published: saved K (1 - (1 + u) e^-u), u = n/K."""
    u = np.asarray(examples, np.float64) / concepts
    return saved * concepts * (1 - (1 + u) * np.exp(-u))


def straight(examples: np.ndarray, start: float, learned_at: float) -> np.ndarray:
    """EDL of a loss that falls linearly from `start` to 0 at `learned_at` examples.

    As an area: start n^2 / (2 learned_at) before `learned_at`, start learned_at / 2 after it. The
    sum over examples has n^2 + n and learned_at + 1 instead. A published note omits the 1/2 of the
    first form; the sum confirms it. Curves add up: a format learned early and a capability learned
    late make EDL/n fall and rise again.
    """
    n = np.asarray(examples, np.float64)
    return np.where(n < learned_at, start * n**2 / (2 * learned_at), start * learned_at / 2)


def format_dip(
    format_start: float, format_at: float, capability_start: float, capability_at: float
) -> float:
    """The n between the ends of two straight curves at which their EDL/n is smallest."""
    return math.sqrt(format_at * capability_at * format_start / capability_start)


def elicitation(examples: np.ndarray, gap: float, kept: float) -> np.ndarray:
    """EDL of an existing capability that one gate switches on.

    Each example multiplies by `kept` the excess loss, which starts at `gap`. EDL tends to
    gap / (1 - kept). Up to kept = 1/2, EDL/n falls from the first example on, like 1/n: the curve
    of elicitation. A slower gate has a peak, as in teaching.
    """
    n = np.asarray(examples, np.float64)
    return gap * ((1 - kept**n) / (1 - kept) - n * kept**n)
