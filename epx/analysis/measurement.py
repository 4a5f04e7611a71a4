"""What a code makes of a record, with 95 % intervals over its members. The only change from nats to
bits happens here."""

import math
from typing import NamedTuple

import numpy as np

LN2 = math.log(2.0)


class Estimate(NamedTuple):
    """A mean over members and the half width of its 95 % interval (nan for a single member)."""

    mean: float
    half_width: float


class Measurement(NamedTuple):
    """What a record says about its world and observer by one code, one float64 entry per well
    member.

    Attributes:
      members: indices of the members that took part; failed ones are left out.
      coded_tok: coded tokens that the model learned from, D; of EDL those of the first pass, n.
      test_tok: size of the coded set whose information is stated, 𝒟.
      charged_nats: the sum of what was charged.
      anchored_tok: tokens for which the anchor is taken off the charges: D, n, or 0 of the KL.
      anchor_nats: nats per coded token at the end, and `anchor_error_nats` its standard error.
      exact_flops, paper_flops: compute T in two accountings, training and coding 𝒟 tokens.
      anchor: which one was used.
      shared_heldout: whether all members are measured on the same examples, as in a finite world:
        their anchors then err together, and averaging does not help.
    """

    members: np.ndarray
    coded_tok: np.ndarray
    test_tok: np.ndarray
    charged_nats: np.ndarray
    anchored_tok: np.ndarray
    anchor_nats: np.ndarray
    anchor_error_nats: np.ndarray
    exact_flops: np.ndarray
    paper_flops: np.ndarray
    anchor: str
    shared_heldout: bool

    @property
    def structure_nats(self) -> np.ndarray:
        """S of each member, by this code."""
        return self.charged_nats - self.anchored_tok * self.anchor_nats

    @property
    def entropy_nats(self) -> np.ndarray:
        """H, the time-bounded entropy of 𝒟 tokens for each member."""
        return self.test_tok * self.anchor_nats

    @property
    def structure_bits(self) -> Estimate:
        """S in bits."""
        return self._bits(self.structure_nats, self.anchored_tok * self.anchor_error_nats)

    @property
    def entropy_bits(self) -> Estimate:
        """H in bits."""
        return self._bits(self.entropy_nats, self.test_tok * self.anchor_error_nats)

    @property
    def structure_bits_per_tok(self) -> Estimate:
        """S / 𝒟 in bits per coded token."""
        errors = self.anchored_tok * self.anchor_error_nats / self.test_tok
        return self._bits(self.structure_nats / self.test_tok, errors)

    @property
    def entropy_bits_per_tok(self) -> Estimate:
        """The anchor in bits per coded token."""
        return self._bits(self.anchor_nats, self.anchor_error_nats)

    @property
    def description_bits(self) -> Estimate:
        """MDL = S + H in bits; the anchor's error counts with 𝒟 and against D."""
        errors = np.abs(self.test_tok - self.anchored_tok) * self.anchor_error_nats
        return self._bits(self.structure_nats + self.entropy_nats, errors)

    @property
    def description_bits_per_tok(self) -> Estimate:
        """MDL / 𝒟 in bits per coded token."""
        errors = np.abs(1 - self.anchored_tok / self.test_tok) * self.anchor_error_nats
        nats = (self.structure_nats + self.entropy_nats) / self.test_tok
        return self._bits(nats, errors)

    def _bits(self, values_M: np.ndarray, errors_M: np.ndarray) -> Estimate:
        return interval(values_M / LN2, errors_M / LN2, self.shared_heldout)


def heldout(nats_MxE: np.ndarray, coded_MxE: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Nats per coded token and its standard error over examples (a ratio of two means)."""
    nats, coded = np.asarray(nats_MxE, np.float64), np.asarray(coded_MxE, np.float64)
    mean_M = nats.sum(1) / coded.sum(1)
    residual = nats - mean_M[:, None] * coded
    examples = nats.shape[1]
    variance_M = (residual**2).sum(1) / max(examples - 1, 1) / examples
    return mean_M, np.sqrt(variance_M) / coded.mean(1)


def interval(values_M: np.ndarray, errors_M: np.ndarray, together: bool = False) -> Estimate:
    """Mean and 95 % half width: Student's t over members, with 1.96 standard errors of the mean
    anchor added in quadrature. Members that err `together` share their held-out examples."""
    n = len(values_M)
    if n < 2:
        return Estimate(float(np.mean(values_M)), math.nan)
    spread = student_t(n - 1) * np.std(values_M, ddof=1) / math.sqrt(n)
    error = np.mean(errors_M) if together else math.sqrt(np.sum(np.square(errors_M))) / n
    return Estimate(float(np.mean(values_M)), math.hypot(spread, 1.96 * float(error)))


def student_t(freedom: int, level: float = 0.95) -> float:
    """Two-sided quantile of Student's t, from the closed form of its distribution for a whole
    number of degrees of freedom (Abramowitz and Stegun 26.7.3 and 26.7.4), by bisection."""
    low, high = 0.0, 1e4
    for _ in range(200):
        middle = (low + high) / 2
        low, high = (middle, high) if _student_mass(middle, freedom) < level else (low, middle)
    return (low + high) / 2


def _student_mass(t: float, freedom: int) -> float:
    angle = math.atan(t / math.sqrt(freedom))
    cosine, sine = math.cos(angle), math.sin(angle)
    odd = freedom % 2
    term = cosine if odd else 1.0
    total = term if freedom > 1 else 0.0
    for k in range(3 if odd else 2, freedom - 1, 2):
        term *= cosine**2 * (k - 1) / k
        total += term
    return 2 / math.pi * (angle + sine * total) if odd else sine * total
