"""Learners so simple that their excess description length is known,

    EDL(n) = sum of the losses before each of n examples - n x the expected loss after all of them

(arXiv 2601.04728, definition 3.2), in bits, or in the unit of the losses that are given.
Estimators are tested against them, and they explain the shapes of a measured EDL/n: it falls where
a capability is only elicited, and rises to a peak where it is taught.
"""

import math

import numpy as np
from scipy import special, stats


def excess(losses_N: np.ndarray, after: float) -> float:
    """EDL of a curve: the area of the losses before each example above the loss after the last."""
    losses_N = np.asarray(losses_N, np.float64)
    return float(np.sum(losses_N - after))


def random_labels(examples: int, classes: int, alpha: float = 0.5) -> tuple[float, float]:
    """Expected code and EDL, in bits, of the Dirichlet(alpha) counter on uniform random labels.

    A fixed uniform predictor has n log2 k and 0. The counter's EDL is slightly above 0 although it
    never memorises, since it pays for learning the frequencies. Exact: both are sums over classes,
    so the binomial law of one count is enough.
    """
    count_N = np.arange(examples + 1)
    probability_N = stats.binom.pmf(count_N, examples, 1 / classes)
    total = alpha * classes
    ln_code = special.gammaln(total + examples) - special.gammaln(total)
    ln_code -= classes * probability_N @ (special.gammaln(count_N + alpha) - special.gammaln(alpha))
    ln_after = math.log(examples + total) - probability_N @ np.log(count_N + alpha)
    return ln_code / math.log(2), (ln_code - examples * ln_after) / math.log(2)


def hypothesis_collapse(answers_HxN: np.ndarray, true: int) -> tuple[np.ndarray, np.ndarray]:
    """Code of the mixture of H equally likely hypotheses for the labels of the true one.

    Args:
      answers_HxN: the label that each hypothesis gives to each example.
      true: the hypothesis that gives the labels.

    Returns:
      bits_N, the code of each label, and survivors_N, the hypotheses left after it. The bits sum to
      log2 (H / survivors) in any order of the labels: to log2 H once a single one is left.
    """
    answers_HxN = np.asarray(answers_HxN)
    agrees_HxN = np.cumprod(answers_HxN == answers_HxN[true], axis=1)
    survivors_N = agrees_HxN.sum(0)
    before_N = np.concatenate([[len(answers_HxN)], survivors_N[:-1]])
    return np.log2(before_N / survivors_N), survivors_N


def distinguishing_label(hypotheses: int) -> tuple[float, float]:
    """Bits of one label that singles out the true hypothesis of H, and their expectation.

    Only the true hypothesis answers yes to the example. Its label takes log2 H bits, the whole EDL
    of n = 1; the expectation before the label is seen is the entropy of a coin of 1/H.
    """
    p = 1 / hypotheses
    return math.log2(hypotheses), -p * math.log2(p) - (1 - p) * math.log2(1 - p)


def slices(
    examples: float, weight_J: np.ndarray, saved_J: np.ndarray, needed_J: np.ndarray
) -> np.ndarray:
    """EDL of slices of the data that are learned independently, each in one step.

    Slice j has a weight; its loss falls by `saved` after `needed` examples of all slices. A slice
    that is not learned by the end adds nothing; any other adds weight x saved x needed.
    """
    weight_J, saved_J, needed_J = map(np.asarray, (weight_J, saved_J, needed_J))
    return np.where(needed_J <= examples, weight_J * saved_J * needed_J, 0.0)


def coupon_collector(examples: np.ndarray, concepts: int, saved: float = 1.0) -> np.ndarray:
    """Expected EDL where each of K equally likely concepts costs `saved` only at first sight.

    It is saved (K (1 - q) - n q), with q = (1 - 1/K)^n, the chance that a concept is still unseen.
    EDL/n rises to 0.2984 x saved near n = 1.793 K and falls from there: the curve of teaching.
    """
    n = np.asarray(examples, np.float64)
    unseen = np.exp(n * math.log1p(-1 / concepts))
    return saved * (concepts * (1 - unseen) - n * unseen)


def coupon_collector_poisson(examples: np.ndarray, concepts: int, saved: float = 1.0) -> np.ndarray:
    """Coupon collector with Poisson counts, as published: saved K (1 - (1 + u) e^-u), u = n/K."""
    u = np.asarray(examples, np.float64) / concepts
    return saved * concepts * (1 - (1 + u) * np.exp(-u))


def straight(examples: np.ndarray, start: float, learned_at: float) -> np.ndarray:
    """EDL of a loss that falls in a straight line from `start` to 0 at `learned_at` examples.

    As an area it is start n^2 / (2 learned_at) before and start learned_at / 2 from then on. The
    sum over examples has n^2 + n and learned_at + 1 instead. (The 1/2 belongs to both: a published
    note omits it in the first, which the sum contradicts.) Curves add up: a format that is learned
    early and a capability that is learned late make EDL/n fall and rise again.
    """
    n = np.asarray(examples, np.float64)
    return np.where(n < learned_at, start * n**2 / (2 * learned_at), start * learned_at / 2)


def format_dip(
    format_start: float, format_at: float, capability_start: float, capability_at: float
) -> float:
    """The n between two straight curves' ends where their EDL/n is least: the format transient."""
    return math.sqrt(format_at * capability_at * format_start / capability_start)


def elicitation(examples: np.ndarray, gap: float, kept: float) -> np.ndarray:
    """EDL of a capability that exists and only has to be switched on, by one gate.

    Each example leaves a fraction `kept` of the `gap` between the losses with the gate shut and
    open. EDL tends to gap/(1 - kept). Up to kept = 1/2 EDL/n falls from the first example on, like
    1/n: the curve of elicitation. A slower gate has a peak, as in teaching.
    """
    n = np.asarray(examples, np.float64)
    return gap * ((1 - kept**n) / (1 - kept) - n * kept**n)
