"""Verdicts need an interval; claims are checked on the records of their figure."""

import math
import types

import numpy as np
import pytest

from epx import record
from epx.analysis.measurement import Estimate
from epx.record import RecordError
from epx.report import claims, evidence
from epx.report.claims import Check
from tests.records import write


@pytest.mark.parametrize(
    "mean, half, low, high, verdict",
    [
        (2.0, 1.0, 0.0, math.inf, "holds"),
        (2.0, 3.0, 0.0, math.inf, "undecided"),
        (-2.0, 1.0, 0.0, math.inf, "fails"),
        (2.0, math.nan, 0.0, math.inf, "undecided"),
        (0.995, 0.001, 0.99, 1.0, "holds"),
        (0.995, 0.01, 0.99, 1.0, "undecided"),
        (1.2, 0.1, 0.99, 1.0, "fails"),
        (1.0, 0.0, 1.0, 1.0, "holds"),
        (0.0, 0.0, 0.0, math.inf, "undecided"),
        (math.nan, math.nan, 0.0, math.inf, "undecided"),
        (0.9, 0.0, 1.0, math.inf, "fails"),
    ],
)
def test_a_verdict_needs_an_interval_that_clears_the_bounds(mean, half, low, high, verdict):
    assert Check("x", Estimate(mean, half), low, high).verdict == verdict


def test_a_claim_is_as_good_as_its_worst_check():
    good, open_, bad = (Check("x", Estimate(mean, 1.0), 0) for mean in (2, 0, -2))
    for checks, verdict in (
        ((), "not measured"),
        ((good, good), "holds"),
        ((good, open_), "undecided"),
        ((open_, bad, good), "fails"),
    ):
        assert claims.Claim(1, "it is so", "figure", checks).verdict == verdict


def run_of(path, rule, losses, seeds, figure="fig", size="cpu"):
    """A record of a rule: three charges, with a held-out loss of each seed."""
    members = [{"generator.rule": rule, "run.seed": seed} for seed in seeds]
    raw = np.array(losses)[:, None] * np.full((1, 2), 20.0)
    count = len(seeds)
    return write(path, np.full((count, 3), 20.0), np.full((count, 3), 10), raw,
                 np.full((count, 2), 20), members=members,
                 figure={"name": figure, "size": size})  # fmt: skip


def figure_of(check):
    figure = types.ModuleType("configs.paper.fig")
    figure.CLAIMS, figure.check = {3: "rule 30 is harder than rule 15"}, check
    figure.sweep = lambda: [{}]
    return figure


def test_differences_are_paired_by_seed(tmp_path):
    """Seeds 1 and 2 in common, of losses 0.3 - 0.1 and 0.5 - 0.3; the average is half of each."""
    a = run_of(tmp_path / "a", 30, [0.9, 0.3, 0.5], [0, 1, 2])
    b = run_of(tmp_path / "b", 15, [0.3, 0.1, 0.9], [2, 1, 5])
    runs = evidence.of_figure([a, b], "fig")["cpu"]
    harder, easier = (evidence.pick(runs, generator__rule=rule) for rule in (30, 15))
    loss = [evidence.by_seed(run, evidence.entropy_bits_per_tok) for run in (harder, easier)]
    assert sorted(loss[0]) == [0, 1, 2] and sorted(loss[1]) == [1, 2, 5]
    found = evidence.difference(*loss)
    np.testing.assert_allclose(found, (0.1 / math.log(2), 0), atol=1e-7)
    with pytest.raises(RecordError, match="no seed in common"):
        evidence.difference(loss[0], {9: 1.0})


def test_one_run_is_picked_by_its_config(tmp_path):
    runs = evidence.of_figure([run_of(tmp_path, 30, [0.9], [0])], "fig")["cpu"]
    with pytest.raises(RecordError, match=r"0 runs with generator.rule=15; one is needed"):
        evidence.pick(runs, generator__rule=15)
    assert evidence.of_figure([run_of(tmp_path / "b", 30, [0.9], [0], "other")], "fig") == {}


def test_claims_of_a_figure_are_checked_on_its_records(tmp_path):
    def check(number, runs):
        loss = {
            rule: evidence.by_seed(
                evidence.pick(runs, generator__rule=rule), evidence.entropy_bits_per_tok
            )
            for rule in (30, 15)
        }
        return [Check("H(30) - H(15), bit", evidence.difference(loss[30], loss[15]), low=0)]

    figure = figure_of(check)
    a = run_of(tmp_path / "a", 30, [0.9, 0.8], [0, 1])
    b = run_of(tmp_path / "b", 15, [0.1, 0.1], [0, 1])
    other = run_of(tmp_path / "c", 15, [0.1, 0.1], [0, 1], "other")
    assert claims.evaluate(figure, [a, b, other])[0].verdict == "holds"
    (partial,) = claims.evaluate(figure, [a, other])
    assert partial.verdict == "not measured" and "0 runs with generator.rule=15" in partial.note
    large = run_of(tmp_path / "d", 30, [0.9, 0.8], [0, 1], size="paper")
    sizes = {claim.figure: claim.verdict for claim in claims.evaluate(figure, [a, b, large])}
    assert sizes == {"fig:cpu": "holds", "fig:paper": "not measured"}, "sizes are not mixed"
    (none,) = claims.evaluate(figure, [other])
    assert none.verdict == "not measured" and none.note == "no records of this figure"


def test_compute_to_a_target_is_that_of_the_first_evaluation_within_it(tmp_path):
    """Seed 0 comes to 0.6 nats for 20 tokens at step 2, seed 1 never."""
    run = run_of(tmp_path, 30, [0.3, 0.9], [0, 1])
    early = {"raw_nats": np.array([[12.0, 12.0], [18.0, 18.0]]), "coded_tok": np.full((2, 2), 20)}
    early["ema_nats"] = early["raw_nats"]
    record.write_arrays(record.eval_path(tmp_path, 2), early)
    (run,) = evidence.of_figure([record.load(tmp_path)], "fig")["cpu"]
    bits = 20 / math.log(2)
    flops = evidence.flops_to(run, 0.6 * bits + 1e-6)
    assert flops[0] == 2 * 300.0 and flops[1] == 3 * 300.0  # its average is at 0.45 at the end
    never = evidence.flops_to(run, 0.4 * bits)
    assert never[0] == 3 * 300.0 and math.isnan(never[1])
    assert evidence.example_bits(run)[0] == pytest.approx(0.15 * bits)


def test_tables_show_every_check_and_every_claim_without_records(tmp_path):
    checks = (
        Check("S, bit", Estimate(12.0, 3.0), 0),
        Check("H, bit", Estimate(1.0, 0.5), 0, 2),
        Check("FLOP", Estimate(math.nan, math.nan), 0),
    )
    found = [
        claims.Claim(9, "it is so", "fig3", checks),
        claims.Claim(2, "it is not", "fig2", note="no records of this figure"),
    ]
    text, table = claims.table(found), claims.markdown(found)
    assert "9. it is so (fig3): undecided" in text and "no value" in text
    assert "12 ± 3" in text and "0 to 2" in text
    assert "2. it is not (fig2): not measured" in text
    assert table.index("it is not") < table.index("it is so") and table.count("it is so") == 3
    claims.write(found, tmp_path)
    assert (tmp_path / "claims.md").read_text() == table + "\n"
    assert '"verdict": "holds"' in (tmp_path / "claims.json").read_text()
