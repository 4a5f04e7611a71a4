"""What a code says of a record, with 95 % intervals over members. Nats become bits here."""

import math
from typing import NamedTuple

import numpy as np
from scipy import special

LN2 = math.log(2.0)


class Estimate(NamedTuple):
    """A mean over members and the half width of its 95 % interval (nan for a single member)."""

    mean: float
    half_width: float


class Measurement(NamedTuple):
    """One code's reading of a record: float64 arrays with one entry per finite member.

    Attributes:
      members: indices of the members that took part; failed ones are left out.
      coded_tok: coded tokens that the model learned from, D; of EDL those of the first pass, n.
      test_tok: size of the coded set whose information is stated, 𝒟.
      charged_nats: the sum of the charges.
      anchored_tok: tokens for which the anchor is taken off the charges: D, n, or 0 of the KL.
      anchor_nats: nats per coded token at the end.
      anchor_error_nats: its standard error.
      exact_flops, paper_flops: compute T in two accountings, training and coding 𝒟 tokens.
      anchor: the name of the anchor.
      shared_held_out: whether the anchors of all members are of the same held-out examples, as in
        a finite generator. Their errors are then equal: the spread of the seeds does not show them,
        and averaging does not reduce them.
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
    shared_held_out: bool

    @property
    def structure_nats(self) -> np.ndarray:
        """S of each member by this code."""
        # arXiv 2601.03220, equation 8, with the final loss measured on unseen data.
        return self.charged_nats - self.anchored_tok * self.anchor_nats

    @property
    def entropy_nats(self) -> np.ndarray:
        """H of each member, the time-bounded entropy of 𝒟 tokens."""
        # arXiv 2601.03220, equation 9.
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
        shared_error = float(np.mean(errors_M)) if self.shared_held_out else 0.0
        return interval(values_M / LN2, shared_error / LN2)


def mean_nats(nats_MxE: np.ndarray, coded_MxE: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Nats per coded token and its standard error over examples (a ratio of two means)."""
    nats, coded = np.asarray(nats_MxE, np.float64), np.asarray(coded_MxE, np.float64)
    mean_M = nats.sum(1) / coded.sum(1)
    residual = nats - mean_M[:, None] * coded
    examples = nats.shape[1]
    variance_M = (residual**2).sum(1) / max(examples - 1, 1) / examples
    return mean_M, np.sqrt(variance_M) / coded.mean(1)


def interval(values_M: np.ndarray, shared_error: float = 0.0) -> Estimate:
    """Mean over members and the half width of its 95 % interval by Student's t.

    Args:
      values_M: one value per member; their spread holds every error that members do not share.
      shared_error: standard error of what all members share, such as their held-out examples,
        added in quadrature. The degrees of freedom then rise with the part of the variance that is
        known: by the ratio of the variances, not by its square as Welch and Satterthwaite have it,
        which covers 92 % of three seeds. Simulated coverage is 94 to 96.5 % from three seeds on.
    """
    n = len(values_M)
    mean = float(np.mean(values_M))
    if n < 2:
        return Estimate(mean, math.nan)
    own = float(np.var(values_M, ddof=1)) / n
    total = own + shared_error**2
    if own == 0.0:
        return Estimate(mean, float(special.ndtri(0.975)) * shared_error)
    freedom = (n - 1) * total / own
    return Estimate(mean, float(special.stdtrit(freedom, 0.975)) * math.sqrt(total))
