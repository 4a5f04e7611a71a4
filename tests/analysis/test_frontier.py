"""The frontier against what can be known of it: random sets of points, convex hulls by another
algorithm, and curves of a scaling law whose exact optimum is known."""

import numpy as np
import pytest

from epx.analysis import frontier, scaling
from epx.analysis.frontier import Points

LAW = scaling.convert(scaling.PUBLISHED["language"])
SETS = range(200)


def random_points(seed, runs=6, seeds=1):
    """Whole numbers, so that ties are common and sums are exact; some S are negative."""
    rng = np.random.default_rng(seed)
    n = int(rng.integers(1, 60))
    return Points(
        run=rng.integers(0, runs, n),
        seed=rng.integers(0, seeds, n),
        step=np.arange(n),
        flops=rng.integers(1, 40, n).astype(float),
        structure_bits=rng.integers(-20, 60, n).astype(float),
        entropy_bits=rng.integers(0, 100, n).astype(float),
    )


def test_more_data_never_choose_a_shorter_model_or_a_worse_one():
    """The exchange argument, appendix B.4.2: of any set of programs within a budget, the one that
    tells more tokens is never shorter, and its loss is never higher."""
    changes = 0
    for seed in SETS:
        rng = np.random.default_rng(seed)
        lengths, losses = rng.uniform(0, 30, (2, 25))
        flops = rng.integers(1, 5, 25).astype(float)
        chosen = []
        for size in np.sort(rng.uniform(0.01, 30, 40)):
            found = Points(np.arange(25), *np.zeros((2, 25), int), flops, lengths, size * losses)
            best = frontier.frontier(found).take([-1])
            assert best.description_bits == found.description_bits.min()
            chosen.append((best.structure_bits[0], best.entropy_bits[0] / size))
        model, loss = np.array(chosen).T
        assert (np.diff(model) >= 0).all() and (np.diff(loss) <= 1e-12).all()
        changes += len(set(model)) > 1
    assert changes > len(SETS) / 2


def test_description_never_gets_longer_with_compute():
    for found in map(random_points, SETS):
        kept = frontier.frontier(found)
        assert (np.diff(kept.flops) > 0).all()
        assert (np.diff(kept.description_bits) <= 0).all()
        assert len(np.unique(kept.run)) == len(kept.run)


def test_the_hull_is_below_everything_that_it_leaves_out():
    """By its definition: no point lies below it, and its slopes rise."""
    for found in map(random_points, SETS):
        bits = found.description_bits
        index = frontier.hull(found.flops, bits)
        x, y = found.flops[index], bits[index]
        assert x[0] == found.flops.min() and y[-1] == bits.min()
        slopes = np.diff(y) / np.diff(x)
        assert (np.diff(slopes) > 0).all()
        inside = found.flops <= x[-1]
        assert (bits[inside] >= np.interp(found.flops[inside], x, y) - 1e-9).all()


def test_a_tolerance_admits_points_above_the_lowest():
    flops, bits = np.array([1.0, 2.0, 3.0]), np.array([100.0, 50.0, 50.9])
    assert frontier.hull(flops, bits).tolist() == [0, 1]
    assert frontier.hull(flops, bits, tolerance=0.02).tolist() == [0, 1, 2]
    below = np.array([-10.0, -100.0, -99.0])
    assert frontier.hull(flops, below, tolerance=0.02).tolist() == [0, 1, 2]


def test_of_each_run_the_hull_point_of_median_compute_is_kept():
    flops = np.arange(1.0, 8.0)
    description = (8 - flops) ** 2
    run = np.array([0, 0, 0, 1, 1, 1, 1])
    found = Points(run, 0 * run, 0 * run, flops, 0 * flops, description)
    assert frontier.frontier(found).flops.tolist() == [2.0, 5.0]


def test_values_are_of_the_last_point_within_the_budget():
    kept = Points(*np.array([[0, 1], [0, 0], [0, 0], [10, 20], [-1, 5], [9, 2]], float))
    structure, entropy = frontier.at(kept, np.array([9.0, 10.0, 19.0, 20.0, 1e9]))
    np.testing.assert_array_equal(structure, [np.nan, -1, -1, 5, 5])
    np.testing.assert_array_equal(entropy, [np.nan, 9, 9, 2, 2])


