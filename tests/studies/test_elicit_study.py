"""The study of elicitation: its claims on records whose curves are known, and its runs."""

import numpy as np
import pytest

from configs.studies import elicit as study
from epx.analysis.exact import closed_forms
from epx.analysis.measurement import LN2
from epx.report import summary
from epx.run.setup import assemble
from epx.sweeps import local
from epx.sweeps.ensembles import ensembles
from tests import records

SEEDS = 5
SIZES = np.array(study.SIZES, float)
# Curves of what is taught and woken, and the least parameters that close the gap.
TAUGHT = 3 * closed_forms.coupon_collector(SIZES, concepts=1500)
WOKEN = closed_forms.elicitation(SIZES, gap=20.0, kept=0.25)
NEEDED = {study.BASE: 500, study.WOKEN: 50}


def cell(folder, bits, examples, label, observer=study.FULL, loss=0.0, learned=None):
    """A first pass with this EDL above a loss in bits."""
    spread = np.linspace(0.98, 1.02, SEEDS)[:, None]
    batch = min(study.BATCH, examples)
    steps = -(-examples // batch)
    coded = np.full((SEEDS, steps), examples / steps)
    nats = (bits * spread / steps + loss * coded) * LN2 * np.ones((1, steps))
    facts = dict(vocab=2, size=None, length=40, parameters=10_000, forward_flops=1.0,
                 learns_by_gradient=True)  # fmt: skip
    if learned is not None:
        facts["learned_parameters"] = learned
    raw = np.full((SEEDS, 4), 2 * loss * LN2)  # the average has half of it
    return records.write(
        folder / f"{len(list(folder.iterdir())):03d}", nats, coded, raw, np.ones((SEEDS, 4), int),
        facts=facts, members=[{"run.seed": seed} for seed in range(SEEDS)],
        run={"seed": 0, "steps": steps, "examples": examples, "batch": batch},
        label={"generator": label, "observer": observer},
    )  # fmt: skip


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    folder, found = tmp_path_factory.mktemp("elicit"), []
    for start in study.STARTS:
        curve = WOKEN if start == study.WOKEN else TAUGHT
        for n, bits in zip(study.SIZES, curve):
            found.append(cell(folder, bits, n, f"after {start}"))
    for n in study.SIZES:
        found.append(cell(folder, 0.001 * TAUGHT[-1], n, "shuffled answers"))
    for start, needed in NEEDED.items():
        for place, (rank, entries) in enumerate(study.ADAPTERS):
            learned = 10 * 3**place
            loss = 0.0 if learned >= needed else 1.0
            name = study._adapter(rank, entries)["label.observer"]
            made = cell(folder, 1.0, study.ADAPTED, f"after {start}", name, loss, learned)
            found.append(made)
        found.append(cell(folder, 0.0, 4, f"after {start}", study.UNTRAINED, 2.0))
    return summary.runs(found)


@pytest.mark.parametrize("number", study.CLAIMS)
def test_claims_hold_on_records_of_which_they_are_true(runs, number):
    checks = study.check(number, runs)
    assert {check.verdict for check in checks} == {"holds"}, checks


def test_parameters_are_the_fewest_that_close_the_gap(runs):
    assert set(study.parameters_needed(runs, study.BASE).values()) == {810}
    assert set(study.parameters_needed(runs, study.WOKEN).values()) == {90}


def test_a_control_that_wakes_the_task_fails_the_claim(runs, tmp_path):
    label = f"after {study.CONTROLS[0]}"
    others = [r for r in runs if r.record.config["label"]["generator"] != label]
    woken = [cell(tmp_path, bits, n, label) for n, bits in zip(study.SIZES, WOKEN)]
    checks = study.check(151, others + summary.runs(woken))
    assert [check.verdict for check in checks].count("fails") == 1


def test_the_figure_is_drawn(runs, tmp_path):
    study.draw(runs, tmp_path / "a.png")
    assert (tmp_path / "a.png").stat().st_size > 10_000


def test_every_start_is_an_ensemble_of_the_sweep():
    config = study.get_config().to_dict()
    some = [
        run
        for run in study.sweep()
        if run.get("run.examples") in (None, 20) or run["label.observer"] == study.UNTRAINED
    ]
    groups = local.in_order(ensembles(config, [run for run in some if run["run.seed"] < 2]))
    names = [group.name for group in groups]
    assert names[:5] == ["00-base", "01-sums-in-signs", "02-format-alone", "03-products-in-signs",
                         "04-more-of-the-base"]  # fmt: skip
    assert [group.needs for group in groups[1:5]] == [("00-base",)] * 3 + [()]
    needed = {group.needs[0] for group in groups[5:]}
    assert needed == set(names[:5])
    for group, setup in zip(groups, local.prepare(groups)):
        assert setup.spec.vocab == 42 and setup.spec.length == study.LENGTH, group.name
    some = [r for r in study.sweep() if {"ensemble", "adapter.rank"} & r.keys()]
    found = ensembles(config, [run for run in some if run["run.seed"] == 0])
    adapted = [group for group in found if group.config["adapter"]["rank"]]
    for group in adapted[:2]:
        setup = assemble(group.config | {"run": group.config["run"] | {"start": None}})
        assert setup.observer.learned == group.config["adapter"]["entries"]
