"""The meter: S and H of a single training, with honest errors."""

import math

import numpy as np
import pytest

import epx
from epx.analysis.logs import meter
from epx.analysis.measurement import LN2
from epx.types import Refusal

TOKENS = 50.0


def curve(charges, exponent=0.5, start=1.0, end=2.0):
    """A power law above a plateau, in nats per token."""
    return end + start * np.arange(1, charges + 1) ** -exponent


def noisy(seed, charges=2000, deviation=0.1, **law):
    noise = np.random.default_rng(seed).normal(0, deviation, charges)
    return curve(charges, **law) + noise


def test_the_area_is_that_of_the_losses_above_the_held_out_one():
    found = epx.meter()
    for loss in curve(100):
        found.append(nats=loss * TOKENS, tokens=TOKENS)
    found.held_out(nats=2.05 * 10_000, tokens=10_000)
    measured = found.measure()
    assert measured.anchor == "held-out" and measured.tokens == 100 * TOKENS
    expected = (curve(100).sum() - 100 * 2.05) * TOKENS / LN2
    assert measured.structure_bits.mean == pytest.approx(expected)
    assert measured.entropy_bits_per_tok.mean == pytest.approx(2.05 / LN2)
    assert math.isnan(measured.structure_bits.half_width), "of one evaluation no error is known"
    assert list(found.readings()) == ["held-out", "trend", "tail"]
    assert found.measure("tail").anchor == "tail"


def test_the_error_of_a_held_out_loss_is_its_scatter():
    """Of evaluations that do not fall any more: the interval of H holds the next one in 95 %."""
    random, nats = np.random.default_rng(0), curve(100) * TOKENS
    evaluations_RxE = random.normal(2.0, 0.01, (500, 21))
    inside = 0
    for losses in evaluations_RxE:
        found = meter.readings(nats, np.full(100, TOKENS), losses[:-1])["held-out"]
        inside += abs(found.entropy_bits_per_tok.mean - 2 / LN2) < found.entropy_bits_per_tok[1]
        assert found.structure_bits.half_width >= 100 * TOKENS * found.entropy_bits_per_tok[1]
        assert 0 < found.anchor_share <= 1
    assert 0.88 < inside / 500 < 0.97
    few = meter.readings(nats, np.full(100, TOKENS), [2.1, 2.0, 2.1])["held-out"]
    assert math.isnan(few.structure_bits.half_width) and math.isnan(few.anchor_share)


@pytest.mark.parametrize("anchor", ["trend", "tail"])
def test_the_interval_covers_the_noise(anchor):
    """The S of a loss that does not fall any more is 0: within its interval in 95 %."""
    inside = 0
    for seed in range(300):
        loss = noisy(seed, start=0.0)
        found = meter.readings(loss * TOKENS, np.full(2000, TOKENS))[anchor]
        inside += abs(found.structure_bits.mean) < found.structure_bits.half_width
    assert 0.92 < inside / 300 < 0.99, "nor by intervals that are too wide"


def test_the_share_of_the_final_loss_is_that_of_its_error():
    loss = noisy(0)
    found = meter.readings(loss * TOKENS, np.full(2000, TOKENS))["trend"]
    own = found.entropy_bits_per_tok.half_width * found.tokens
    assert found.anchor_share == pytest.approx((own / found.structure_bits.half_width) ** 2)
    assert 0.9 < found.anchor_share < 1


def test_the_noise_of_the_charges_is_estimated_below_their_fall():
    """Standard error of the sum of 2000 charges of 50 tokens: 0.1 x 50 x sqrt(2000) nats."""
    error = meter._noise(noisy(1) * TOKENS, np.full(2000, TOKENS))
    assert error == pytest.approx(0.1 * TOKENS * 2000**0.5, rel=0.1)


def test_a_loss_that_still_falls_is_said():
    for charges, falls in ((noisy(0, exponent=0.1), True), (noisy(0, start=0.0), False)):
        notes = meter.notes(charges * TOKENS, np.full(2000, TOKENS))
        assert bool(notes) == falls
        assert not falls or "the loss still falls" in notes[0]


def test_blocks_of_different_sizes_are_weighted():
    loss = curve(400)
    ends = [10, 20, 50, 90, 120, 160, 200, 230, 260, 280, *range(290, 400, 10)]
    parts = np.array_split(np.arange(400), ends)
    found = epx.meter()
    for part in parts:
        found.append(loss[part].sum() * TOKENS, len(part) * TOKENS)
    found.held_out(2.05, 1)
    whole = meter.readings(loss * TOKENS, np.full(400, TOKENS), [2.05])["held-out"]
    assert found.measure().structure_bits.mean == pytest.approx(whole.structure_bits.mean)


@pytest.mark.parametrize(
    ("nats", "tokens", "message"),
    [(math.nan, 1, "nats=nan"), (1.0, 0, "tokens=0"), (math.inf, 1, "nats=inf")],
)
def test_what_is_no_charge_is_refused(nats, tokens, message):
    for add in (epx.meter().append, epx.meter().held_out):
        with pytest.raises(Refusal, match=f"{message}: accepted"):
            add(nats, tokens)


def test_too_few_charges_are_refused():
    found = epx.meter()
    for _ in range(5):
        found.append(1.0, 1)
    with pytest.raises(Refusal, match="charges=5: accepted at least 17 charges"):
        found.measure()
    for _ in range(20):
        found.append(1.0, 1)
    with pytest.raises(Refusal, match="anchor='ema': accepted trend, tail, or none"):
        found.measure("ema")
