"""S, H and T of a record by one code, with 95 % intervals over members, in nats and bits."""

import math
from typing import NamedTuple

import numpy as np
from scipy import special

from epx.analysis.anchors import ONLINE

LN2 = math.log(2.0)


class Estimate(NamedTuple):
    """A mean over members and the half width of its 95 % interval (nan for a single member)."""

    mean: float
    half_width: float


class Measurement(NamedTuple):
    """A measurement of a record by one code: float64 arrays with one entry per finite member.

    Attributes:
      members: indices of the measured members, without failed ones.
      coded_tok: coded tokens that the model learned from, D; for EDL those of the first pass, n.
      test_tok: size of the coded set, 𝒟.
      charged_nats: the sum of the charges.
      anchored_tok: tokens for which the plateau is subtracted from the charges: D, n, or 0 for the
        KL.
      plateau_nats: final loss, in nats per coded token, of the weights that were charged.
      plateau_error_nats: its standard error.
      anchor_nats: held-out nats per coded token at the end, of the weights that code 𝒟 tokens.
      anchor_error_nats: its standard error.
      exact_flops, paper_flops: compute T in two accountings, to train and to code 𝒟 tokens.
      plateau, anchor: their estimators, of `anchors.ANCHORS`.
      shared_held_out: whether all members share their held-out examples, as with a finite
        generator. The errors of their held-out losses are then equal: the spread of the seeds does
        not contain them, and averaging does not reduce them.
    """

    members: np.ndarray
    coded_tok: np.ndarray
    test_tok: np.ndarray
    charged_nats: np.ndarray
    anchored_tok: np.ndarray
    plateau_nats: np.ndarray
    plateau_error_nats: np.ndarray
    anchor_nats: np.ndarray
    anchor_error_nats: np.ndarray
    exact_flops: np.ndarray
    paper_flops: np.ndarray
    plateau: str
    anchor: str
    shared_held_out: bool

    @property
    def structure_nats(self) -> np.ndarray:
        """S of each member by this code."""
        # arXiv 2601.03220: equation 8 with the final loss on unseen data, or equation 9 (0 tokens).
        return self.charged_nats - self.anchored_tok * self.plateau_nats

    @property
    def entropy_nats(self) -> np.ndarray:
        """H of each member, the time-bounded entropy of 𝒟 tokens."""
        # arXiv 2601.03220, appendix B.1: held-out loss per token x 𝒟.
        return self.test_tok * self.anchor_nats

    @property
    def structure_shared_error_nats(self) -> np.ndarray:
        """Standard error of S that all members have in common."""
        return self._shared(self.plateau, self.anchored_tok * self.plateau_error_nats)

    @property
    def entropy_shared_error_nats(self) -> np.ndarray:
        """Standard error of H that all members have in common."""
        return self._shared(self.anchor, self.test_tok * self.anchor_error_nats)

    def _shared(self, estimator: str, errors_nats_M: np.ndarray) -> np.ndarray:
        shared = self.shared_held_out and estimator not in ONLINE
        return errors_nats_M if shared else np.zeros_like(self.test_tok)

    @property
    def description_shared_error_nats(self) -> np.ndarray:
        """Standard error of S + H that all members have in common.

        One loss, and its error, enters 𝒟 - D times.
        """
        errors = self.entropy_shared_error_nats, self.structure_shared_error_nats
        return np.abs(np.subtract(*errors)) if self.plateau == self.anchor else np.hypot(*errors)

    @property
    def structure_bits(self) -> Estimate:
        """S in bits."""
        return _bits(self.structure_nats, self.structure_shared_error_nats)

    @property
    def entropy_bits(self) -> Estimate:
        """H in bits."""
        return _bits(self.entropy_nats, self.entropy_shared_error_nats)

    @property
    def structure_bits_per_tok(self) -> Estimate:
        """S / 𝒟 in bits per coded token."""
        return _bits(self.structure_nats, self.structure_shared_error_nats, self.test_tok)

    @property
    def entropy_bits_per_tok(self) -> Estimate:
        """The anchor in bits per coded token."""
        return _bits(self.entropy_nats, self.entropy_shared_error_nats, self.test_tok)

    @property
    def description_bits(self) -> Estimate:
        """MDL = S + H in bits."""
        nats = self.structure_nats + self.entropy_nats
        return _bits(nats, self.description_shared_error_nats)

    @property
    def description_bits_per_tok(self) -> Estimate:
        """MDL / 𝒟 in bits per coded token."""
        nats = self.structure_nats + self.entropy_nats
        return _bits(nats, self.description_shared_error_nats, self.test_tok)


def _bits(
    nats_M: np.ndarray, shared_error_nats_M: np.ndarray, tok_M: np.ndarray | float = 1.0
) -> Estimate:
    """The mean over members in bits, or in bits per token."""
    shared_error = float(np.mean(shared_error_nats_M / tok_M)) / LN2
    return interval(nats_M / tok_M / LN2, shared_error)


def interval(values_M: np.ndarray, shared_error: float = 0.0) -> Estimate:
    """Mean over members and the half width of its 95 % interval by Student's t.

    Args:
      values_M: one value per member; their spread contains the errors that members do not share.
      shared_error: standard error common to all members, such as that of shared held-out examples,
        added in quadrature. The degrees of freedom are multiplied by the ratio of the total to the
        unshared variance. Its square (Welch and Satterthwaite) covers only 92 % with three seeds;
        this covers 94 to 96.5 % from three seeds on, by simulation.
    """
    n = len(values_M)
    mean = float(np.mean(values_M))
    if n < 2:
        return Estimate(mean, math.nan)
    unshared = float(np.var(values_M, ddof=1)) / n
    total = unshared + shared_error**2
    if unshared == 0.0:
        return Estimate(mean, float(special.ndtri(0.975)) * shared_error)
    freedom = (n - 1) * total / unshared
    return Estimate(mean, float(special.stdtrit(freedom, 0.975)) * math.sqrt(total))


def widened(estimate: Estimate, seeds: int, comparisons: int) -> Estimate:
    """An estimate of `interval` as the most extreme one of several comparisons (Bonferroni)."""
    alone, among = (special.stdtrit(seeds - 1, 1 - 0.025 / count) for count in (1, comparisons))
    return Estimate(estimate.mean, float(estimate.half_width * among / alone))


def proportion(successes: int, trials: int) -> Estimate:
    """The share of trials that succeed, with the longer half of its exact 95 % interval.

    Source: Clopper and Pearson, Biometrika 26, 1934.
    """
    failures, share = trials - successes, successes / trials
    low = special.betaincinv(successes, failures + 1, 0.025) if successes else 0.0
    high = special.betaincinv(successes + 1, failures, 0.975) if failures else 1.0
    return Estimate(share, float(max(share - low, high - share)))
