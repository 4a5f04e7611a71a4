"""S and H of a single training, from its charges alone, whatever framework trained it.

    meter = epx.meter()
    for batch in stream:
        meter.append(nats=loss * count, tokens=count)  # before the update; nats per token x tokens
    meter.held_out(nats=total, tokens=held_out)        # optional: on unseen data, at the end
    print(meter.measure().structure_bits)

S is the area of the online loss above its end, H that end (arXiv 2601.03220, equation 8). A single
training has no spread over seeds: the errors here are those of the noise of the charges and of the
final loss, and different seeds will differ by more.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from epx.analysis import anchors
from epx.analysis.measurement import LN2, Estimate
from epx.types import refusal, require

NORMAL_95 = 1.959964
# A fall over the last 30 % of the tokens matters from this share of S on.
FALLING_SHARE = 0.05
# The scatter of a held-out loss is that of so many last evaluations.
LEAST_EVALUATIONS, MOST_EVALUATIONS = 4, 10
PREFERRED = ("held-out", "trend", "tail")


class Reading(NamedTuple):
    """S and H of a training above one final loss.

    Attributes:
      anchor: `held-out`, `trend` (the end of a line through the last 30 % of the charges) or `tail`
        (their last tenth).
      tokens: D, that were charged.
      structure_bits: S with the half width of its 95 % interval, which is nan if the final loss
        has no known error.
      entropy_bits_per_tok: the final loss, likewise.
      anchor_share: of the variance of S, the share that the final loss has; nan if unknown.
    """

    anchor: str
    tokens: float
    structure_bits: Estimate
    entropy_bits_per_tok: Estimate
    anchor_share: float


class Meter:
    """The charges of a training in the order in which they were paid."""

    def __init__(self) -> None:
        self._nats: list[float] = []
        self._tokens: list[float] = []
        self._held_out: list[tuple[float, float]] = []

    def append(self, nats: float, tokens: float) -> None:
        """Add a charge, of a batch or a block of batches.

        Args:
          nats: the sum over its tokens of their loss, under the model before it learns from them.
          tokens: their number.

        Raises:
          ValueError: a charge that is not finite, or no tokens.
        """
        _check(nats, tokens)
        self._nats.append(float(nats))
        self._tokens.append(float(tokens))

    def held_out(self, nats: float, tokens: float) -> None:
        """Add an evaluation on data that is not trained on: the last one is the final loss.

        Args:
          nats, tokens: as in `append`, summed over the held-out tokens.

        Raises:
          ValueError: as `append`.
        """
        _check(nats, tokens)
        self._held_out.append((float(nats), float(tokens)))

    def measure(self, anchor: str | None = None) -> Reading:
        """S and H above one final loss.

        Args:
          anchor: of `readings`; None is the held-out loss if there is one, or else the trend.

        Raises:
          ValueError: too few charges, or no such final loss.
        """
        found = self.readings()
        name = anchor or next(iter(found))
        require("anchor", anchor, name in found, f"{', '.join(found)}, or none")
        return found[name]

    def readings(self) -> dict[str, Reading]:
        """S and H above every final loss that is known, the preferred one first.

        Raises:
          ValueError: too few charges.
        """
        held_out = [nats / tokens for nats, tokens in self._held_out]
        return readings(np.array(self._nats), np.array(self._tokens), held_out)

    def notes(self) -> list[str]:
        """What a reader has to know of the numbers."""
        return notes(np.array(self._nats), np.array(self._tokens))


def _check(nats: float, tokens: float) -> None:
    require("nats", nats, math.isfinite(nats), "a finite number, the sum over the tokens")
    require("tokens", tokens, 0 < tokens < math.inf, "a number of tokens above 0")


def readings(
    nats_K: np.ndarray, tokens_K: np.ndarray, held_out: Sequence[float] = ()
) -> dict[str, Reading]:
    """S and H above every final loss that is known, the preferred one first.

    Args:
      nats_K: charges in the order of training, sums over their tokens.
      tokens_K: tokens of each charge.
      held_out: losses on data that was not trained on, in nats per token and in the order of
        training. The last one is the final loss, and the scatter of the last ones its error; what
        the evaluations have in common, such as their examples, is not in it.

    Raises:
      ValueError: too few charges.
    """
    least = math.ceil(anchors.MIN_CHARGES / anchors.TREND)
    if len(nats_K) < least:
        raise refusal("charges", len(nats_K), f"at least {least} charges, for a final loss")
    ends = {
        "trend": anchors.trend_nats(nats_K[None], tokens_K[None]),
        "tail": anchors.tail_nats(nats_K[None], tokens_K[None]),
    }
    finals = {name: (float(mean[0]), float(error[0])) for name, (mean, error) in ends.items()}
    if len(held_out):
        finals["held-out"] = (float(held_out[-1]), _scatter(held_out))
    tokens = float(tokens_K.sum())
    noise_nats = _noise(nats_K, tokens_K)
    result = {}
    for name in (name for name in PREFERRED if name in finals):
        final, error = finals[name]
        shared = tokens * error
        half = NORMAL_95 * math.hypot(noise_nats, shared) / LN2
        share = shared**2 / (shared**2 + noise_nats**2) if shared or noise_nats else math.nan
        s = Estimate((float(nats_K.sum()) - tokens * final) / LN2, half)
        h = Estimate(final / LN2, NORMAL_95 * error / LN2)
        result[name] = Reading(name, tokens, s, h, share)
    return result


def notes(nats_K: np.ndarray, tokens_K: np.ndarray) -> list[str]:
    """Whether the loss still falls at the end, in words; empty if it does not.

    Raises:
      ValueError: as `readings`.
    """
    structure = readings(nats_K, tokens_K)["trend"].structure_bits.mean
    fall, error = anchors.fall_nats(nats_K, tokens_K)
    matters = fall / LN2 * tokens_K.sum() > FALLING_SHARE * abs(structure)
    if fall < 2 * error or not matters:
        return []
    return [
        f"the loss still falls, by {fall / LN2:.3g} bits per token over the last "
        f"{anchors.TREND:.0%} of the training: with more tokens S is larger and H smaller"
    ]


def _scatter(losses: Sequence[float]) -> float:
    """Standard deviation of the last losses, from differences of neighbours; nan of too few.

    A fall between neighbours is taken for noise, so that the error is rather too large.
    """
    last = np.asarray(losses, float)[-MOST_EVALUATIONS:]
    if len(last) < LEAST_EVALUATIONS:
        return math.nan
    return math.sqrt(float((np.diff(last) ** 2).mean()) / 2)


def _noise(nats_K: np.ndarray, tokens_K: np.ndarray) -> float:
    """Standard error of the sum of the charges, from differences of neighbours.

    A trend between neighbours is taken for noise, so that the error is rather too large.
    """
    loss = nats_K / tokens_K
    # A difference of two charges of n tokens each has the variance 2 v / n.
    per_token = np.diff(loss) ** 2 / (1 / tokens_K[1:] + 1 / tokens_K[:-1])
    # The first tenth falls steeply.
    variance = float(np.median(per_token[len(per_token) // 10 :])) / 0.4549
    return math.sqrt(variance * tokens_K.sum())
