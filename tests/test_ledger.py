"""The numbers as the README defines them, on records written by hand."""

import math

import numpy as np
import pytest
from scipy import stats

from epx import ledger, record, tables

LN2 = math.log(2)


def write(path, nats, coded, raw, heldout_coded, finite=None, members=None, **config):
    """A record of one chunk: nats and coded of shape (M, steps), raw of shape (M, E)."""
    nats, coded = np.asarray(nats, np.float32), np.asarray(coded, np.int32)
    steps = nats.shape[1]
    facts = dict(
        vocab=2, size=None, length=4, parameters=10, forward_flops=100.0, learns_by_gradient=True
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
    """60 processed tokens for 30 coded ones. Exact: 3 x 300 + (30 x 2 / 4 examples) x 100.
    The paper's: 6 x 10 x 60 + 2 x 10 x 30 x 2."""
    run = write(tmp_path, [[3, 2, 1]], [[10, 10, 10]], [[1, 3]], [[20, 20]])
    measured = ledger.prequential(run, "raw")
    assert measured.exact_flops == 900 + 15 * 100
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
    assert abs(ledger.prequential(run, "raw").online_nats[0] - exact) < 1e-5
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
    means, errors = ledger.heldout(nats, coded)
    np.testing.assert_allclose(errors.mean(), means.std(ddof=1), rtol=0.1)
    np.testing.assert_allclose(means.mean(), 0.7, rtol=0.02)


def test_student_t_against_scipy():
    for freedom in [*range(1, 40), 99, 1000]:
        np.testing.assert_allclose(
            ledger.student_t(freedom), stats.t.ppf(0.975, freedom), rtol=1e-9
        )


def test_interval_covers_and_needs_two():
    rng = np.random.default_rng(1)
    draws = rng.normal(3.0, 2.0, (4000, 4))
    found = [ledger.interval(row, np.zeros(4)) for row in draws]
    covered = np.mean([abs(e.mean - 3.0) <= e.half_width for e in found])
    assert 0.94 < covered < 0.96
    assert math.isnan(ledger.interval(np.array([1.0]), np.zeros(1)).half_width)
    wide = ledger.interval(np.array([1.0, 1.0]), np.array([3.0, 4.0]))
    np.testing.assert_allclose(wide.half_width, 1.96 * 5 / 2)


@pytest.mark.parametrize("together", [False, True])
def test_interval_covers_the_anchor_error(together):
    """Four members without spread of their own, measured on their own or on shared examples."""
    rng = np.random.default_rng(2)
    errors = np.full(4, 0.5)
    shift = rng.normal(0, 0.5, (4000, 1 if together else 4)) + np.zeros(4)
    found = [ledger.interval(1.0 + row, errors, together) for row in shift]
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
    found = tables.cells([run], "raw")
    assert [cell["world"] for cell in found] == ["eca rule=15", "eca rule=54"]
    assert [cell["seeds"] for cell in found] == [2, 2]
    assert found[1]["S_bits"][0] > found[0]["S_bits"][0]
    assert "eca rule=54" in tables.text(found)
    assert "tail:" in tables.sensitivity(found)


def test_bits_per_byte_of_a_source(tmp_path):
    """Beside bits per token, in a column of their own where a world has a source."""
    run = write(tmp_path, [[3, 2, 1], [3, 2, 2]], np.full((2, 3), 10), np.ones((2, 2)),
                np.full((2, 2), 20), generator={"name": "text"}, observer={})  # fmt: skip
    (plain,) = tables.cells([run], "raw")
    assert not [key for key in plain if key.endswith("_per_byte")]
    assert "bit/byte" not in tables.text([plain])
    run.config["facts"]["source_bytes_per_tok"] = 2.5
    (cell,) = tables.cells([run], "raw")
    for name in ("S", "H"):
        per_byte = np.array(cell[f"{name}_bits_per_byte"])
        np.testing.assert_allclose(per_byte, np.array(cell[f"{name}_bits_per_tok"]) / 2.5)
    table = tables.text([cell, plain]).splitlines()
    assert "H bit/byte" in table[0] and len(table) == 4
    run = write(
        tmp_path, [[3, 2, 1]], [[10, 10, 10]], [[1, 3]], [[20, 20]], generator={}, observer={}
    )
    run.config["facts"]["source_bytes_per_tok"] = 2.5
    assert tables.cells([run])[0]["H_bits_per_byte"][1] is None, "one seed, no interval"
