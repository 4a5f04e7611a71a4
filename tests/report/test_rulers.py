"""Rulers beside S, on records whose numbers are known; and rank correlations."""

import math

import numpy as np
import pytest
from scipy import stats

from epx import record
from epx.analysis import rank
from epx.analysis.measurement import Estimate
from epx.record import RecordError
from epx.report import rulers, summary
from tests import records

LN2 = math.log(2.0)
FACTS = dict(
    vocab=2, size=None, length=40, parameters=10, forward_flops=100.0, learns_by_gradient=False
)


def run(folder, observer, s, h, apart=0.0, **baselines):
    """Two seeds, 100 tokens: S and H in bits per token, of the second seed a loss `apart` from it;
    training took 2 seconds a member."""
    h = np.array([[h], [h + apart]])
    charged = 100 * (s + h) * LN2
    made = records.write(
        folder, np.hstack([charged, 0 * charged]), np.tile([100, 0], (2, 1)),
        np.repeat(50 * h * LN2, 2, axis=1), np.full((2, 2), 50), facts=FACTS,
        label=dict(generator="coins", observer=observer),
        members=[{"run.seed": n} for n in range(2)],
    )  # fmt: skip
    evals = {name: values for name, values in made.evals[2].items() if name != "ema_nats"}
    record.write_arrays(record.eval_path(folder, 2), evals)
    if baselines:
        arrays = {name: np.array(values) for name, values in baselines.items()}
        record.write_arrays(folder / "baselines.npz", arrays)
    return record.load(folder)


BASELINES = dict(
    compressed_tok=[50, 50], gzip_bits=[40, 60], xz_bits=[90, 110], reservoir_bits=[5.0, 7.0],
    reservoir_floor_bits=[2.0, 2.0], compressors_seconds=[0.1, 0.2], reservoir_seconds=[1.0, 1.5],
)  # fmt: skip
LEARNERS = ["gru", "mlp", "counts"]


def test_the_rulers_of_one_kind_of_data(tmp_path):
    runs = summary.runs(
        [
            run(tmp_path / "a", "mlp", 0.1, 0.5),
            run(tmp_path / "b", "gru", 0.3, 0.2, apart=0.3),
            run(tmp_path / "c", "oracle", 0.0, 0.1),
            run(tmp_path / "d", "counts", 0.0, 0.8, **BASELINES),
            run(tmp_path / "e", "gru, 2 x rate", 0.0, 0.1),
        ]
    )
    found = rulers.measure(runs, "coins", LEARNERS)
    assert found.observer == "mlp", "neither the oracle nor an arm, which have less"
    assert found.structure.mean == pytest.approx(0.1, abs=1e-6)
    assert found.entropy.mean == pytest.approx(0.5, abs=1e-6)
    # Losses 0.5, 0.2, 0.8 and 0.5, 0.5, 0.8: variances 0.06 and 0.02; t of one freedom is 12.706.
    assert found.caa == pytest.approx((0.04, 12.706 * 0.02), rel=1e-4)
    assert found.reservoir.mean == pytest.approx(4.0)
    assert (found.gzip, found.xz) == pytest.approx((1.0, 2.0))
    assert (found.training_seconds, found.learners_seconds) == (2.0, 6.0)
    assert (found.compressors_seconds, found.reservoir_seconds) == pytest.approx((0.3, 2.5))
    text = rulers.table([found, found])
    assert "coins" in text and "rank correlation of gzip with S: nan" in text
    with pytest.raises(RecordError, match=r"no run on coins has eval\.rulers set"):
        rulers.measure(runs[:2], "coins", LEARNERS)
    with pytest.raises(RecordError, match="no run on coins is of lstm"):
        rulers.measure(runs, "coins", ["lstm"])


def test_a_learner_that_failed_is_left_out(tmp_path):
    lost = records.rewrite(run(tmp_path / "a", "mlp", 0.1, 0.1), finite=np.zeros((2, 2), bool))
    ruled = run(tmp_path / "b", "counts", 0.0, 0.8, **BASELINES)
    found = rulers.measure(summary.runs([lost, ruled]), "coins", LEARNERS)
    assert found.observer == "counts" and found.caa.mean == 0


def test_each_ruler_is_ranked_with_s():
    rows = [
        rulers.Rulers(
            str(n), "mlp", Estimate(n, 0.1), Estimate(1, 0), Estimate(-n, 0.1),
            Estimate(n * n, 0.1), n, n**3, 1.0, 1.0, 1.0, 1.0,
        )
        for n in range(6)
    ]  # fmt: skip
    found = rulers.correlations(rows)
    assert {name: round(c.value, 6) for name, c in found.items()} == {
        "reservoir": 1.0, "gzip": 1.0, "xz": 1.0, "caa": -1.0,
    }  # fmt: skip


def test_a_rank_correlation_has_an_interval_over_the_pairs():
    """Two swaps of neighbours among six: 1 - 6 x 4 / (6 x 35)."""
    first, second = [1, 2, 3, 4, 5, 6], [2, 1, 3, 4, 6, 5]
    found = rank.with_interval(first, second)
    assert found.value == pytest.approx(1 - 24 / 210)
    assert found.low < found.value < found.high <= 1
    assert found == rank.with_interval(first, second)
    noise = np.random.default_rng(1).normal(size=(2, 400))
    wide = rank.with_interval(*noise)
    assert wide.low < 0 < wide.high and wide.high - wide.low == pytest.approx(4 / 20, rel=0.2)
    assert math.isnan(rank.spearman([1, 1], [1, 2]))
    ties = np.random.default_rng(2).integers(0, 4, (2, 20))
    assert rank.spearman(*ties) == pytest.approx(stats.spearmanr(*ties).statistic)
