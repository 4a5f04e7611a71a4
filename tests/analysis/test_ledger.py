"""The numbers as the README defines them, on records written by hand."""

import math

import numpy as np
import pytest
from scipy import stats

from epx import record
from epx.analysis import anchors, frontier, ledger, measurement
from tests.records import finite_record, requential_record, write

LN2 = math.log(2)


def test_definitions_by_hand(tmp_path):
    """D = 30, sum of nats = 6, raw anchor = 4/40 = 0.1: S = 6 - 3, H = 3, MDL = 6."""
    run = write(tmp_path, [[3, 2, 1]], [[10, 10, 10]], [[1, 3]], [[20, 20]])
    measured = ledger.measure(run, "prequential", "raw")
    assert measured.coded_tok == 30
    np.testing.assert_allclose(measured.structure_nats, 3.0, rtol=1e-7)
    np.testing.assert_allclose(measured.entropy_nats, 3.0, rtol=1e-7)
    np.testing.assert_allclose(measured.structure_bits.mean, 3 / LN2)
    np.testing.assert_allclose(measured.description_bits.mean, 6 / LN2)
    np.testing.assert_allclose(measured.entropy_bits_per_tok.mean, 0.1 / LN2, rtol=1e-7)
    # ema halves the anchor, so S rises by 30 x 0.05.
    ema = ledger.measure(run, "prequential", "ema")
    np.testing.assert_allclose(ema.structure_nats, 4.5, rtol=1e-7)
    assert ledger.measure(run, "prequential").anchor_nats == ema.anchor_nats


def test_test_tokens_scale_entropy_but_not_structure(tmp_path):
    run = write(tmp_path, [[3, 2, 1]], [[10, 10, 10]], [[1, 3]], [[20, 20]])
    large = ledger.measure(run, "prequential", "raw", test_tokens=3000)
    np.testing.assert_allclose(large.structure_nats, 3.0, rtol=1e-7)
    np.testing.assert_allclose(large.entropy_nats, 300.0, rtol=1e-7)
    np.testing.assert_allclose(large.structure_bits_per_tok.mean, 3 / 3000 / LN2)


def test_compute_in_both_accountings(tmp_path):
    """60 processed tokens for 30 coded ones, as the held-out examples have 40 for 20. Exact:
    3 x 300 + (30 x 2 / 40 examples) x 100. The paper's: 6 x 10 x 60 + 2 x 10 x 30 x 2."""
    run = write(tmp_path, [[3, 2, 1]], [[10, 10, 10]], [[1, 3]], [[20, 20]])
    measured = ledger.measure(run, "prequential", "raw")
    assert measured.exact_flops == 900 + 1.5 * 100
    assert measured.paper_flops == 3600 + 1200


def test_negative_structure_is_reported(tmp_path):
    run = write(tmp_path, [[1, 1, 1]], [[10, 10, 10]], [[4, 4]], [[20, 20]])
    np.testing.assert_allclose(
        ledger.measure(run, "prequential", "raw").structure_nats, -3.0, rtol=1e-7
    )


def test_charges_are_summed_in_float64(tmp_path):
    """200,000 steps of 1e4 nats: a float32 running total would be off by far more than 1 nat."""
    steps = 200_000
    nats = np.full((1, steps), 1e4, np.float32)
    nats[0, ::2] += 0.001  # the next float32 is 0.00098 away
    run = write(tmp_path, nats, np.full((1, steps), 1000), [[1, 1]], [[1, 1]])
    exact = math.fsum(nats[0].tolist())
    assert abs(ledger.measure(run, "prequential", "raw").charged_nats[0] - exact) < 1e-5
    running = np.float32(0)
    for value in nats[0]:
        running += value
    assert abs(running - exact) > 1


def test_failed_member_is_left_out_and_named(tmp_path):
    finite = [[True, True, True], [True, False, False], [True, True, True]]
    nats = [[3, 2, 1], [3, np.nan, 0], [3, 2, 1]]
    run = write(tmp_path, nats, np.full((3, 3), 10), np.ones((3, 2)), np.full((3, 2), 20), finite)
    assert ledger.failures(run) == {1: 1}
    measured = ledger.measure(run, "prequential", "raw")
    assert measured.members.tolist() == [0, 2]
    assert np.isfinite(measured.structure_bits.mean)


def test_held_out_error_is_that_of_a_ratio():
    rng = np.random.default_rng(0)
    coded = rng.integers(5, 15, (400, 200))
    nats = rng.exponential(0.7, (400, 200)) * coded
    means, errors = anchors.mean_nats(nats, coded)
    np.testing.assert_allclose(errors.mean(), means.std(ddof=1), rtol=0.1)
    np.testing.assert_allclose(means.mean(), 0.7, rtol=0.02)


