"""Collapse against published formulas and tables."""

import math

import numpy as np
import pytest

from epx.analysis.exact import collapse

GENERATIONS = [1, 10, 50, 100]
# Generation: M E[mu^2], E var, median var under `replace`; M E[mu^2], E var under `accumulate`.
TABLE = {
    1: (1.04, 0.992, 0.989, 1.09, 0.992),
    10: (9.2, 0.898, 0.813, 1.64, 0.987),
    50: (36.5, 0.566, 0.347, 1.72, 0.986),
    100: (62.8, 0.336, 0.126, 1.73, 0.986),
}


@pytest.fixture(scope="module")
def fits():
    return {arm: collapse.gaussian(arm, 100) for arm in collapse.ARMS}


@pytest.mark.parametrize("generation", GENERATIONS)
def test_gaussians_are_those_of_the_table(fits, generation):
    """Within 5 standard errors of the simulations, the table's and ours."""
    rows = {arm: [values[generation - 1] for values in fits[arm]] for arm in fits}
    published = iter(TABLE[generation])
    for arm in ("replace", "accumulate"):
        mean_N, variance_N = rows[arm]
        squares = 100 * mean_N**2
        error = math.sqrt(2 / len(squares))
        assert abs(squares.mean() - next(published)) < 5 * error * squares.std()
        assert abs(variance_N.mean() - next(published)) < 5 * error * variance_N.std()
        if arm == "replace":
            assert np.median(variance_N) == pytest.approx(next(published), rel=0.25, abs=0.02)


def test_the_variance_decays_as_it_must(fits):
    expected = collapse.gaussian_variance(100, 100)
    _, found_GxN = fits["replace"]
    error = found_GxN.std(1) / math.sqrt(found_GxN.shape[1])
    assert (np.abs(found_GxN.mean(1) - expected) < 5 * error).all()


def test_true_data_and_old_data_keep_the_variance(fits):
    """The order of the arms after 100 generations, by the median of the variance."""
    last = {arm: float(np.median(fits[arm][1][-1])) for arm in fits}
    assert last["replace"] < last["subsample"] < last["accumulate"] > 0.9
    assert last["kept"] > 3 * last["replace"]
    means = {arm: float((fits[arm][0][-1] ** 2).mean()) for arm in fits}
    assert means["replace"] > means["kept"] > means["accumulate"]


def test_outcomes_die_out_as_wright_and_fisher_have_it():
    found = collapse.frequencies(1000, replicas=800)
    seen = 1 - (found**2).sum(-1)
    expected = collapse.diversity(1000, 6, 1000)
    for generation, published, surviving in ((100, 0.754, 5.84), (1000, 0.306, 2.05)):
        values = seen[generation - 1]
        error = values.std() / math.sqrt(len(values))
        assert abs(values.mean() - expected[generation - 1]) < 5 * error
        assert expected[generation - 1] == pytest.approx(published, abs=1e-3)
        alive = (found[generation - 1] > 0).sum(-1)
        assert abs(alive.mean() - surviving) < 5 * alive.std() / math.sqrt(400)


def test_regression_is_the_published_one():
    replace, accumulate = (collapse.regression(arm, 10) for arm in ("replace", "accumulate"))
    for errors, published in (
        (replace, {1: 1.02, 2: 2.06, 3: 3.12, 10: 9.75}),
        (accumulate, {1: 1.01, 2: 1.26, 3: 1.37, 10: 1.57}),
    ):
        for generation, value in published.items():
            found = errors[generation - 1]
            error = math.sqrt(2 / len(found)) * found.std()
            assert abs(found.mean() - value) < 5 * error, generation
    assert accumulate.mean(1).max() < collapse.regression_bound("accumulate", 10)
    assert replace[-1].mean() == pytest.approx(collapse.regression_bound("replace", 10), rel=0.1)


def test_a_fall_is_dated_by_the_first_generation_after_the_last_that_kept_enough():
    assert collapse.lost_from([10.0, 8.9, 9.0, 8.9, 1.0]) == 4
    assert collapse.lost_from([10.0, 8.9]) == 2 and collapse.lost_from([10.0, 8.9, 9.1]) == 4
    assert collapse.lost_from([10.0, 6.0, 4.0], share=0.5) == 3


@pytest.mark.parametrize(
    ("call", "key"),
    [
        (lambda: collapse.gaussian("forget", 3), "arm"),
        (lambda: collapse.gaussian("replace", 0), "generations"),
        (lambda: collapse.regression("kept", 3), "arm"),
        (lambda: collapse.regression("replace", 3, features=99), "features"),
        (lambda: collapse.frequencies(3, outcomes=1), "outcomes"),
    ],
)
def test_what_cannot_be_is_refused(call, key):
    with pytest.raises(ValueError, match=f"^{key}=.*accepted"):
        call()
