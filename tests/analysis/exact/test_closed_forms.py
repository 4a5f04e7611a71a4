"""Learners whose excess description length is known: the numbers that papers print, and each closed
form against a simulation or a sum that is written apart from it."""

import math

import numpy as np
import pytest
from scipy import optimize

from epx.analysis.exact import closed_forms


def simulated_counter(examples, classes, draws, seed=0):
    """Code and EDL of the Krichevsky-Trofimov counter, label by label."""
    rng = np.random.default_rng(seed)
    codes, excesses = [], []
    for _ in range(draws):
        counts, code = np.full(classes, 0.5), 0.0
        for label in rng.integers(0, classes, examples):
            code -= math.log2(counts[label] / counts.sum())
            counts[label] += 1
        codes.append(code)
        excesses.append(code + examples * np.log2(counts / counts.sum()).mean())
    return np.array(codes), np.array(excesses)


@pytest.mark.parametrize("examples, classes, draws", [(1, 2, 5), (30, 3, 2000), (100, 2, 3000)])
def test_random_labels_cost_a_counter_what_a_simulation_pays(examples, classes, draws):
    code, excess = closed_forms.random_labels(examples, classes)
    codes, excesses = simulated_counter(examples, classes, draws)
    for exact, found in ((code, codes), (excess, excesses)):
        assert abs(found.mean() - exact) < 4 * found.std() / math.sqrt(draws) + 1e-9


def test_the_excess_of_random_labels_is_small():
    """Section 1.5 (a) of the specification simulated 2.25 and 3.88 bits."""
    assert closed_forms.random_labels(100, 2)[1] == pytest.approx(2.25, abs=0.05)
    assert closed_forms.random_labels(1000, 2)[1] == pytest.approx(3.88, abs=0.05)
    for classes in (2, 10):  # (k-1)/2 log2 n and a constant
        gained = (
            closed_forms.random_labels(10_000, classes)[1]
            - closed_forms.random_labels(1000, classes)[1]
        )
        assert gained == pytest.approx((classes - 1) / 2 * math.log2(10), rel=0.02)
    code, excess = closed_forms.random_labels(
        5000, 2, alpha=1e6
    )  # as good as a fixed uniform predictor
    assert code == pytest.approx(5000, abs=0.01) and excess == pytest.approx(0, abs=0.01)


def test_hypotheses_collapse_for_the_logarithm_of_their_number():
    rng = np.random.default_rng(0)
    for seed in range(20):
        answers = rng.integers(0, 2, (1024, 60))
        bits, survivors = closed_forms.hypothesis_collapse(answers, true=seed)
        assert survivors[-1] == 1
        assert bits.sum() == pytest.approx(10, abs=1e-12)
        needed = 1 + int(np.argmax(survivors == 1))
        assert 8 <= needed <= 30 and bits[needed:].sum() == 0


def test_the_mixture_charges_the_mass_that_agrees():
    answers = np.array([[0, 1, 1], [0, 1, 0], [0, 0, 1], [1, 1, 1]])
    bits, survivors = closed_forms.hypothesis_collapse(answers, true=0)
    np.testing.assert_allclose(bits, [math.log2(4 / 3), math.log2(3 / 2), 1.0])
    assert survivors.tolist() == [3, 2, 1]


def test_one_label_per_hypothesis_identifies_it_at_once():
    bits, survivors = closed_forms.hypothesis_collapse(np.arange(1024)[:, None], true=77)
    assert bits.tolist() == [10.0] and survivors.tolist() == [1]


def test_one_distinguishing_label_of_1024_costs_ten_bits():
    bits, expected = closed_forms.distinguishing_label(1024)
    assert bits == 10.0
    assert expected == pytest.approx(0.0112, abs=5e-5)
    answers = (np.arange(1024) == 5).astype(int)[:, None]
    assert closed_forms.hypothesis_collapse(answers, true=5)[0].tolist() == [bits]


def test_slices_are_worth_their_weight_times_the_time_they_take():
    weights, saved, needed = [0.9, 0.09, 0.01], [1.0, 1.0, 2.0], [100, 500, 8000]
    found = closed_forms.slices(10_000, weights, saved, needed)
    curve = sum(
        w * s * (np.arange(10_000) < n) for w, s, n in zip(weights, saved, needed)
    )  # each slice's loss before every example
    assert found.sum() == pytest.approx(closed_forms.excess(curve, 0.0))
    np.testing.assert_allclose(found, [90, 45, 160])
    np.testing.assert_allclose(closed_forms.slices(5000, weights, saved, needed), [90, 45, 0])


