"""The numbers as the README defines them, on records written by hand."""

import math

import numpy as np
import pytest
from scipy import stats

from epx import record
from epx.analysis import frontier, ledger, measurement
from epx.report import summary, tables

LN2 = math.log(2)


def write(path, nats, coded, raw, heldout_coded, finite=None, members=None, **config):
    """A record of one chunk: nats and coded of shape (M, steps), raw of shape (M, E)."""
    nats, coded = np.asarray(nats, np.float32), np.asarray(coded, np.int32)
    steps = nats.shape[1]
    facts = dict(
        vocab=2, size=None, length=40, parameters=10, forward_flops=100.0, learns_by_gradient=True
    )
    record.write_json(path / "env.json", {})
    record.write_json(
        path / "config.json",
        {"facts": facts, "eval": {"test_tokens": None}, "members": members, **config},
    )
    rows = dict(
        nats=nats,
        coded_tok=coded,
        all_tok=2 * coded,
        flops=np.full(nats.shape, 300.0, np.float32),
        finite=np.ones(nats.shape, bool) if finite is None else np.asarray(finite),
        passes=np.zeros(nats.shape, np.int32),
        seconds=np.ones(nats.shape),
    )
    record.write_arrays(record.row_path(path, 0), rows)
    evals = dict(raw_nats=np.asarray(raw, np.float32), coded_tok=np.asarray(heldout_coded))
    evals["ema_nats"] = evals["raw_nats"] / 2
    record.write_arrays(record.eval_path(path, steps), evals)
    return record.load(path)


def test_definitions_by_hand(tmp_path):
    """D = 30, sum of nats = 6, raw anchor = 4/40 = 0.1: S = 6 - 3, H = 3, MDL = 6."""
    run = write(tmp_path, [[3, 2, 1]], [[10, 10, 10]], [[1, 3]], [[20, 20]])
    measured = ledger.prequential(run, "raw")
    assert measured.coded_tok == 30
    np.testing.assert_allclose(measured.structure_nats, 3.0, rtol=1e-7)
    np.testing.assert_allclose(measured.entropy_nats, 3.0, rtol=1e-7)
    np.testing.assert_allclose(measured.structure_bits.mean, 3 / LN2)
    np.testing.assert_allclose(measured.description_bits.mean, 6 / LN2)
    np.testing.assert_allclose(measured.entropy_bits_per_tok.mean, 0.1 / LN2, rtol=1e-7)
    # ema halves the anchor, so S rises by 30 x 0.05.
    ema = ledger.prequential(run, "ema")
    np.testing.assert_allclose(ema.structure_nats, 4.5, rtol=1e-7)
    assert ledger.prequential(run).anchor_nats == ema.anchor_nats


def test_test_tokens_scale_entropy_but_not_structure(tmp_path):
    run = write(tmp_path, [[3, 2, 1]], [[10, 10, 10]], [[1, 3]], [[20, 20]])
    large = ledger.prequential(run, "raw", test_tokens=3000)
    np.testing.assert_allclose(large.structure_nats, 3.0, rtol=1e-7)
    np.testing.assert_allclose(large.entropy_nats, 300.0, rtol=1e-7)
    np.testing.assert_allclose(large.structure_bits_per_tok.mean, 3 / 3000 / LN2)


def test_compute_in_both_accountings(tmp_path):
    """60 processed tokens for 30 coded ones, as the held-out examples have 40 for 20. Exact:
    3 x 300 + (30 x 2 / 40 examples) x 100. The paper's: 6 x 10 x 60 + 2 x 10 x 30 x 2."""
    run = write(tmp_path, [[3, 2, 1]], [[10, 10, 10]], [[1, 3]], [[20, 20]])
    measured = ledger.prequential(run, "raw")
    assert measured.exact_flops == 900 + 1.5 * 100
    assert measured.paper_flops == 3600 + 1200


def test_negative_structure_is_reported(tmp_path):
    run = write(tmp_path, [[1, 1, 1]], [[10, 10, 10]], [[4, 4]], [[20, 20]])
    np.testing.assert_allclose(ledger.prequential(run, "raw").structure_nats, -3.0, rtol=1e-7)


