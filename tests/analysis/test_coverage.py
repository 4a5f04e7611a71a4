"""Coverage in n-grams: counted by hand, and as probability says of samples of a known law."""

import numpy as np
import pytest

from epx.analysis import coverage


def test_a_sample_covers_itself_and_nothing_of_another():
    tokens = np.random.default_rng(0).integers(0, 5, (20, 12))
    assert coverage.of_ngrams(tokens, tokens, 3) == (1.0, 1.0, 1.0)
    assert coverage.of_ngrams(tokens, tokens + 5, 2) == (0.0, 0.0, 0.0)


def test_rare_ngrams_are_the_tail():
    """Of 20 tokens the three rarest are together a tenth at most with two: 1 and 2."""
    real = np.array([[0] * 17 + [1, 2, 3]])
    assert coverage.of_ngrams(real, np.array([[0, 0, 2, 4]]), 1) == (0.5, 0.5, 0.75)
    assert coverage.of_ngrams(real, np.array([[0, 0, 3, 3]]), 1) == (0.5, 0.0, 1.0)


def test_ngrams_lie_within_examples():
    """2 1 is not an n-gram of these, although 2 ends one and 1 begins the next."""
    real = np.array([[1, 2], [1, 2]])
    assert coverage.of_ngrams(real, np.array([[2, 1]]), 2).precision == 0.0


@pytest.mark.parametrize("n", [1, 2])
def test_uniform_samples_cover_what_probability_says(n):
    """Of V equally likely n-grams N draws contain each with probability 1 - (1 - 1/V)^N."""
    vocab, examples, random = 20**n, 400 if n == 2 else 20, np.random.default_rng(n)
    real, drawn = random.integers(0, 20, (2, examples, n))
    expected = 1 - (1 - 1 / vocab) ** examples
    found = coverage.of_ngrams(real, drawn, n)
    spread = np.sqrt(expected * (1 - expected) / (vocab * expected))
    assert abs(found.support - expected) < 5 * spread
    assert abs(found.precision - expected) < 5 * spread


def test_a_narrower_law_loses_the_tail_first():
    """Draws of half the temperature cover less than others of the law, and of its tail least."""
    random, law = np.random.default_rng(3), 1 / np.arange(1, 301)
    colder = law**2 / (law**2).sum()
    real, again = (random.choice(300, (500, 8), p=law / law.sum()) for _ in range(2))
    cold = random.choice(300, (500, 8), p=colder)
    alike, narrow = (coverage.of_ngrams(real, other, 1) for other in (again, cold))
    assert narrow.support < alike.support and narrow.precision >= alike.precision
    assert narrow.tail / alike.tail < narrow.support / alike.support


def test_nothing_is_no_number_and_bounds_are_named():
    none = np.zeros((0, 4), np.int32)
    found = coverage.of_ngrams(np.array([[1, 2, 3, 4]]), none, 2)
    assert found.support == 0.0 and np.isnan(found.precision)
    for n, tokens in ((0, [[1, 2]]), (3, [[1, 2]]), (8, [[2**20] * 9])):
        with pytest.raises(ValueError, match=f"n={n}: accepted"):
            coverage.of_ngrams(np.array(tokens), np.array(tokens), n)