COLLECTED = {10: 0.05, 100: 4.73, 1000: 264.6, 1793: 535.5, 10_000: 999.5, 100_000: 1000.0}


def test_the_coupon_collector_has_the_published_values():
    for examples, bits in COLLECTED.items():
        found = float(closed_forms.coupon_collector(examples, 1000))
        assert found == pytest.approx(bits, abs=0.06), f"n = {examples}"
    assert float(closed_forms.coupon_collector_poisson(100, 1000)) == pytest.approx(4.68, abs=0.005)


def test_the_coupon_collector_agrees_with_a_simulation():
    rng = np.random.default_rng(0)
    concepts, examples, draws = 20, 35, 4000
    found = []
    for _ in range(draws):
        seen, code = set(), 0.0
        for concept in rng.integers(0, concepts, examples):
            code += 3.0 * (concept not in seen)
            seen.add(concept)
        found.append(code - examples * 3.0 * (concepts - len(seen)) / concepts)
    exact = float(closed_forms.coupon_collector(examples, concepts, saved=3.0))
    assert abs(np.mean(found) - exact) < 4 * np.std(found) / math.sqrt(draws)


def test_teaching_peaks_where_it_is_published():
    def per_example(u):
        return -float(closed_forms.coupon_collector_poisson(u * 1e6, 10**6)) / (u * 1e6)

    peak = optimize.minimize_scalar(per_example, bounds=(0.5, 4), method="bounded")
    assert peak.x == pytest.approx(1.793, abs=0.001)
    assert -peak.fun == pytest.approx(0.2984, abs=5e-5)
    n = np.array([20.0])  # far below K: n^2 / 2K
    np.testing.assert_allclose(closed_forms.coupon_collector(n, 10**6), n**2 / 2e6, rtol=0.1)


def line(n, start, learned_at):
    return np.maximum(0, start * (1 - np.arange(n + 1) / learned_at))


@pytest.mark.parametrize("n", [40, 99, 150, 1000, 5000])
def test_straight_curves_have_the_factor_one_half_before_they_are_learned_too(n):
    """Settles section 1.5 (e) of the specification: below n_F a published note has no 1/2. The sum
    of the losses before each example above that after the last, which is the definition, gives
    (n + 1)/2 (L_F0/n_F + L_C0/n_C) an example there."""
    for start, learned_at in ((3.0, 100), (1.0, 2000)):
        losses = line(n, start, learned_at)
        summed = closed_forms.excess(losses[:-1], losses[-1])
        exact = start * (n * (n + 1) / learned_at if n < learned_at else learned_at + 1) / 2
        assert summed == pytest.approx(exact)
        area = float(closed_forms.straight(n, start, learned_at))
        assert area == pytest.approx(summed, rel=1.0 / min(n, learned_at))


def test_learning_a_format_first_makes_a_dip():
    n = np.arange(1, 20_000)
    each = (closed_forms.straight(n, 3.0, 100) + closed_forms.straight(n, 1.0, 2000)) / n
    dip = closed_forms.format_dip(3.0, 100, 1.0, 2000)
    assert 100 < dip < 2000
    inside = (n > 100) & (n < 2000)
    assert n[inside][np.argmin(each[inside])] == pytest.approx(dip, abs=1)
    assert each[99] > each[int(dip)] < each[1999] > each[-1]
    answers_alone = closed_forms.straight(n, 1.0, 2000) / n  # the capability's tokens only: no dip
    assert (np.diff(answers_alone[:1999]) > 0).all()


@pytest.mark.parametrize("kept", [0.0, 0.1, 0.3, 0.5])
def test_elicitation_falls_from_the_start(kept):
    n = np.arange(1, 500)
    found = closed_forms.elicitation(n, 2.0, kept)
    assert (np.diff(found / n) < 1e-15).all()
    assert found[-1] == pytest.approx(2.0 / (1 - kept))
    gate = 2.0 * kept ** np.arange(501)
    for examples in (1, 2, 7, 400):
        excess = closed_forms.excess(gate[:examples], gate[examples])
        assert found[examples - 1] == pytest.approx(excess, abs=1e-12)


def test_a_slow_gate_has_a_peak_as_in_teaching():
    n = np.arange(1, 500)
    assert np.argmax(closed_forms.elicitation(n, 1.0, 0.9) / n) > 5
