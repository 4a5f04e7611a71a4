"""Exact numbers of EDL: both of one label, and those of labels without a meaning."""

import pytest

from configs.studies import one_label
from epx.report import claims


def test_the_claims_hold_without_records():
    found = {claim.number: claim for claim in claims.evaluate(one_label, [])}
    assert {claim.verdict for claim in found.values()} == {"holds"} and len(found) == 2


def test_a_memoriser_loses_more_the_surer_it_is():
    assert one_label.memoriser(100, sure=0.5) == pytest.approx(0)
    assert one_label.memoriser(100, 0.999) < one_label.memoriser(100, 0.9) < 0


def test_every_order_of_labels_selects_for_ten_bits():
    for seed in range(5):
        bits, count = one_label.selected(seed)
        assert bits == pytest.approx(10) and 8 <= count <= 30


def test_the_figure_is_drawn(tmp_path):
    one_label.draw([], tmp_path / "one.png")
    assert (tmp_path / "one.png").stat().st_size > 10_000