def test_float64_where_float32_would_lose_the_code(tmp_path):
    """200,000 steps of 1e4 nats: a float32 running total would be off by far more than 1 nat."""
    steps = 200_000
    nats = np.full((1, steps), 1e4, np.float32)
    nats[0, ::2] += 0.001  # the next float32 is 0.00098 away
    run = write(tmp_path, nats, np.full((1, steps), 1000), [[1, 1]], [[1, 1]])
    exact = math.fsum(nats[0].tolist())
    assert abs(ledger.prequential(run, "raw").charged_nats[0] - exact) < 1e-5
    running = np.float32(0)
    for value in nats[0]:
        running += value
    assert abs(running - exact) > 1


def test_failed_member_is_left_out_and_named(tmp_path):
    finite = [[True, True, True], [True, False, False], [True, True, True]]
    nats = [[3, 2, 1], [3, np.nan, 0], [3, 2, 1]]
    run = write(tmp_path, nats, np.full((3, 3), 10), np.ones((3, 2)), np.full((3, 2), 20), finite)
    assert ledger.failures(run) == {1: 1}
    measured = ledger.prequential(run, "raw")
    assert measured.members.tolist() == [0, 2]
    assert np.isfinite(measured.structure_bits.mean)


def test_heldout_error_is_that_of_a_ratio():
    rng = np.random.default_rng(0)
    coded = rng.integers(5, 15, (400, 200))
    nats = rng.exponential(0.7, (400, 200)) * coded
    means, errors = measurement.heldout(nats, coded)
    np.testing.assert_allclose(errors.mean(), means.std(ddof=1), rtol=0.1)
    np.testing.assert_allclose(means.mean(), 0.7, rtol=0.02)


def test_student_t_against_scipy():
    for freedom in [*range(1, 40), 99, 1000]:
        np.testing.assert_allclose(
            measurement.student_t(freedom), stats.t.ppf(0.975, freedom), rtol=1e-9
        )


def test_interval_covers_and_needs_two():
    rng = np.random.default_rng(1)
    draws = rng.normal(3.0, 2.0, (4000, 4))
    found = [measurement.interval(row, np.zeros(4)) for row in draws]
    covered = np.mean([abs(e.mean - 3.0) <= e.half_width for e in found])
    assert 0.94 < covered < 0.96
    assert math.isnan(measurement.interval(np.array([1.0]), np.zeros(1)).half_width)
    wide = measurement.interval(np.array([1.0, 1.0]), np.array([3.0, 4.0]))
    np.testing.assert_allclose(wide.half_width, 1.96 * 5 / 2)


@pytest.mark.parametrize("together", [False, True])
def test_interval_covers_the_anchor_error(together):
    """Four members without spread of their own, measured on their own or on shared examples."""
    rng = np.random.default_rng(2)
    errors = np.full(4, 0.5)
    shift = rng.normal(0, 0.5, (4000, 1 if together else 4)) + np.zeros(4)
    found = [measurement.interval(1.0 + row, errors, together) for row in shift]
    covered = np.mean([abs(e.mean - 1.0) <= e.half_width for e in found])
    assert 0.945 < covered <= 1.0


def test_an_anchor_that_is_not_there(tmp_path):
    run = write(tmp_path, [[3, 2, 1]], [[10, 10, 10]], [[1, 3]], [[20, 20]])
    with pytest.raises(ValueError, match=r"anchor=best.*ema, raw, tail, oracle"):
        ledger.prequential(run, "best")
    with pytest.raises(record.RecordError, match=r"no anchor oracle in .*ema, raw, tail"):
        ledger.prequential(run, "oracle")


def test_members_of_one_record_become_cells(tmp_path):
    members = [{"generator.rule": r, "run.seed": s} for r in (15, 54) for s in (0, 1)]
    nats = [[3, 2, 1], [3, 2, 2], [6, 2, 1], [6, 2, 2]]
    run = write(
        tmp_path, nats, np.full((4, 3), 10), np.ones((4, 2)), np.full((4, 2), 20),
        members=members, generator={"name": "eca", "rule": 0}, observer={"name": "counts"},
    )  # fmt: skip
    found = summary.cells([run], "raw")
    assert [cell["world"] for cell in found] == ["eca rule=15", "eca rule=54"]
    assert [cell["seeds"] for cell in found] == [2, 2]
    assert found[1]["S_bits"][0] > found[0]["S_bits"][0]
    assert "eca rule=54" in tables.table(found)
    assert "tail:" in tables.sensitivity(found)