def test_the_interval_is_students_t():
    """Against scipy's own of the same values."""
    values = np.array([1.0, 2.5, 3.0, 7.0])
    low, high = stats.t.interval(0.95, 3, values.mean(), stats.sem(values))
    estimate = measurement.interval(values)
    np.testing.assert_allclose(estimate, (values.mean(), (high - low) / 2), rtol=1e-12)
    assert math.isnan(measurement.interval(values[:1], 0.5).half_width), "one member, no interval"
    alike = measurement.interval(np.array([1.0, 1.0]), 0.5)
    np.testing.assert_allclose(alike.half_width, 1.959964 * 0.5, rtol=1e-6)


COVERAGE_DRAWS = 4000  # the share of 0.95 has a standard error of 0.0034


def covered(values_RxM, shared_error=0.0):
    """The share of intervals that hold 0."""
    estimates = [measurement.interval(values, shared_error) for values in values_RxM]
    return np.mean([abs(e.mean) <= e.half_width for e in estimates])


def test_the_interval_of_a_proportion_is_exact():
    """Of ten of ten the lower end is where ten successes have a chance of 2.5 %."""
    assert measurement.proportion(10, 10) == pytest.approx((1, 1 - 0.025 ** (1 / 10)))
    assert measurement.proportion(0, 10) == pytest.approx((0, 1 - 0.025 ** (1 / 10)))
    low, high = stats.binomtest(9, 10).proportion_ci(0.95, "exact")
    assert measurement.proportion(9, 10) == pytest.approx((0.9, max(0.9 - low, high - 0.9)))


@pytest.mark.parametrize("seeds", [3, 5])
def test_intervals_of_seeds_hold_the_truth_in_95_percent(seeds):
    """An endless generator: the anchor's sampling error is part of the spread of the seeds."""
    rng = np.random.default_rng(seeds)
    values = rng.normal(0, 1, (COVERAGE_DRAWS, seeds)) + rng.normal(0, 3, (COVERAGE_DRAWS, seeds))
    assert covered(values) == pytest.approx(0.95, abs=0.015)


@pytest.mark.parametrize("seeds", [3, 5])
@pytest.mark.parametrize("shared_error", [0.1, 0.25, 1.0, 10.0])
def test_intervals_of_shared_held_out_examples_hold_the_truth_in_95_percent(seeds, shared_error):
    """A finite generator: all seeds have the same error of the anchor beside their own spread."""
    rng = np.random.default_rng(4)
    shared = rng.normal(0, shared_error, (COVERAGE_DRAWS, 1))
    values = shared + rng.normal(0, 1, (COVERAGE_DRAWS, seeds))
    assert covered(values, shared_error) == pytest.approx(0.95, abs=0.015)
    if shared_error == 1.0:
        assert covered(values) < 0.87, "without it they are too narrow"


@pytest.mark.parametrize("size", [None, 1000])
def test_the_anchor_error_is_added_where_members_share_their_held_out_examples(tmp_path, size):
    run = write(tmp_path, [[3, 2, 1], [3, 2, 2]], np.full((2, 3), 10), [[1, 3], [1, 3]],
                np.full((2, 2), 20))  # fmt: skip
    run.config["facts"]["size"] = size
    measured = ledger.measure(run, "excess", "raw")
    error = 30 * 1.0 / 20  # the mean of two, 1 and 3 nats an example of 20 tokens, errs by 1
    shared = 0.0 if size is None else error
    expected = measurement.interval(np.array([3.0, 4.0]) / LN2, shared / LN2)
    np.testing.assert_allclose(measured.structure_bits, expected, rtol=1e-6)
    tail = ledger.measure(run, "excess", "tail")
    assert not tail.structure_shared_error_nats.any(), "the online loss is of no held-out examples"
    assert tail.structure_bits.half_width == measurement.interval(tail.structure_nats / LN2)[1]


def test_an_unknown_or_missing_anchor_is_refused(tmp_path):
    run = write(tmp_path, [[3, 2, 1]], [[10, 10, 10]], [[1, 3]], [[20, 20]])
    with pytest.raises(ValueError, match=r"anchor='best'.*ema, raw, trend, tail, oracle"):
        ledger.measure(run, "prequential", "best")
    with pytest.raises(record.RecordError, match=r"no anchor oracle in .*ema, raw, tail"):
        ledger.measure(run, "prequential", "oracle")


