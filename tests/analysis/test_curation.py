"""Curation: tokens to a target, labels that are found, and redundancy, against known ones."""

import numpy as np
import pytest

from epx.analysis import curation

RNG = np.random.default_rng(0)


def test_a_target_between_two_evaluations_is_found():
    tokens, loss = np.array([10.0, 100.0, 1000.0]), np.array([3.0, 2.0, 1.0])
    assert curation.tokens_to(1.5, tokens, loss) == pytest.approx(10**2.5)
    assert curation.tokens_to(2.0, tokens, loss) == pytest.approx(100)
    assert curation.tokens_to(5.0, tokens, loss) == 10
    assert curation.tokens_to(0.5, tokens, loss) == float("inf")


def test_the_first_time_counts():
    assert curation.tokens_to(1.0, np.array([1.0, 2, 3]), np.array([2.0, 1.0, 1.5])) == 2


def test_agreement_is_that_of_its_formula():
    """By hand: two labellings of six things that differ in one."""
    first, second = np.array([0, 0, 1, 1, 2, 2]), np.array([0, 0, 1, 1, 1, 2])
    # Pairs together in both 2, in one 3 and 4, of 15: (2 - 0.8) / (3.5 - 0.8).
    assert curation.agreement(first, second) == pytest.approx((2 - 0.8) / (3.5 - 0.8))
    assert curation.agreement(first, 7 - first) == 1
    many = RNG.integers(0, 4, 4000), RNG.integers(0, 4, 4000)
    assert abs(curation.agreement(*many)) < 0.01


def test_the_right_number_of_clusters_has_the_shortest_code():
    """In each of four languages the next token is so much larger, but in one of ten cases."""
    random, label_N = np.random.default_rng(3), np.repeat(np.arange(4), 60)
    is_other = random.random((240, 32)) < 0.1
    step_NxT = np.where(is_other, random.integers(0, 8, (240, 32)), label_N[:, None])
    tokens_NxT = step_NxT.cumsum(1) % 8
    bits = {
        count: curation.code_bits(tokens_NxT, np.arange(240) * count // 240)
        for count in (1, 2, 4, 8, 40)
    }
    assert min(bits, key=lambda count: bits[count]) == 4, bits
    assert curation.code_bits(tokens_NxT, random.integers(0, 4, 240)) > bits[1]


def test_the_code_is_that_of_its_formula():
    """0 0 1: the first token costs a bit, then 1/2, and then (1/2) / 2 of a token after a 0."""
    found = curation.code_bits(np.array([[0, 0, 1]]), np.zeros(1, int))
    assert found == pytest.approx(1 + 1 + 2)


def test_languages_of_their_own_are_clusters():
    laws = RNG.dirichlet(np.full(6, 0.2), (3, 6))
    label_N = RNG.integers(0, 3, 300)
    tokens_NxT = np.zeros((300, 40), int)
    for n, label in enumerate(label_N):
        for t in range(1, 40):
            tokens_NxT[n, t] = RNG.choice(6, p=laws[label, tokens_NxT[n, t - 1]])
    found = curation.clusters(tokens_NxT, 6, 3)
    assert curation.agreement(found, label_N) > 0.9
    np.testing.assert_array_equal(found, curation.clusters(tokens_NxT, 6, 3))


def test_redundancy_of_noise_is_none_and_of_copies_all():
    noise = RNG.integers(0, 8, (400, 32))
    assert curation.redundancy(noise, 8) < 0.02
    assert curation.redundancy(np.repeat(noise[:2], 400, axis=0), 8) > 0.95
    half = np.where(np.arange(32) % 2, 0, noise)
    assert 0.3 < curation.redundancy(half, 8) < 0.5