def chinchilla_curves(test_tokens):
    """Training curves of the law, charged by its own prequential area."""
    sizes, tokens = np.geomspace(1e5, 1e11, 49), np.geomspace(1e5, 10 * test_tokens, 200)
    run, tokens = (axis.reshape(-1) for axis in np.meshgrid(range(len(sizes)), tokens))
    flops = 6 * sizes[run] * tokens + 2 * sizes[run] * test_tokens
    entropy = test_tokens * LAW.loss_nats(sizes[run], tokens)
    return Points(run, 0 * run, flops, flops, LAW.structure_nats(tokens), entropy)


def test_hull_and_median_track_the_exact_frontier_of_a_known_law():
    """Figure 10 of the paper: a coded set of 1e8 tokens. Structure is the delicate one: the median
    point of a run is near its best budget, not at it."""
    kept = frontier.frontier(chinchilla_curves(1e8))
    budgets = kept.flops[(kept.flops > 1e14) & (kept.flops < 1e18)]
    assert len(budgets) > 20
    structure, entropy = frontier.at(kept, budgets)
    exact = [scaling.split(LAW, flops, 1e8) for flops in budgets]
    np.testing.assert_allclose(structure, [one.structure_nats for one in exact], rtol=0.04)
    total = np.array([one.structure_nats + one.entropy_nats for one in exact])
    found = structure + entropy
    assert (found >= total * (1 - 1e-9)).all(), "shorter than the shortest"
    np.testing.assert_allclose(found, total, rtol=0.005)


def test_negative_structure_is_kept():
    found = Points(*np.array([[0, 0], [0, 0], [0, 1], [1, 2], [3, -4], [10, 9]], float))
    kept = frontier.frontier(found._replace(run=np.array([0, 1])))
    assert kept.structure_bits.tolist() == [3, -4]


def test_seeds_are_averaged_before_the_hull():
    """Also where they took unequal compute to the same step."""
    found = Points(
        np.array([0, 0, 1]), np.array([0, 1, 0]), np.array([9, 9, 9]), np.array([1.0, 1.5, 2.0]),
        np.array([2.0, 4.0, 5.0]), np.array([10.0, 20.0, 1.0]),
    )  # fmt: skip
    mean = frontier.mean_over_seeds(found)
    assert mean.structure_bits.tolist() == [3, 5] and mean.entropy_bits.tolist() == [15, 1]
    assert mean.flops.tolist() == [1.25, 2.0] and mean.step.tolist() == [9, 9]


@pytest.mark.slow
def test_intervals_cover_what_seeds_scatter():
    """Many experiments on a known frontier: most intervals hold the truth, and are no wider than
    what five seeds, each off by a hundredth, and the choice among runs make of it."""
    true = chinchilla_curves(1e8)
    true = true.take(np.flatnonzero(np.arange(len(true.run)) % 5 == 0))
    budgets = np.array([1e16])
    exact = frontier.at(frontier.frontier(true), budgets)[1][0]
    held, half_widths = 0, []
    for draw in range(40):
        rng = np.random.default_rng(draw)
        seeds = []
        for seed in range(5):
            offset = rng.normal(0, 0.01, true.run.max() + 1)[true.run]
            noisy = true.entropy_bits * (1 + offset)
            seeds.append(true._replace(seed=0 * true.run + seed, entropy_bits=noisy))
        found = Points(*(np.concatenate(arrays) for arrays in zip(*seeds)))
        _, entropy = frontier.resampled(found, budgets, seed=draw, draws=60)
        held += abs(entropy[0].mean - exact) <= entropy[0].half_width
        half_widths.append(entropy[0].half_width / exact)
    assert held >= 34 and np.median(half_widths) < 0.1, (held, np.median(half_widths))


def test_budgets_begin_where_something_is_kept():
    found = random_points(5, runs=3)
    drawn = frontier.curve(found, 1e3)
    assert drawn.flops[0] == frontier.frontier(found).flops[0] and len(drawn.flops) == 12
    assert drawn.flops[-1] == found.flops.max()
    assert np.isfinite([bits.mean for bits in drawn.structure_bits]).all()
    one = found.take(np.array([0]))
    drawn = frontier.curve(one._replace(flops=np.array([1.4840320921e9])), 1e3)
    assert drawn.flops.tolist() == [1.4840320921e9], "one point is one budget"
    assert drawn.structure_bits[0].mean == one.structure_bits[0]


def test_one_run_of_one_seed_has_no_interval():
    found = random_points(3, runs=1)
    structure, entropy = frontier.resampled(found, np.array([0.5, 100.0]), seed=0, draws=10)
    assert np.isnan(structure[0].mean) and np.isnan(structure[0].half_width)
    assert np.isfinite(structure[1].mean) and np.isnan(structure[1].half_width)
    assert np.isnan(entropy[1].half_width)