def test_bits_per_byte_of_a_source(tmp_path):
    """Beside bits per token, in a column of their own where a world has a source."""
    run = write(tmp_path, [[3, 2, 1], [3, 2, 2]], np.full((2, 3), 10), np.ones((2, 2)),
                np.full((2, 2), 20), generator={"name": "text"}, observer={})  # fmt: skip
    (plain,) = summary.cells([run], "raw")
    assert not [key for key in plain if key.endswith("_per_byte")]
    assert "bit/byte" not in tables.table([plain])
    run.config["facts"]["source_bytes_per_tok"] = 2.5
    (cell,) = summary.cells([run], "raw")
    for name in ("S", "H"):
        per_byte = np.array(cell[f"{name}_bits_per_byte"])
        np.testing.assert_allclose(per_byte, np.array(cell[f"{name}_bits_per_tok"]) / 2.5)
    table = tables.table([cell, plain]).splitlines()
    assert "H bit/byte" in table[0] and len(table) == 4
    run = write(
        tmp_path, [[3, 2, 1]], [[10, 10, 10]], [[1, 3]], [[20, 20]], generator={}, observer={}
    )
    run.config["facts"]["source_bytes_per_tok"] = 2.5
    assert summary.cells([run])[0]["H_bits_per_byte"][1] is None, "one seed, no interval"


def rewrite(run, **rows):
    """The same record with rows added or replaced."""
    record.write_arrays(record.row_path(run.path, 0), run.rows | rows)
    return record.load(run.path)


def requential_record(tmp_path):
    """Teacher: 6 nats for 20 tokens, waiting once, anchor 0.2. Student: KL 3.5 for 45 tokens, its
    own anchor 0.1."""
    code = {"name": "requential", "message": None, "teacher_steps": 3}
    run = write(tmp_path, [[4, 2, 0]], [[10, 10, 0]], [[1, 3]], [[20, 20]],
                run={"batch": 7}, code=code)  # fmt: skip
    steps = dict(
        kl_nats=[[2.0, 1.0, 0.5]], sampled_tok=[[15, 15, 15]], sampled_nats=[[9.0, 6.0, 3.0]],
        messages=[[1, 1, 1]], overhead_nats=[[7.0, 5.0, 4.0]],
        teacher_flops=[[900.0, 900.0, 0.0]], draw_flops=[[500.0] * 3],
    )  # fmt: skip
    run = rewrite(run, **{name: np.array(value) for name, value in steps.items()})
    evals = run.evals[3]
    for name in ("raw", "ema"):
        evals[f"teacher_{name}_nats"] = 2 * evals[f"{name}_nats"]
    record.write_arrays(record.eval_path(tmp_path, 3), evals)
    return record.load(tmp_path)


def test_requential_definitions_by_hand(tmp_path):
    run = requential_record(tmp_path)
    measured = ledger.requential(run, "raw")
    assert measured.structure_nats == 3.5 and measured.coded_tok == measured.test_tok == 45
    np.testing.assert_allclose(measured.entropy_nats, 4.5, rtol=1e-7)
    np.testing.assert_allclose(measured.description_bits.mean, 8.0 / LN2)
    large = ledger.requential(run, "raw", test_tokens=1000)
    assert large.structure_nats == 3.5
    np.testing.assert_allclose(large.entropy_nats, 100, rtol=1e-7)
    tail = ledger.requential(run, "tail").anchor_nats  # of what the student was shown
    np.testing.assert_allclose(tail, 3.0 / 15)


def test_a_requential_record_holds_the_prequential_code_of_its_teacher(tmp_path):
    measured = ledger.prequential(requential_record(tmp_path), "raw")
    assert measured.charged_nats == 6 and measured.coded_tok == 20
    np.testing.assert_allclose(measured.structure_nats, 6 - 20 * 0.2, rtol=1e-6)
    # The compute is its own: two lessons of 7 examples of 40 tokens, and coding 20 tokens.
    assert measured.exact_flops == 1800 + 20 * 2 / 40 * 100
    assert measured.paper_flops == 6 * 10 * (2 * 7 * 40) + 2 * 10 * 40