def test_requential_definitions_by_hand(tmp_path):
    run = requential_record(tmp_path)
    measured = ledger.measure(run, "requential", "raw")
    assert measured.structure_nats == 3.5 and measured.coded_tok == measured.test_tok == 45
    np.testing.assert_allclose(measured.entropy_nats, 4.5, rtol=1e-7)
    np.testing.assert_allclose(measured.description_bits.mean, 8.0 / LN2)
    large = ledger.measure(run, "requential", "raw", test_tokens=1000)
    assert large.structure_nats == 3.5
    np.testing.assert_allclose(large.entropy_nats, 100, rtol=1e-7)
    tail = ledger.measure(run, "requential", "tail").anchor_nats  # of what the student was shown
    np.testing.assert_allclose(tail, 3.0 / 15)


def test_a_requential_record_holds_the_prequential_code_of_its_teacher(tmp_path):
    measured = ledger.measure(requential_record(tmp_path), "prequential", "raw")
    assert measured.charged_nats == 6 and measured.coded_tok == 20
    np.testing.assert_allclose(measured.structure_nats, 6 - 20 * 0.2, rtol=1e-6)
    # The compute is its own: two steps of 7 examples of 40 tokens, and coding 20 tokens.
    assert measured.exact_flops == 1800 + 20 * 2 / 40 * 100
    assert measured.paper_flops == 6 * 10 * (2 * 7 * 40) + 2 * 10 * 40


def test_frontier_points_use_the_code_of_each_record(tmp_path):
    """In bits of a coded set of 60 tokens: S as it is, below 0 too; of repeats the first pass; of a
    requential record the student's."""
    below = write(tmp_path / "a", [[1, 1, 1]], [[10, 10, 10]], [[4, 4]], [[20, 20]])
    found = frontier.points([(below, None)], 60, "raw")
    np.testing.assert_allclose(found.structure_bits, -3 / LN2)
    np.testing.assert_allclose(found.entropy_bits, 60 * 0.2 / LN2)
    assert found.flops.tolist() == [900 + 60 * 2 / 40 * 100]
    paper = frontier.points([(below, None)], 60, "raw", "paper")
    assert paper.flops.tolist() == [6 * 10 * 60 + 2 * 10 * 60 * 2]
    often = finite_record(tmp_path / "b", [3, 2, 1, 0.5], [0, 0, 1, 1])
    student = requential_record(tmp_path / "c")
    found = frontier.points([(often, None), (student, [0])], 60, "raw")
    np.testing.assert_allclose(found.structure_bits, [3 / LN2, 3.5 / LN2])
    assert found.run.tolist() == [0, 1] and found.step.tolist() == [4, 3]
    with pytest.raises(ValueError, match="accounting='both': accepted exact, paper"):
        frontier.points([(below, None)], 60, "raw", "both")


def test_the_coded_set_is_one_for_all_members(tmp_path):
    """Two students that learned from 20 and 40 tokens: H is of 30 for both, and its interval that
    of the loss."""
    run = write(tmp_path, [[3, 2], [3, 2]], [[10, 10], [20, 20]], [[2, 2], [2, 2]],
                np.full((2, 2), 20))  # fmt: skip
    measured = ledger.measure(run, "prequential", "raw")
    assert measured.test_tok.tolist() == [30, 30]
    np.testing.assert_allclose(measured.entropy_bits, (30 * 0.1 / LN2, 0), atol=1e-6)


def test_a_decodable_code_adds_its_overhead_to_the_kl(tmp_path):
    sent = ledger.decodable_bits(requential_record(tmp_path))
    np.testing.assert_allclose(sent.mean, (3.5 + 16) / LN2)


def test_a_prequential_record_holds_no_student(tmp_path):
    run = write(tmp_path, [[3, 2, 1]], [[10, 10, 10]], [[1, 3]], [[20, 20]])
    with pytest.raises(record.RecordError, match="holds no requential code"):
        ledger.measure(run, "requential")


def test_excess_charges_the_first_pass_alone(tmp_path):
    """Two steps of the first pass, 3 + 2 nats for 20 tokens; test loss 0.1: 5 - 2. The repeats, 1.5
    nats for 20 tokens, are charged by the prequential code as if they were new."""
    run = finite_record(tmp_path, [3, 2, 1, 0.5], [0, 0, 1, 1])
    measured = ledger.measure(run, "excess", "raw")
    np.testing.assert_allclose(measured.structure_nats, 3.0, rtol=1e-6)
    assert measured.coded_tok == measured.test_tok == 20
    np.testing.assert_allclose(measured.entropy_nats, 2.0, rtol=1e-6)
    np.testing.assert_allclose(
        ledger.measure(run, "prequential", "raw").structure_nats, 2.5, rtol=1e-6
    )
    # The compute is that of all passes.
    assert measured.exact_flops == 4 * 300 + 20 * 2 / 40 * 100


