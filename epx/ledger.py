"""From rows to codelengths, in float64 and without JAX. With D coded tokens trained on, an anchor
(held-out nats per coded token at the end) and a coded set of 𝒟 tokens,

    S = sum of online nats - D x anchor        H = 𝒟 x anchor        MDL = S + H

(arXiv 2601.03220, equation 8 with the final loss measured on unseen data). A negative S is
reported, not clipped: it says that the anchor is above the online loss. The only division by a
token count and the only change from nats to bits happen here.
"""

import math
from typing import NamedTuple

import numpy as np

from epx.record import Arrays, Record, RecordError

LN2 = math.log(2.0)

# What the end loss may be taken from. `ema` and `raw` are held-out losses of the averaged and of
# the last weights, `tail` the online loss of the last tenth of the steps, `oracle` the world's law.
ANCHORS = ("ema", "raw", "tail", "oracle")
TAIL = 0.1


class Estimate(NamedTuple):
    """A mean over members and the half width of its 95 % interval (nan for a single member)."""

    mean: float
    half_width: float


class Measurement(NamedTuple):
    """What a record says about its world and observer, one float64 entry per well member.

    Attributes:
      members: indices of the members that took part; failed ones are left out.
      coded_tok: coded tokens trained on, D.
      test_tok: size of the coded set whose information is stated, 𝒟.
      online_nats: sum of the charges before each update.
      anchor_nats: nats per coded token at the end, and `anchor_error_nats` its standard error.
      exact_flops, paper_flops: compute T in two accountings, training and coding 𝒟 tokens.
      anchor: which one was used.
      shared_heldout: whether all members are measured on the same examples, as in a finite world:
        their anchors then err together, and averaging does not help.
    """

    members: np.ndarray
    coded_tok: np.ndarray
    test_tok: np.ndarray
    online_nats: np.ndarray
    anchor_nats: np.ndarray
    anchor_error_nats: np.ndarray
    exact_flops: np.ndarray
    paper_flops: np.ndarray
    anchor: str
    shared_heldout: bool

    @property
    def structure_nats(self) -> np.ndarray:
        """S, the prequential epiplexity of each member."""
        return self.online_nats - self.coded_tok * self.anchor_nats

    @property
    def entropy_nats(self) -> np.ndarray:
        """H, the time-bounded entropy of 𝒟 tokens for each member."""
        return self.test_tok * self.anchor_nats

    @property
    def structure_bits(self) -> Estimate:
        """S in bits."""
        return self._bits(self.structure_nats, self.coded_tok * self.anchor_error_nats)

    @property
    def entropy_bits(self) -> Estimate:
        """H in bits."""
        return self._bits(self.entropy_nats, self.test_tok * self.anchor_error_nats)

    @property
    def structure_bits_per_tok(self) -> Estimate:
        """S / 𝒟 in bits per coded token."""
        errors = self.coded_tok * self.anchor_error_nats / self.test_tok
        return self._bits(self.structure_nats / self.test_tok, errors)

    @property
    def entropy_bits_per_tok(self) -> Estimate:
        """The anchor in bits per coded token."""
        return self._bits(self.anchor_nats, self.anchor_error_nats)

    @property
    def description_bits(self) -> Estimate:
        """MDL = S + H in bits; the anchor's error counts with 𝒟 - D."""
        errors = np.abs(self.test_tok - self.coded_tok) * self.anchor_error_nats
        return self._bits(self.structure_nats + self.entropy_nats, errors)

    def _bits(self, values_M: np.ndarray, errors_M: np.ndarray) -> Estimate:
        return interval(values_M / LN2, errors_M / LN2, self.shared_heldout)


