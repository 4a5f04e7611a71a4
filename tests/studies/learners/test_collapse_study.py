"""The study of collapse: its numbers on records that are known, and its chain of generations."""

import numpy as np
import pytest

from configs.studies.learners import collapse as study
from epx import record
from epx.analysis.measurement import LN2
from epx.report import evidence, generations, parts, summary
from epx.sweeps import local
from epx.sweeps.ensembles import ensembles
from tests import records

SEEDS, STEPS, TOKENS = 5, 8, 1000.0
# Growth of the loss on real examples from one generation to the next, in bits per token, by arm.
GROWTH = {study.REPLACE: 0.1, study.KEPT: 0.02, study.ACCUMULATE: 0.01, study.SUBSAMPLE: 0.05,
          study.CONTINUE: 0.03, study.HALF_KEPT: 0.04, study.VERIFIED: 0.0, study.BELOW: 0.01,
          study.ABOVE: 0.2}  # fmt: skip


def made(folder, run, arm, generation):
    """Of a generation: S is 800 bits less 15 each, H is 1 bit less 0.06, the tail 0.7 less 0.08."""
    past, count = generation - 1, len(run["generator.weights"].split())
    own, real = 1.0 - 0.06 * past, 1.0 + GROWTH.get(arm, 0.0) * past
    bits, spread = 800.0 - 15 * past, 1 + 1e-3 * np.arange(SEEDS)
    weights = np.array([float(word) for word in run["generator.weights"].split()])
    weights /= weights.sum()
    tokens = np.broadcast_to(TOKENS / STEPS * weights, (SEEDS, STEPS, count)).copy()
    charged = (TOKENS * own + bits * spread)[:, None, None] * LN2 / STEPS * weights
    nats = np.broadcast_to(charged, tokens.shape).copy()
    made_of = records.write(
        folder, nats.sum(2), tokens.sum(2), np.ones((SEEDS, 2 * count)),
        np.full((SEEDS, 2 * count), 10), code={"name": "prequential"},
        members=[{"run.seed": seed} for seed in range(SEEDS)],
        run={"seed": 0, "steps": STEPS, "batch": study.EXAMPLES // STEPS},
        label={"generator": run["label.generator"], "observer": run["label.observer"]},
        figure={"name": "collapse", "size": "cpu"},
    )  # fmt: skip
    made_of = records.rewrite(made_of, part_nats=nats, part_coded_tok=tokens)
    part = np.broadcast_to(np.tile(np.arange(count), 2), (SEEDS, 2 * count))
    loss = np.where(part == count - 1, real, own) * 10 * LN2
    evals = made_of.evals[STEPS] | {"part": part, "ema_nats": loss}
    record.write_arrays(record.eval_path(folder, STEPS), evals)
    tail = np.full(SEEDS, 0.7 - (0.1 if arm == study.ABOVE else 0.08) * past)
    baselines = {"support": tail + 0.2, "tail": tail, "right": tail + 0.1}
    record.write_arrays(folder / "baselines.npz", baselines)
    return record.load(folder)


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    folder, found = tmp_path_factory.mktemp("collapse"), []
    for data, arms in study.ARMS.items():
        chain = [("", 1), *((arm, n) for arm in arms for n in range(2, study.GENERATIONS + 1))]
        for arm, n in chain:
            run = study._run(data, arm, n)
            found.append(made(folder / f"{len(found):03d}", run, arm, n))
    return summary.runs(found)


def test_numbers_are_those_of_the_records(runs):
    chain = study.chain(runs, study.LETTERS, study.REPLACE)
    assert parts.real_loss(chain[4])[0] == pytest.approx(1.4, rel=1e-4)
    assert parts.own_loss(chain[4])[0] == pytest.approx(0.76, rel=1e-4)
    assert parts.own_structure(chain[4])[0] == pytest.approx(740, rel=1e-3)
    assert parts.real_excess(chain[4])[0] == pytest.approx(740 - 640, abs=2)
    first = parts.own_structure(chain[4], examples=study.EXAMPLES // 4)[0]
    assert first == pytest.approx(740 / 4, rel=1e-3), "of the first steps alone"
    assert study.STRUCTURE.of(chain[4]) == parts.own_structure(chain[4])
    assert study.TAIL.of(chain[4])[0] == pytest.approx(0.38)
    mixed = study.chain(runs, study.RULE, study.ACCUMULATE)[2]
    assert parts.own_structure(mixed)[0] == pytest.approx(770, rel=1e-3)


def test_a_fall_is_dated(runs):
    """A tenth of S is lost from generation 7 on, of H from 3 and of the tail from 2."""
    chain = study.chain(runs, study.LETTERS, study.REPLACE)
    for quantity, wanted in (
        (parts.own_structure, 7), (parts.own_loss, 3), (study.TAIL.of, 2),
        (parts.real_loss, 9),
    ):  # fmt: skip
        assert generations.lost_from(chain, quantity) == dict.fromkeys(range(SEEDS), wanted)


def test_a_plateau_is_told_from_a_rise(runs):
    """Generations 2 to 4 are 0.2 bit above the first; were 5 to 8 as they are, 218 would fail."""
    chain = study.chain(runs, study.LETTERS, study.REPLACE)
    early, spike, late = study._rises({study.REPLACE: chain}, study.LETTERS)
    assert early.estimate.mean == pytest.approx(0.2) and spike.estimate.mean == pytest.approx(-0.45)
    assert late.estimate.mean == pytest.approx(0.35 / 0.2, rel=1e-3) and late.verdict == "holds"
    flat = [*chain[:4], *chain[2:0:-1], *chain[1:3]]
    late = study._rises({study.REPLACE: flat}, study.LETTERS)[2]
    assert late.estimate.mean == pytest.approx(-0.25, rel=1e-3) and late.verdict == "fails"
    spiked = [chain[0], chain[4], *chain[1:4], *chain[1:4]]
    assert study._rises({study.REPLACE: spiked}, study.LETTERS)[1].verdict == "fails"


def test_verifiers_are_compared_where_both_could_err(runs, monkeypatch):
    """The data have 0.72 right in generation 2, between 0.1 and 0.9."""
    found = study.check(216, runs)
    assert found[0].estimate.mean == pytest.approx(0.72) and (found[0].low, found[0].high) == (
        pytest.approx(0.1), pytest.approx(0.9)
    )  # fmt: skip
    monkeypatch.setitem(study.VERIFIERS, study.BELOW, (0.6, 0.4))
    monkeypatch.setitem(study.VERIFIERS, study.ABOVE, (0.2, 0.8))
    assert study.check(216, runs)[0].verdict == "holds"
    monkeypatch.setitem(study.VERIFIERS, study.ABOVE, (0.4, 0.6))
    assert study.check(216, runs)[0].verdict == "fails"


def test_claims_hold_on_them(runs):
    for number in study.CLAIMS:
        checks = study.check(number, runs)
        assert checks and all(check.verdict == "holds" for check in checks), number


def test_the_figure_is_drawn(runs, tmp_path):
    study.draw(runs, tmp_path / "collapse.png")
    assert (tmp_path / "collapse.png").stat().st_size > 20_000


def test_every_generation_needs_those_that_it_draws_from():
    drawn = (study.HALF_KEPT, study.KEPT, study.ACCUMULATE, study.ABOVE)
    arms = [("", 1), *((arm, n) for arm in drawn for n in (2, 3, 4))]
    wanted = [study._run(study.LETTERS, arm, n) | {"run.seed": 0} for arm, n in arms]
    groups = local.in_order(ensembles(study.get_config().to_dict(), wanted))
    needs = {group.name.partition("-")[2]: len(group.needs) for group in groups}
    assert needs["letters-real-1"] == 0 and needs["letters-kept-4"] == 1
    assert needs["letters-halfkept-3"] == 1
    assert needs["letters-accumulate-4"] == 3 and needs["letters-above-3"] == 1
    setups = local.prepare(groups)
    assert {setup.plan.examples for setup in setups} >= {2048, 4 * 2048}


@pytest.mark.slow
@pytest.mark.parametrize(("data", "last"), [(study.RULE, 3), (study.LETTERS, 2)])
def test_the_chain_runs_at_a_toy_size(data, last, tmp_path):
    cut = {"run.steps": 24, "run.examples": 96, "run.repeats": 4, "run.batch": 16, "run.chunk": 8,
           "eval.examples": 64}  # fmt: skip
    config = study.get_config().to_dict()
    config["observer"] |= dict(depth=1, width=8, head_dim=8)
    chain = [("", 1), *((arm, n) for arm in study.ARMS[data] for n in range(2, last + 1))]
    wanted = []
    for run in (study._run(data, arm, n) | cut for arm, n in chain):
        blocks = {"generator.block": 96 // run["run.turns"]} if "run.turns" in run else {}
        wanted += [run | blocks | {"run.seed": seed} for seed in (0, 1)]
    groups = local.in_order(ensembles(config, wanted))
    for _ in local.train(groups, local.prepare(groups), tmp_path):
        pass
    found = summary.runs([record.load(path) for path in record.find(tmp_path / "records")])
    for arm in study.ARMS[data]:
        label = f"{data}, {arm} {last}"
        run = evidence.pick(found, label__generator=label)
        assert all(np.isfinite(value) for value in parts.real_excess(run).values())
        assert evidence.mean(parts.real_loss(run)).mean > 0
        assert (run.record.rows["part_coded_tok"].sum((0, 1))[:-1] > 0).all()
        for compared in set(study.MEASURED[data]) - set(study.SHARED):
            assert all(0 <= share <= 1 for share in compared.of(run).values())
