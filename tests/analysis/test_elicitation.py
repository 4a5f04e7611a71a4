"""The rule on curves whose shape is known in closed form, and on noise."""

import numpy as np
import pytest

from epx.analysis import elicitation
from epx.analysis.elicitation import TAUGHT, UNDECIDED, WOKEN, Curve
from epx.analysis.exact import closed_forms

SIZES = np.array([1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000], float)
RANDOM = np.random.default_rng(0)


def curve(bits):
    return Curve(SIZES, np.asarray(bits, float))


def noisy(bits, share=0.05):
    return {n: curve(bits * (1 + share * RANDOM.normal(size=len(SIZES)))) for n in range(5)}


def test_the_coupon_collector_is_taught_and_its_peak_is_where_the_formula_has_it():
    """arXiv 2601.04728: EDL/n peaks at n = 1.793 K."""
    bits = closed_forms.coupon_collector(SIZES, concepts=500)
    found = elicitation.decide(noisy(bits))
    assert found.shape == TAUGHT and not found.warnings
    peak, low, high = found.peak_examples
    assert peak == 1000 and 500 <= low <= 1000 == high


def test_a_gate_is_woken():
    """What is there already falls like 1/n from the first example."""
    bits = closed_forms.elicitation(SIZES, gap=2.0, kept=0.25)
    found = elicitation.decide(noisy(bits))
    assert found.shape == WOKEN and found.peak_examples == (1, 1, 1)


def test_a_peak_within_ten_batches_is_at_the_start():
    """Examples of a batch are charged before any of them is learned."""
    curves = noisy(closed_forms.coupon_collector(SIZES, concepts=14))
    shapes = [elicitation.decide(curves, batch).shape for batch in (1, 2, 10)]
    assert shapes == [TAUGHT, WOKEN, WOKEN]
    late = {n: Curve(of_seed.examples[6:], of_seed.bits[6:]) for n, of_seed in curves.items()}
    assert "only from 100 examples" in elicitation.decide(late, 9).warnings[0]
    assert not elicitation.decide(late, 10).warnings


def test_every_seed_has_to_show_the_shape():
    taught = closed_forms.coupon_collector(SIZES, concepts=500)
    curves = noisy(taught) | {9: curve(np.full(len(SIZES), 4.0))}
    found = elicitation.decide(curves)
    assert found.shape == UNDECIDED
    assert [found.by_seed[seed] for seed in range(5)] == [TAUGHT] * 5 and found.by_seed[9] == WOKEN


def test_what_still_rises_is_undecided():
    """A peak that was not passed may be higher still."""
    assert elicitation.shape(curve(SIZES**1.5)) == UNDECIDED
    assert elicitation.shape(curve(-SIZES)) == UNDECIDED


def test_what_rises_again_after_its_peak_is_undecided():
    """Unlearning what was confidently wrong, and then learning, has two humps."""
    woken = closed_forms.elicitation(SIZES, gap=20.0, kept=0.25)
    again = woken + 2 * closed_forms.coupon_collector(SIZES, concepts=500)
    assert elicitation.shape(curve(woken)) == WOKEN
    second = curve(again).bits_per_example
    assert second.argmax() == 0 and second[-1] < 0.5 * second[0]
    assert elicitation.shape(curve(again + 10 * SIZES * (SIZES == 1000))) == UNDECIDED


def test_what_was_hardly_learned_is_undecided():
    """Shuffled answers: their frequencies are learned at once, and most of the loss stays."""
    woken = closed_forms.elicitation(SIZES, gap=2.0, kept=0.25)
    kept = {n: Curve(SIZES, woken * (1 + 0.01 * n), left=0.8) for n in range(5)}
    found = elicitation.decide(kept)
    assert set(found.by_seed.values()) == {UNDECIDED} and found.shape == UNDECIDED
    assert "more than half of the first loss is left for seeds [0, 1, 2, 3, 4]" in found.warnings
    learned = {n: Curve(SIZES, curve.bits, left=0.4) for n, curve in kept.items()}
    assert elicitation.decide(learned).shape == WOKEN


@pytest.mark.parametrize(("floor", "batch"), [(0.0, 1), (0.1, 1), (0.0, 4)])
def test_noise_is_hardly_ever_taken_for_a_shape(floor, batch):
    """Random labels: the charges vary by a bit an example, and the held-out loss, which is divided
    by no n, by `floor`. In the long run 4 of 100 sets of five seeds are; a standard error of these
    200 sets is 1.4."""
    random, steps = np.random.default_rng(1), np.diff(SIZES, prepend=0)

    def noise():
        charged = np.cumsum(np.sqrt(steps) * random.normal(size=len(SIZES)))
        return curve(charged + SIZES * floor * random.normal(size=len(SIZES)))

    found = [elicitation.decide({n: noise() for n in range(5)}, batch).shape for _ in range(200)]
    assert np.mean([shape != UNDECIDED for shape in found]) < 0.08


def test_too_little_is_said():
    few = {0: Curve(SIZES[:4] * 100, np.ones(4))}
    found = elicitation.decide(few)
    assert found.shape == UNDECIDED and len(found.warnings) == 3
    assert "only 1 seeds" in found.warnings[0] and "only 4 numbers" in found.warnings[1]
    assert "only from 100 examples" in found.warnings[2]
    harmful = elicitation.decide(noisy(-SIZES))
    assert "negative at the end" in harmful.warnings[0]


def test_curves_of_other_sizes_are_refused():
    with pytest.raises(ValueError, match="same numbers of examples"):
        elicitation.decide({0: curve(SIZES), 1: Curve(SIZES[:3], np.ones(3))})
