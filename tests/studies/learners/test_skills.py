"""The study of skills: claims on known losses, and a toy run."""

import numpy as np
import pytest

from configs.studies.learners import skills as study
from epx import record
from epx.analysis.measurement import LN2
from epx.report import summary
from epx.run.setup import assemble
from epx.sweeps import local
from epx.sweeps.ensembles import ensembles
from tests import records

SEEDS, STEPS = 5, 200
LOSS = {study.SKILL_IT: 0.8, study.ONES_FIRST: 0.7, study.HIGHEST: 1.2}  # others: 1 bit


def made(folder, arm):
    run = records.write(
        folder, np.full((SEEDS, STEPS), 70.0), np.full((SEEDS, STEPS), 100),
        np.ones((SEEDS, 6)), np.full((SEEDS, 6), 10),
        members=[{"run.seed": seed} for seed in range(SEEDS)], code={"name": "prequential"},
        run={"seed": 0, "steps": STEPS, "batch": 5}, figure={"name": "skills", "size": "cpu"},
        label={"generator": "places of sums", "observer": arm},
    )  # fmt: skip
    tokens = np.ones((SEEDS, STEPS, 3))
    run = records.rewrite(run, part_coded_tok=tokens, part_nats=tokens)
    part = np.broadcast_to(np.tile(np.arange(3), 2), (SEEDS, 6))
    bits = LOSS.get(arm, 1.0) * (1 + 0.002 * np.arange(SEEDS)[:, None]) + 0.0 * part
    evals = run.evals[STEPS] | {"part": part, "ema_nats": 10 * bits * LN2}
    record.write_arrays(record.eval_path(folder, STEPS), evals)
    return record.load(folder)


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("skills")
    return summary.runs([made(folder / f"{n:02d}", arm) for n, arm in enumerate(study.ARMS)])


@pytest.mark.parametrize(
    ("number", "verdicts"),
    [(241, ["holds"]), (242, ["holds"]), (243, ["fails", "undecided", "undecided"])],
)
def test_claims_are_judged(runs, number, verdicts):
    assert [check.verdict for check in study.check(number, runs)] == verdicts


def test_it_is_drawn(runs, tmp_path):
    study.draw(runs, tmp_path / "skills.png")
    assert (tmp_path / "skills.png").stat().st_size > 10_000


def test_all_arms_assemble():
    wanted = [run for run in study.sweep() if run["run.seed"] == 0]
    groups = ensembles(study.get_config().to_dict(), wanted)
    policies = [assemble(group.config, group.members).policy for group in groups]
    assert sum(policy is not None for policy in policies) == len(study.ARMS) - 2


@pytest.mark.slow
def test_the_sweep_runs_at_a_toy_size(tmp_path):
    cut = {"run.steps": 120, "run.chunk": 20, "eval.examples": 60, "eval.every": 40}
    config = study.get_config().to_dict()
    config["observer"] |= dict(depth=1, width=8, head_dim=8)
    wanted = []
    for run in study.sweep():
        if run["run.seed"] < 2:
            short = {"policy.period": 40} if "policy.period" in run else {}
            short |= {"policy.warmup": 0} if "policy.warmup" in run else {}
            short |= {"policy.steps": "40 40 40"} if "policy.steps" in run else {}
            wanted.append(run | cut | short)
    groups = ensembles(config, wanted)
    for _ in local.train(groups, local.prepare(groups), tmp_path):
        pass
    runs = summary.runs([record.load(path) for path in record.find(tmp_path / "records")])
    for number in study.CLAIMS:
        assert all(check.what for check in study.check(number, runs))
    study.draw(runs, tmp_path / "skills.png")
