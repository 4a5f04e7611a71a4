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


def run(folder, observer, s, h, **baselines):
    """Two seeds, 100 tokens: S and H in bits per token; training took 2 seconds a member."""
    charged = np.full((2, 1), 100 * (s + h) * LN2)
    made = records.write(
        folder, np.hstack([charged, 0 * charged]), np.tile([100, 0], (2, 1)),
        np.full((2, 2), 50 * h * LN2), np.full((2, 2), 50), facts=FACTS,
        label=dict(generator="coins", observer=observer),
        members=[{"run.seed": n} for n in range(2)],
    )  # fmt: skip
    evals = {name: values for name, values in made.evals[2].items() if name != "ema_nats"}
    record.write_arrays(record.eval_path(folder, 2), evals)
    if baselines:
        arrays = {name: np.array(values) for name, values in baselines.items()}
        record.write_arrays(folder / "baselines.npz", arrays)
    return record.load(folder)


def test_the_rulers_of_one_kind_of_data(tmp_path):
    runs = summary.runs(
        [
            run(tmp_path / "a", "mlp", 0.1, 0.5),
            run(tmp_path / "b", "gru", 0.3, 0.2),
            run(tmp_path / "c", "oracle", 0.0, 0.1),
            run(
                tmp_path / "d", "counts", 0.0, 0.8, compressed_tok=[50, 50], gzip_bits=[40, 60],
                xz_bits=[90, 110], reservoir_bits=[5.0, 7.0], reservoir_floor_bits=[2.0, 2.0],
                compressors_seconds=[0.1, 0.2], reservoir_seconds=[1.0, 1.5],
            ),
        ]
    )  # fmt: skip
    found = rulers.measure(runs, "coins")
    assert found.observer == "gru" and found.structure.mean == pytest.approx(0.3, abs=1e-6)
    assert found.entropy.mean == pytest.approx(0.2, abs=1e-6)
    assert found.caa == pytest.approx(np.var([0.3, 0.0, 0.6]), rel=1e-5), "not the oracle's"
    assert found.reservoir.mean == pytest.approx(4.0)
    assert (found.gzip, found.xz) == pytest.approx((1.0, 2.0))
    assert found.training_seconds == 2.0
    assert (found.compressors_seconds, found.reservoir_seconds) == pytest.approx((0.3, 2.5))
    text = rulers.table([found, found])
    assert "coins" in text and "rank correlation of gzip with S: nan" in text
    with pytest.raises(RecordError, match=r"no run on coins has eval\.rulers set"):
        rulers.measure(runs[:2], "coins")


def test_each_ruler_is_ranked_with_s():
    rows = [
        rulers.Rulers(
            str(n), "mlp", Estimate(n, 0.1), Estimate(1, 0), -n, Estimate(n * n, 0.1), n, n**3,
            1.0, 1.0, 1.0,
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
