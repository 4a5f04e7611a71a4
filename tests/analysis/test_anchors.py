"""Estimators of the final loss: exact on lines, unbiased by noise, nearly so on power laws."""

import numpy as np
import pytest

from epx.analysis import anchors, ledger
from tests.records import finite_record, requential_record, rewrite, write

STEPS = 400


def test_a_trend_is_the_end_of_a_line():
    """Of the last 30 % of the charges; what was before does not matter, and neither do gaps."""
    place = np.arange(STEPS)
    loss = np.where(place < 280, 5.0, 2.0 - 0.001 * place)
    tok = np.where(place % 3 == 0, 20.0, 10.0)
    end, error = anchors.trend_nats((loss * tok)[None], tok[None])
    np.testing.assert_allclose(end, 2.0 - 0.001 * (STEPS - 0.5), rtol=1e-12)
    np.testing.assert_allclose(error, 0, atol=1e-9)
    tok[::2] = 0  # the teacher waits
    end, _ = anchors.trend_nats((loss * tok)[None], tok[None])
    np.testing.assert_allclose(end, 2.0 - 0.001 * (STEPS - 1), rtol=1e-3)


def test_the_error_of_a_trend_is_its_spread():
    rng = np.random.default_rng(0)
    tok = np.full((2000, STEPS), 10.0)
    loss = 1.0 + rng.normal(0, 0.3, tok.shape)
    ends, errors = anchors.trend_nats(loss * tok, tok)
    assert ends.mean() == pytest.approx(1.0, abs=4 * ends.std() / np.sqrt(2000))
    assert errors.mean() == pytest.approx(ends.std(), rel=0.05)


@pytest.mark.parametrize("exponent", [0.3, 0.5, 1.0])
def test_a_trend_is_nearer_to_the_final_loss_of_a_power_law_than_a_mean(exponent):
    """In shares of S, the area of the loss above its end."""
    loss = (1.0 + np.arange(STEPS)) ** -exponent
    tok = np.ones((1, STEPS))
    area = (loss - loss[-1]).sum()
    trend, tail = (
        STEPS * (loss[-1] - estimate(loss[None], tok)[0][0]) / area
        for estimate in (anchors.trend_nats, anchors.tail_nats)
    )
    assert abs(trend) < 0.5 * abs(tail) and abs(trend) < 0.015 and abs(tail) < 0.06


def test_structure_does_not_grow_once_nothing_is_learned():
    """Noisy last weights, 1.0 nats a token for charges, against an average of 0.9: with the
    average as its anchor S grows by a tenth of every token."""
    rng = np.random.default_rng(0)
    found = {name: [] for name in ("trend", "average")}
    for steps in (300, 600, 1200):
        tok = np.full((1, steps), 100.0)
        loss = 1.0 + np.exp(-np.arange(steps) / 20) + rng.normal(0, 0.02, (1, steps))
        charged = (loss * tok).sum()
        found["trend"].append(charged - tok.sum() * anchors.trend_nats(loss * tok, tok)[0][0])
        found["average"].append(charged - tok.sum() * 0.9)
    assert np.ptp(found["trend"]) < 400 and found["trend"][0] == pytest.approx(2050, abs=300)
    assert found["average"][-1] - found["average"][0] == pytest.approx(0.1 * 90_000, rel=0.1)


def hundred(tmp_path, **config):
    """100 charges of 0.2 nats a token, held-out losses of 0.1 (raw) and 0.05 (average)."""
    return write(tmp_path, np.full((1, 100), 2.0), np.full((1, 100), 10), [[1, 3]], [[20, 20]],
                 **config)  # fmt: skip


def test_by_default_structure_is_above_the_charges_and_entropy_of_the_average(tmp_path):
    measured = ledger.measure(hundred(tmp_path))
    assert (measured.plateau, measured.anchor) == ("trend", "ema")
    np.testing.assert_allclose(measured.structure_nats, 0, atol=1e-4)
    np.testing.assert_allclose(measured.entropy_nats, 1000 * 0.05, rtol=1e-6)
    # A named anchor is that of both.
    raw = ledger.measure(hundred(tmp_path / "raw"), anchor="raw")
    assert (raw.plateau, raw.anchor) == ("raw", "raw")
    np.testing.assert_allclose(raw.structure_nats, 200 - 1000 * 0.1, rtol=1e-6)


def test_where_charges_are_of_other_weights_or_of_repeats_the_held_out_loss_is_taken(tmp_path):
    charged = {"name": "prequential", "charged": "ema"}
    averaged = hundred(tmp_path / "a", code=charged)
    in_blocks = hundred(tmp_path / "b", code={"name": "blocks"})
    counter = hundred(tmp_path / "c")
    counter.config["facts"]["learns_by_gradient"] = False
    repeated = hundred(tmp_path / "d")
    repeated = rewrite(repeated, passes=(np.arange(100) >= 50)[None].astype(int))
    for run in (averaged, in_blocks, counter, repeated):
        assert ledger.measure(run, "excess").plateau == "ema"


def test_a_few_charges_have_no_trend(tmp_path):
    run = finite_record(tmp_path, [3, 2, 1], [0, 0, 0], size=None)
    assert "trend" not in ledger.anchors(run)
    assert ledger.measure(run).plateau == "ema"


def test_the_kl_of_a_requential_record_has_no_plateau(tmp_path):
    measured = ledger.measure(requential_record(tmp_path))
    assert measured.plateau == measured.anchor == "ema" and measured.anchored_tok == 0