def prequential(
    record: Record,
    anchor: str | None = None,
    test_tokens: float | None = None,
    members: list[int] | None = None,
) -> Measurement:
    """The prequential measurement of a record.

    Args:
      record: a complete record, or one under way that has an evaluation.
      anchor: one of ANCHORS; None takes the first that is offered: `ema`, or `raw` for counters,
        which have no average.
      test_tokens: 𝒟, above 0; None takes the config's `eval.test_tokens`, or else D.
      members: members to use; None takes all.

    Raises:
      ValueError: an anchor that is none of ANCHORS, or no test tokens.
      RecordError: this record does not offer the anchor, or has no evaluation yet.
      RecordError: the record has no evaluation, or every member failed.
    """
    offered = anchors(record)
    anchor = anchor or offered[0]
    if anchor not in ANCHORS:
        raise ValueError(f"anchor={anchor}: accepted are {', '.join(ANCHORS)}")
    if anchor not in offered:
        raise RecordError(f"no anchor {anchor} in {record.path}, which has {', '.join(offered)}")
    step = max(record.evals)
    rows = {name: np.asarray(v[:, :step], np.float64) for name, v in record.rows.items()}
    well = _well(record, step)
    well = well if members is None else np.array([m for m in members if m in set(well)], int)
    if not well.size:
        raise RecordError(f"{record.path}: every member of it failed; nothing can be measured")
    rows = {name: value[well] for name, value in rows.items()}
    value_M, error_M = _anchor(record, rows, anchor, step, well)
    coded_M, all_M = rows["coded_tok"].sum(1), rows["all_tok"].sum(1)
    if test_tokens is not None and not 0 < test_tokens < math.inf:
        raise ValueError(f"test_tokens={test_tokens}: must be above 0")
    if test_tokens is None:
        test_tokens = record.config["eval"]["test_tokens"]
    test_M = coded_M if test_tokens is None else np.full_like(coded_M, test_tokens)
    exact_M, paper_M = _compute(record, rows["flops"].sum(1), all_M, test_M * all_M / coded_M)
    return Measurement(
        members=well,
        coded_tok=coded_M,
        test_tok=test_M,
        online_nats=rows["nats"].sum(1),
        anchor_nats=value_M,
        anchor_error_nats=error_M,
        exact_flops=exact_M,
        paper_flops=paper_M,
        anchor=anchor,
        shared_heldout=record.config["facts"]["size"] is not None,
    )


def anchors(record: Record) -> list[str]:
    """The anchors that a record offers. Raises RecordError where it has no evaluation yet."""
    if not record.evals:
        raise RecordError(f"{record.path} has no evaluation yet")
    final = record.evals[max(record.evals)]
    offered = {"ema": "ema_nats" in final, "raw": True, "tail": True}
    offered["oracle"] = "oracle_nats" in record.baselines
    return [name for name in ANCHORS if offered[name]]


def failures(record: Record) -> dict[int, int]:
    """Members whose loss was not finite, and the step where that happened."""
    if not record.rows:
        return {}
    finite_MxS = record.rows["finite"].astype(bool)
    return {int(m): int(np.argmin(finite_MxS[m])) for m in np.flatnonzero(~finite_MxS.all(1))}


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


def _compute(record: Record, training_M: np.ndarray, all_M: np.ndarray, test_all_M: np.ndarray):
    """T in both accountings: training, and coding examples of `test_all_M` tokens in all. The
    paper's needs parameters that are all used for every token, which a counter's are not."""
    facts = record.config["facts"]
    exact_M = training_M + test_all_M / facts["length"] * facts["forward_flops"]
    if not facts["learns_by_gradient"]:
        return exact_M, exact_M
    return exact_M, facts["parameters"] * (6 * all_M + 2 * test_all_M)


def _well(record: Record, step: int) -> np.ndarray:
    finite_MxS = record.rows["finite"][:, :step].astype(bool)
    return np.flatnonzero(finite_MxS.all(1))


def _anchor(record: Record, rows: Arrays, anchor: str, step: int, well: np.ndarray):
    final = record.evals[step]
    if anchor == "oracle":
        return heldout(record.baselines["oracle_nats"][well], record.baselines["oracle_tok"][well])
    if anchor == "tail":
        # Steps of the tail differ by the noise of their batches and by what is still learned.
        tail = slice(step - max(1, round(TAIL * step)), step)
        return heldout(rows["nats"][:, tail], rows["coded_tok"][:, tail])
    return heldout(final[f"{anchor}_nats"][well], final["coded_tok"][well])