def test_a_requential_cell_says_what_its_messages_are_and_which_lessons_are_missing(tmp_path):
    (cell,) = summary.cells([requential_record(tmp_path)], "raw")
    assert cell["message_examples"] == 7 and cell["messages"] == 3
    assert cell["teacher_flops"] == 1800 + 1500 and cell["exact_flops"] == 900 + 45 * 2 / 40 * 100
    said = tables.table([cell])
    assert "3 messages of 7 examples" in said and "S_req decodable, bit" in said
    assert "its teachers had 2 to 2 of code.teacher_steps=3" in said


def test_points_of_a_frontier_are_what_each_records_own_code_says(tmp_path):
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
    with pytest.raises(ValueError, match="accounting=both: accepted are exact, paper"):
        frontier.points([(below, None)], 60, "raw", "both")


def test_the_coded_set_is_one_for_all_members(tmp_path):
    """Two students that learned from 20 and 40 tokens: H is of 30 for both, and its interval that
    of the loss."""
    run = write(tmp_path, [[3, 2], [3, 2]], [[10, 10], [20, 20]], [[2, 2], [2, 2]],
                np.full((2, 2), 20))  # fmt: skip
    measured = ledger.prequential(run, "raw")
    assert measured.test_tok.tolist() == [30, 30]
    np.testing.assert_allclose(measured.entropy_bits, (30 * 0.1 / LN2, 0), atol=1e-6)
    (cell,) = summary.cells([run], "raw")
    assert cell["H_bits"][0] == pytest.approx(cell["H_bits_per_tok"][0] * cell["test_tok"])


def test_what_is_sent_is_longer_than_what_it_tells(tmp_path):
    sent = ledger.decodable_bits(requential_record(tmp_path))
    np.testing.assert_allclose(sent.mean, (3.5 + 16) / LN2)


def test_a_prequential_record_holds_no_student(tmp_path):
    run = write(tmp_path, [[3, 2, 1]], [[10, 10, 10]], [[1, 3]], [[20, 20]])
    with pytest.raises(record.RecordError, match="holds no requential code"):
        ledger.requential(run)


def finite_record(tmp_path, nats, passes, size=20, batch=10):
    run = write(tmp_path, [nats], [[10] * len(nats)], [[1, 3]], [[20, 20]],
                run={"batch": batch, "examples": size})  # fmt: skip
    return rewrite(run, passes=np.array([passes]))


def test_excess_charges_the_first_pass_alone(tmp_path):
    """Two steps of the first pass, 3 + 2 nats for 20 tokens; test loss 0.1: 5 - 2. The repeats, 1.5
    nats for 20 tokens, are charged by the prequential code as if they were new."""
    run = finite_record(tmp_path, [3, 2, 1, 0.5], [0, 0, 1, 1])
    measured = ledger.excess(run, "raw")
    np.testing.assert_allclose(measured.structure_nats, 3.0, rtol=1e-6)
    assert measured.coded_tok == measured.test_tok == 20
    np.testing.assert_allclose(measured.entropy_nats, 2.0, rtol=1e-6)
    np.testing.assert_allclose(ledger.prequential(run, "raw").structure_nats, 2.5, rtol=1e-6)
    # The compute is that of all passes.
    assert measured.exact_flops == 4 * 300 + 20 * 2 / 40 * 100


def test_excess_is_the_prequential_area_where_all_is_new(tmp_path):
    run = finite_record(tmp_path, [3, 2, 1], [0, 0, 0], size=None)
    np.testing.assert_array_equal(
        ledger.excess(run).structure_nats, ledger.prequential(run).structure_nats
    )


def test_a_batch_that_holds_an_example_again_is_no_part_of_the_excess(tmp_path):
    """25 examples in batches of 10: the third is charged to nobody."""
    run = finite_record(tmp_path, [3, 2, 1], [0, 0, 1], size=25)
    measured = ledger.excess(run, "raw")
    np.testing.assert_allclose(measured.structure_nats, 3.0, rtol=1e-6)
    assert measured.coded_tok == 20


