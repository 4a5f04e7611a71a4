"""The study of elicitation: its claims on records whose curves are known, and its runs."""

import numpy as np
import pytest

from configs.studies import _elicit_readings as readings
from configs.studies import elicit as study
from epx.analysis.exact import closed_forms
from epx.analysis.measurement import LN2
from epx.report import summary
from epx.run.setup import assemble
from epx.sweeps import local
from epx.sweeps.ensembles import ensembles
from tests import records

SEEDS = 5
SIZES = np.array(list(study.PASSES), float)
# Curves of what is taught and woken, and the least parameters that close the gap.
TAUGHT = 3 * closed_forms.coupon_collector(SIZES, concepts=1500)
WOKEN = closed_forms.elicitation(SIZES, gap=20.0, kept=0.25)
NEEDED = {study.BASE: 500, study.WOKEN: 50}
STARTS = list(study.starts())


def cell(folder, bits, examples, label, observer=study.FULL, loss=0.0, learned=None, first=0.0):
    """A first pass with this EDL above a loss in bits."""
    spread = np.linspace(0.98, 1.02, SEEDS)[:, None]
    batch = min(study.BATCH, examples)
    steps = -(-examples // batch)
    coded = np.full((SEEDS, steps), examples / steps)
    nats = (bits * spread / steps + loss * coded) * LN2 * np.ones((1, steps))
    nats[:, 0] += first * coded[:, 0] * LN2
    facts = dict(vocab=2, size=None, length=40, parameters=10_000, forward_flops=1.0,
                 learns_by_gradient=True)  # fmt: skip
    if learned is not None:
        facts["learned_parameters"] = learned
    raw = np.full((SEEDS, 4), 2 * loss * LN2)  # the average has half of it
    return records.write(
        folder / f"{len(list(folder.iterdir())):03d}", nats, coded, raw, np.ones((SEEDS, 4), int),
        facts=facts, members=[{"run.seed": seed} for seed in study.SEEDS],
        run={"seed": 0, "steps": steps, "examples": examples, "batch": batch},
        figure={"name": "elicit", "size": "cpu"},
        label={"generator": label, "observer": observer},
    )  # fmt: skip


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    folder, found = tmp_path_factory.mktemp("elicit"), []
    for start in STARTS:
        curve = WOKEN if start == study.WOKEN else TAUGHT
        for n, bits in zip(study.PASSES, curve):
            found.append(cell(folder, bits, n, f"after {start}"))
    for n in study.PASSES:
        found.append(cell(folder, 0.001 * TAUGHT[-1], n, study.SHUFFLED, loss=2.0, first=0.5))
        found.append(cell(folder, 0.5 * n, n, study.FIXED))
    for start, needed in NEEDED.items():
        for place, (rank, entries) in enumerate(study.ADAPTERS):
            learned = 10 * 3**place
            loss = 0.0 if learned >= needed else 1.0
            name = study._adapter(rank, entries)["label.observer"]
            bits = 3.0 * needed if start == study.BASE else 0.3 * needed
            made = cell(folder, bits, study.ADAPTED, f"after {start}", name, loss, learned)
            found.append(made)
        found.append(cell(folder, 0.0, 4, f"after {start}", study.UNTRAINED, 2.0))
    return summary.runs(found)


@pytest.mark.parametrize("number", study.CLAIMS)
def test_claims_hold_on_records_of_which_they_are_true(runs, number):
    checks = study.check(number, runs)
    assert {check.verdict for check in checks} == {"holds"}, checks


def test_capacity_is_that_of_the_smallest_adapter_that_closes_the_gap(runs):
    taught, woken = (
        study.capacity(runs, start)[study.SEEDS[2]] for start in (study.BASE, study.WOKEN)
    )
    assert taught == (810, pytest.approx(1500 / 810, rel=1e-3))
    assert woken == (90, pytest.approx(15 / 90, rel=1e-3))
    assert readings.adapters(runs, study.BASE)[-1].parameters == 7290


def test_a_control_without_its_peak_leaves_the_claim_undecided(runs, tmp_path):
    label = f"after {study.FORMAT}"
    others = [r for r in runs if r.record.config["label"]["generator"] != label]
    woken = [cell(tmp_path, bits, n, label) for n, bits in zip(study.PASSES, WOKEN)]
    checks = study.check(151, others + summary.runs(woken))
    assert [check.verdict for check in checks].count("undecided") == 1
    found = {label: wrong for label, _, wrong, _ in readings.errors(others + summary.runs(woken))}
    assert found[label] == SEEDS and sum(found.values()) == SEEDS


@pytest.mark.parametrize("start", [study.BASE, study.FORMAT])
def test_an_undecided_rule_leaves_the_claim_undecided_though_all_seeds_have_the_shape(
    runs, tmp_path, start
):
    """Five numbers of problems are too few for the rule."""
    label, few = f"after {start}", (4, 400, 4000, 20_000, 100_000)
    others = [r for r in runs if r.record.config["label"]["generator"] != label]
    curve = dict(zip(study.PASSES, TAUGHT))
    found = others + summary.runs([cell(tmp_path, curve[n], n, label) for n in few])
    assert set(study.tuning(found, label).verdict.by_seed.values()) == {"taught"}
    checks = [check for check in study.check(151, found) if f"{label}:" in check.what]
    assert [check.verdict for check in checks] == ["undecided"]


def test_the_rule_makes_no_error_where_curves_are_plain_and_the_table_says_so(runs):
    """Shuffled answers fall from the start, but most of the first loss is left."""
    assert {wrong for *_, wrong, _ in readings.errors(runs)} == {0}
    assert study.tuning(runs, study.SHUFFLED).verdict.shape == "undecided"
    printed = study.table(runs)
    assert "more than half of the first loss is left" in printed
    assert "0 of 5" in printed and "rank 32" in printed


def test_the_figure_is_drawn(runs, tmp_path):
    study.draw(runs, tmp_path / "a.png")
    assert (tmp_path / "a.png").stat().st_size > 10_000


def test_every_start_is_an_ensemble_of_the_sweep():
    config = study.get_config().to_dict()
    some = [
        run
        for run in study.sweep()
        if run.get("run.examples") in (None, 4) or run["label.observer"] == study.UNTRAINED
    ]
    groups = local.in_order(
        ensembles(config, [run for run in some if run["run.seed"] in study.SEEDS[:2]])
    )
    names = [group.name for group in groups]
    assert names[:6] == [
        "00-base", "01-the-same-in-signs", "02-format-alone", "03-differences-in-signs",
        "04-products-in-signs", "05-more-of-the-base",
    ]  # fmt: skip
    assert [group.needs for group in groups[1:6]] == [("00-base",)] * 4 + [()]
    needed = {group.needs[0] for group in groups[6:]}
    assert needed == set(names[:6])
    for group, setup in zip(groups, local.prepare(groups)):
        assert setup.spec.vocab == 42 and setup.spec.length == study.LENGTH, group.name
    some = [r for r in study.sweep() if {"ensemble", "adapter.rank"} & r.keys()]
    found = ensembles(config, [run for run in some if run["run.seed"] == study.SEEDS[0]])
    adapted = [group for group in found if group.config["adapter"]["rank"]]
    for group in adapted[:2]:
        setup = assemble(group.config | {"run": group.config["run"] | {"start": None}})
        assert setup.observer.learned == group.config["adapter"]["entries"]
