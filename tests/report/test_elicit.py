"""Woken or taught from records whose EDL is set by hand."""

import numpy as np
import pytest

from epx import record
from epx.analysis.exact import closed_forms
from epx.analysis.measurement import LN2
from epx.record import RecordError
from epx.report import elicit, summary
from tests import binaries, records

SIZES = (1, 2, 5, 10, 20, 50, 100)
SEEDS = 5


def tuning(folder, bits, label="task", batch=1, **facts):
    """A record for each size: its EDL is `bits`, give or take 2 % by seed, above a loss of 0."""
    found = []
    for n, total in zip(SIZES, bits):
        spread = np.linspace(0.98, 1.02, SEEDS)[:, None]
        nats = total * LN2 * spread * np.ones((SEEDS, n)) / n
        path = folder / f"{label}-{n:04d}"
        run = records.write(
            path, nats, np.ones((SEEDS, n)), np.zeros((SEEDS, 4)), np.ones((SEEDS, 4), int),
            members=[{"run.seed": seed} for seed in range(SEEDS)],
            run={"seed": 0, "steps": n, "examples": n * batch, "batch": batch},
            label={"generator": label, "observer": "learner"},
        )  # fmt: skip
        found.append(run)
    return summary.runs(found)


def test_edl_is_that_of_the_rows_and_the_verdict_is_printed(tmp_path):
    taught = closed_forms.coupon_collector(np.array(SIZES), concepts=10)
    woken = closed_forms.elicitation(np.array(SIZES), gap=2.0, kept=0.25)
    runs = tuning(tmp_path, taught, "new") + tuning(tmp_path, woken, "known")
    new, known = elicit.tunings(runs)
    for found, bits in ((new, taught), (known, woken)):
        np.testing.assert_allclose(found.curves[2].bits, bits, rtol=1e-5)
        assert found.total_bits.mean == pytest.approx(bits[-1], rel=1e-5)
        assert found.bits_per_parameter.mean == pytest.approx(bits[-1] / 10, rel=1e-5)
    assert (new.verdict.shape, known.verdict.shape) == ("taught", "woken")
    assert new.verdict.peak_examples == (20, 20, 20) and known.verdict.peak_examples == (1, 1, 1)
    printed = elicit.table([new, known])
    assert printed.splitlines()[2].split()[-1] == "taught"
    assert "one evaluation" in printed, "nothing was stopped early"


def test_the_start_is_counted_in_batches(tmp_path):
    """A peak at 5 batches is at the start, of however many examples they are."""
    bits = closed_forms.coupon_collector(np.array(SIZES), concepts=3)
    (found,) = elicit.tunings(tuning(tmp_path, bits, batch=16))
    assert found.verdict.shape == "woken" and found.verdict.peak_examples == (80, 80, 80)


def test_the_floor_is_the_best_evaluation_after_the_first_pass(tmp_path):
    """Of 4 examples in batches of 2: evaluations after 1, 2, 3 steps with losses 0, 0.1, 0.3."""
    run = records.write(
        tmp_path, [[2.0, 2.0, 0.5]], [[2, 2, 2]], [[0.6] * 4], [[1] * 4],
        members=[{"run.seed": 3}], run={"seed": 0, "steps": 3, "examples": 4, "batch": 2},
    )  # fmt: skip
    rows = run.rows | {"passes": np.array([[0, 0, 1]])}
    record.write_arrays(record.row_path(tmp_path, 0), rows)
    for step, loss in ((1, 0.0), (2, 0.1)):
        evals = {name: np.full((1, 4), loss, np.float32) for name in ("raw_nats", "ema_nats")}
        record.write_arrays(
            record.eval_path(tmp_path, step), evals | {"coded_tok": np.ones((1, 4))}
        )
    (run,) = summary.runs([record.load(tmp_path)])
    found = elicit.excess_bits(run)
    assert found == {3: pytest.approx((4.0 - 4 * 0.1) / LN2, rel=1e-5)}


