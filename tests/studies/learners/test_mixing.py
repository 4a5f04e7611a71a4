"""Mixing policies: claims on records whose shares and losses are known, and the runs."""

import numpy as np
import pytest

from configs.studies.learners import mixing as study
from epx import record
from epx.analysis.measurement import LN2
from epx.report import evidence, parts, summary
from epx.run.setup import assemble
from epx.sweeps import local
from epx.sweeps.ensembles import ensembles
from tests import records

SEEDS, STEPS, P = 5, 200, len(study.NAMES)
# Share of noise and mean loss of the structured parts, in bits, by arm.
KNOWN = {
    study.NATURAL: (0.25, 1.0), study.EQUAL: (0.14, 0.9), study.ORACLE: (0.0, 0.6),
    study.HIGHEST: (0.9, 1.5), study.ADO: (0.1, 0.95), study.EPISELECT: (0.1, 0.8),
    study.CROSS: (0.1, 0.8), study.UNBOUNDED: (0.1, 0.95),
    study.FROM_EQUAL.format(study.UNBOUNDED): (0.1, 0.95),
    study.FROM_EQUAL.format(study.ADO): (0.1, 0.85),
    study.FROM_EQUAL.format(study.EPISELECT): (0.1, 0.8),
    study.FROM_EQUAL.format(study.CROSS): (0.1, 0.7),
}  # fmt: skip


def made(folder, arm):
    noise, loss = KNOWN[arm]
    weights = np.full(P, (1 - noise) / (P - 2))
    weights[study.NAMES.index("noise")], weights[-1] = noise, 0.0
    spread = 1 + 0.002 * np.arange(SEEDS)[:, None]
    run = records.write(
        folder, np.full((SEEDS, STEPS), 70.0), np.full((SEEDS, STEPS), 100),
        np.ones((SEEDS, 2 * P)), np.full((SEEDS, 2 * P), 10),
        members=[{"run.seed": seed} for seed in range(SEEDS)], code={"name": "prequential"},
        run={"seed": 0, "steps": STEPS, "batch": 5}, figure={"name": "mixing", "size": "cpu"},
        label={"generator": "eight parts", "observer": arm},
    )  # fmt: skip
    tokens = np.broadcast_to(1000 * weights, (SEEDS, STEPS, P))
    moving = np.broadcast_to(weights, (SEEDS, STEPS, P)).astype(np.float32)
    if arm.startswith(study.EPISELECT):  # its last weights are twice as much for rule 54
        moving = moving.copy()
        moving[:, -1, study.NAMES.index("rule 54")] *= 2
    run = records.rewrite(run, part_coded_tok=tokens, part_nats=0.7 * tokens, part_weights=moving)
    held_out = study.get_config().generator.held_out.split()
    shown = [n for n, weight in enumerate(held_out) if float(weight) > 0]
    part = np.broadcast_to(np.resize(shown, 2 * P), (SEEDS, 2 * P))
    evals = run.evals[STEPS] | {"part": part, "ema_nats": 10 * loss * LN2 * spread + 0.0 * part}
    record.write_arrays(record.eval_path(folder, STEPS), evals)
    return record.load(folder)


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("mixing")
    return summary.runs([made(folder / f"{n:02d}", arm) for n, arm in enumerate(study.ARMS)])


def test_scores_and_shares_are_those_of_the_records(runs):
    for arm, (noise, loss) in KNOWN.items():
        run = evidence.pick(runs, label__observer=arm)
        assert study.score(run)[0] == pytest.approx(loss, rel=1e-4)
        assert parts.shares(run)[0][2] == pytest.approx(noise, abs=1e-6)


def test_structure_is_what_was_charged_above_the_last_loss(runs):
    """Five parts have 0.15 of 200,000 tokens each, as all but noise and the unseen one have."""
    run = evidence.pick(runs, label__observer=study.EPISELECT)
    assert study.structure_bits(run)[0] == pytest.approx(
        5 * 0.15 * 200_000 * (0.7 / LN2 - 0.8), rel=1e-4
    )
    assert study.share(run, "constant")[0] == pytest.approx(0.15)
    assert study.moved(run)[0] == pytest.approx(1)


@pytest.mark.parametrize(
    ("number", "verdicts"),
    [
        (201, ["holds", "holds"]),
        (202, ["holds", "fails", "holds", "fails"]),
        (203, ["holds", "holds"]),
        (204, ["fails", "holds"]),
        (205, ["undecided", "holds"]),
        (206, ["holds", "holds"]),
        (207, ["holds", "holds"]),
        (208, ["holds", "holds"]),
        (209, ["holds"]),
    ],
)
def test_claims_are_judged(runs, number, verdicts):
    assert [check.verdict for check in study.check(number, runs)] == verdicts


def test_it_is_drawn(runs, tmp_path):
    study.draw(runs, tmp_path / "mixing.png")
    assert (tmp_path / "mixing.png").stat().st_size > 10_000


def test_all_arms_assemble():
    groups = ensembles(
        study.get_config().to_dict(), [r for r in study.sweep() if not r["run.seed"]]
    )
    policies = [assemble(group.config, group.members).policy for group in groups]
    assert len(groups) == 6 and sum(policy is not None for policy in policies) == 5


@pytest.mark.slow
def test_the_sweep_runs_at_a_toy_size(tmp_path):
    cut = {"run.steps": 80, "run.batch": 16, "run.chunk": 20, "eval.examples": 64,
           "eval.every": 40, "checkpoint.every": 40}  # fmt: skip
    config = study.get_config().to_dict()
    config["observer"] |= dict(depth=1, width=8, head_dim=8)
    wanted = []
    for run in study.sweep():
        if run["run.seed"] < 2:
            short = {"policy.period": 40} if "policy.period" in run else {}
            short |= {"policy.warmup": 0} if "policy.warmup" in run else {}
            wanted.append(run | cut | short)
    groups = ensembles(config, wanted)
    for _ in local.train(groups, local.prepare(groups), tmp_path):
        pass
    runs = summary.runs([record.load(path) for path in record.find(tmp_path / "records")])
    for number in study.CLAIMS:
        assert all(check.what for check in study.check(number, runs))
    study.draw(runs, tmp_path / "mixing.png")
    assert not any(share_P[-1] for run in runs for share_P in parts.shares(run).values())