def test_what_is_seen_again_is_no_part_of_a_description(tmp_path):
    """S + H of repeated data is what the first pass was charged, whatever repeats were."""
    run = finite_record(tmp_path, [3, 2, 1, 0.5], [0, 0, 1, 1])
    (cell,) = summary.cells([run], "raw")
    np.testing.assert_allclose(cell["MDL_bits"][0], 5 / LN2)
    assert cell["test_tok"] == 20 and cell["S_bits"] == cell["EDL_bits"] != cell["S_preq_bits"]
    for name in ("EDL", "S_preq"):
        assert cell[f"{name}_bits"][0] == pytest.approx(20 * cell[f"{name}_bits_per_tok"][0])
    assert "S_preq charges repeats" in tables.table([cell])
    # EDL/n is of the first pass, whatever set is coded; its held-out error is known of one seed.
    (cell,) = summary.cells([run], "raw", test_tokens=1000)
    assert cell["EDL_bits_per_tok"][0] == pytest.approx(3 / LN2 / 20)
    assert cell["EDL_bits"][1] is None
    assert cell["EDL_heldout_error_bits"] == pytest.approx(20 * 0.05 / LN2)
    assert "EDL held-out error, bit" in tables.table([cell])


def test_the_error_of_the_anchor_counts_with_every_token_that_it_is_taken_off(tmp_path):
    """n x 1.96 standard errors of the held-out loss, and the spread of the seeds, in quadrature."""
    run = write(tmp_path, [[3, 2, 1], [3, 2, 2]], np.full((2, 3), 10), [[1, 3], [1, 3]],
                np.full((2, 2), 20))  # fmt: skip
    found = ledger.excess(run, "raw").structure_bits
    each = 30 * 1.0 / 20  # the mean of two, 1 and 3 nats an example of 20 tokens, errs by 1
    spread = measurement.student_t(1) * np.std([6, 7], ddof=1) / np.sqrt(2)
    expected = np.hypot(spread, 1.96 * each / np.sqrt(2)) / LN2
    assert found.half_width == pytest.approx(expected, rel=1e-6)


def test_surplus_is_what_it_costs_to_get_good_enough(tmp_path):
    """Held-out losses 0.1 after one step, 0.05 after two, 0 at last, and 3, 2 and 1 nats for 10
    tokens each: whatever is above what is wanted."""
    run = write(tmp_path, [[3, 2, 1]], [[10, 10, 10]], [[0, 0]], [[20, 20]])
    for step, nats in ((1, 2.0), (2, 1.0)):
        record.write_arrays(
            record.eval_path(tmp_path, step),
            dict(raw_nats=np.full((1, 2), nats), coded_tok=np.full((1, 2), 20)),
        )
    run = record.load(tmp_path)
    for wanted, nats in ((0.07, 6 - 30 * 0.07), (0.15, 3 + 2 - 20 * 0.15), (0.25, 3 - 10 * 0.25)):
        found = ledger.surplus(run, wanted)
        np.testing.assert_allclose(found.nats, nats)
        assert found.tok == (20 if wanted < 0.1 else 10) and found.reached
    never = ledger.surplus(run, -1.0)
    assert not never.reached and never.tok == 30
    np.testing.assert_allclose(never.nats, 6 + 30)


def test_a_batch_that_is_better_by_chance_is_no_surplus(tmp_path):
    """Charges that scatter about what is good enough: above it only by chance."""
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
    assert ledger.prequential(run, "tail").anchor_nats == pytest.approx(0.3)


def test_the_surplus_of_a_requential_record_is_its_teachers(tmp_path):
    """6 nats for 20 tokens, a held-out loss of 0.2 at the end; the student's is 0.1."""
    run = requential_record(tmp_path)
    found = ledger.surplus(run, 0.15)
    assert not found.reached and found.tok == 20
    np.testing.assert_allclose(found.nats, 6 - 20 * 0.15)
    assert ledger.surplus(run, 0.25).reached


def test_what_is_sent_is_counted_up_to_the_evaluation(tmp_path):
    run = requential_record(tmp_path)
    np.testing.assert_allclose(ledger.decodable_bits(run, step=2).mean, (3.0 + 12) / LN2)


def test_an_earlier_evaluation_is_read_as_if_the_run_had_ended_there(tmp_path):
    write(tmp_path, [[3, 2, 1]], [[10, 10, 10]], [[1, 3]], [[20, 20]])
    evals = dict(raw_nats=np.full((1, 2), 3.0), coded_tok=np.full((1, 2), 20))
    record.write_arrays(record.eval_path(tmp_path, 2), evals | {"ema_nats": evals["raw_nats"]})
    early = ledger.prequential(record.load(tmp_path), "raw", step=2)
    np.testing.assert_allclose(early.structure_nats, 5 - 20 * 0.15, rtol=1e-6)
    assert early.coded_tok == 20