def test_what_is_saved_has_one_floor_for_both(tmp_path):
    """Nothing is learned from nothing, at 1 nat a token; with help the loss is halved."""
    found = []
    for name, nats in (("scratch", [10.0, 10.0, 10.0]), ("helped", [10.0, 5.0, 5.0])):
        run = records.write(
            tmp_path / name, [nats], [[10] * 3], [[2 * nats[-1] / 10] * 4], [[1] * 4],
            members=[{"run.seed": 3}], run={"seed": 0, "steps": 3, "batch": 2},
        )  # fmt: skip
        found += summary.runs([run])
    scratch, helped = found
    own = [elicit.excess_bits(run)[3] * LN2 for run in found]
    assert own == pytest.approx([0.0, 5.0], rel=1e-5), "what is not learned has no EDL"
    above = [
        elicit.excess_bits(scratch, [helped])[3] * LN2,
        elicit.excess_bits(helped, [scratch])[3] * LN2,
    ]
    assert above == pytest.approx([15.0, 5.0], rel=1e-5)
    saved = elicit.saved_bits(scratch, helped)
    assert saved == {3: pytest.approx((above[0] - above[1]) / LN2)} and saved[3] > 0
    rows = helped.record.rows | {"coded_tok": np.array([[10, 10, 0]])}
    record.write_arrays(record.row_path(helped.record.path, 0), rows)
    (interrupted,) = summary.runs([record.load(helped.record.path)])
    with pytest.raises(RecordError, match="different tokens"):
        elicit.saved_bits(scratch, interrupted)


def test_what_is_left_is_the_floor_against_the_first_batch(tmp_path):
    """The first batch costs 4 nats a token, the held-out examples 1."""
    run = records.write(
        tmp_path, [[8.0, 2.0, 2.0]], [[2, 2, 2]], [[2.0] * 4], [[1] * 4],
        members=[{"run.seed": 3}], run={"seed": 0, "steps": 3, "examples": 6, "batch": 2},
    )  # fmt: skip
    assert elicit.share_left(*summary.runs([run])) == {3: pytest.approx(0.25, rel=1e-5)}


@pytest.mark.parametrize(
    ("losses", "last", "said"),
    [
        ((1.0, 0.5), 2.0, "the loss still fell when the training ended"),
        ((0.5, 1.0), 2.0, "the first evaluation is the best of all"),
        ((1.0, 1.0), 0.8, "learned by heart"),
    ],
)
def test_it_warns_where_training_ended_early_late_or_by_heart(tmp_path, losses, last, said):
    """Of two sizes, with evaluations after two steps and at the end; the last pass costs `last`."""
    found = []
    for n in (2, 4):
        path = tmp_path / str(n)
        run = records.write(
            path, [[4.0, 4.0, last]], [[2, 2, 2]], [[2 * losses[1]] * 4], [[1] * 4],
            members=[{"run.seed": 3}], run={"seed": 0, "steps": 3, "examples": n, "batch": 2},
            label={"generator": "task", "observer": "learner"},
        )  # fmt: skip
        rows = run.rows | {"passes": np.array([[0, 0, 1]])}
        record.write_arrays(record.row_path(path, 0), rows)
        evals = {name: np.full((1, 4), losses[0], np.float32) for name in ("raw_nats", "ema_nats")}
        record.write_arrays(record.eval_path(path, 2), evals | {"coded_tok": np.ones((1, 4))})
        found += summary.runs([record.load(path)])
    (tuning_,) = elicit.tunings(found)
    warnings = "\n".join(tuning_.verdict.warnings)
    assert said in warnings and "at 2, 4 examples" in warnings
    assert ("by heart" in warnings) == (last < 1) and ("still fell" in warnings) == (
        losses[1] < losses[0]
    )


def test_report_says_it(tmp_path):
    taught = closed_forms.coupon_collector(np.array(SIZES), concepts=10)
    tuning(tmp_path, taught)
    done = binaries.run("report", f"--records={tmp_path}", "--elicit")
    assert done.code == 0 and "taught" in done.out and "peak of EDL/n" in done.out
    binaries.refused(
        binaries.run("report", f"--records={tmp_path}", "--elicit", "--claims"), "--elicit"
    )


def test_records_of_one_size_are_no_curve(tmp_path):
    runs = tuning(tmp_path, [1.0])
    with pytest.raises(RecordError, match=r"differ in run\.examples"):
        elicit.tunings(runs)