def test_excess_equals_the_prequential_area_without_repeats(tmp_path):
    run = finite_record(tmp_path, [3, 2, 1], [0, 0, 0], size=None)
    np.testing.assert_array_equal(
        ledger.measure(run, "excess").structure_nats,
        ledger.measure(run, "prequential").structure_nats,
    )


def test_excess_leaves_out_a_batch_with_a_repeated_example(tmp_path):
    """25 examples in batches of 10: the third is charged to nobody."""
    run = finite_record(tmp_path, [3, 2, 1], [0, 0, 1], size=25)
    measured = ledger.measure(run, "excess", "raw")
    np.testing.assert_allclose(measured.structure_nats, 3.0, rtol=1e-6)
    assert measured.coded_tok == 20


def test_surplus_is_the_charge_above_a_target_loss(tmp_path):
    """Held-out losses 0.1 after one step, 0.05 after two, 0 at last, and 3, 2 and 1 nats for 10
    tokens each: the surplus is what is above the target."""
    run = write(tmp_path, [[3, 2, 1]], [[10, 10, 10]], [[0, 0]], [[20, 20]])
    for step, nats in ((1, 2.0), (2, 1.0)):
        record.write_arrays(
            record.eval_path(tmp_path, step),
            dict(raw_nats=np.full((1, 2), nats), coded_tok=np.full((1, 2), 20)),
        )
    run = record.load(tmp_path)
    for target, nats in ((0.07, 6 - 30 * 0.07), (0.15, 3 + 2 - 20 * 0.15), (0.25, 3 - 10 * 0.25)):
        found = ledger.surplus(run, target)
        np.testing.assert_allclose(found.nats, nats)
        assert found.tok == (20 if target < 0.1 else 10) and found.reached
    never = ledger.surplus(run, -1.0)
    assert not never.reached and never.tok == 30
    np.testing.assert_allclose(never.nats, 6 + 30)


def test_noise_of_batches_is_no_surplus(tmp_path):
    """Charges that scatter about the target: above it only by chance."""
    rng = np.random.default_rng(0)
    nats = 10 * 0.5 + rng.normal(0, 2, (1, 2000))
    run = write(tmp_path, nats, np.full((1, 2000), 10), [[1, 3]], [[20, 20]])
    clipped = np.maximum(nats - 5, 0).sum()
    assert ledger.surplus(run, 0.5).nats < 0.15 * clipped


def test_a_failed_member_takes_no_anchor_from_the_others(tmp_path):
    """Its rows are zero from where it failed on."""
    finite = np.ones((2, 40), bool)
    finite[1, 20:] = False
    run = write(tmp_path, np.full((2, 40), 3.0) * finite, np.full((2, 40), 10) * finite,
                [[1, 3], [1, 3]], np.full((2, 2), 20), finite=finite)  # fmt: skip
    assert "tail" in ledger.anchors(run)
    assert ledger.measure(run, "prequential", "tail").anchor_nats == pytest.approx(0.3)


def test_the_surplus_of_a_requential_record_is_its_teachers(tmp_path):
    """6 nats for 20 tokens, a held-out loss of 0.2 at the end; the student's is 0.1."""
    run = requential_record(tmp_path)
    found = ledger.surplus(run, 0.15)
    assert not found.reached and found.tok == 20
    np.testing.assert_allclose(found.nats, 6 - 20 * 0.15)
    assert ledger.surplus(run, 0.25).reached


def test_decodable_bits_are_summed_up_to_the_evaluation(tmp_path):
    run = requential_record(tmp_path)
    np.testing.assert_allclose(ledger.decodable_bits(run, step=2).mean, (3.0 + 12) / LN2)


def test_an_earlier_evaluation_is_read_as_if_the_run_had_ended_there(tmp_path):
    write(tmp_path, [[3, 2, 1]], [[10, 10, 10]], [[1, 3]], [[20, 20]])
    evals = dict(raw_nats=np.full((1, 2), 3.0), coded_tok=np.full((1, 2), 20))
    record.write_arrays(record.eval_path(tmp_path, 2), evals | {"ema_nats": evals["raw_nats"]})
    early = ledger.measure(record.load(tmp_path), "prequential", "raw", step=2)
    np.testing.assert_allclose(early.structure_nats, 5 - 20 * 0.15, rtol=1e-6)
    assert early.coded_tok == 20
