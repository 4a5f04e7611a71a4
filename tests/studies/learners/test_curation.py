"""The study of curation: weights of the arms, claims on known losses, and a toy run."""

import numpy as np
import pytest

import epx
from configs.studies.learners import _clusters
from configs.studies.learners import curation as study
from epx import record
from epx.analysis.measurement import LN2
from epx.report import summary
from epx.run.setup import assemble
from epx.sweeps import local
from epx.sweeps.ensembles import ensembles
from tests import records

SEEDS, P = 5, len(study.PARTS)
STEPS = range(study.EVERY, study.STEPS + 1, study.EVERY)
FASTER = {study.RAW: 1, study.FILTER: 3, study.ALL: 8}  # others: 1.5 alone, 4 of four


def test_weights_are_those_of_the_operations():
    names = list(study.PARTS)
    raw = dict(zip(names, study._weights(())))
    assert sum(raw.values()) == pytest.approx(1)
    assert raw["noise"] == raw["copies"] == pytest.approx(1 / 3)
    assert raw["order 1, verbose"] == pytest.approx(3 * raw["order 1"])
    curated = dict(zip(names, study._weights(study.OPERATIONS)))
    assert [curated[f"order {order}"] for order in study.ORDERS] == pytest.approx([1 / 3] * 3)
    assert sum(curated.values()) == pytest.approx(1)


def test_stages_show_every_page_once():
    """The share of each part over all stages is that without stages, within the rounding."""
    keys = study._overrides((study.SEQUENCE,))
    stages = np.array([stage.split() for stage in keys["policy.stages"].split(";")], float)
    steps = np.array(keys["policy.steps"].split(), float)
    assert steps.sum() == study.STEPS and not (steps % study.EVERY).any()
    shares = steps @ (stages / stages.sum(1, keepdims=True)) / study.STEPS
    np.testing.assert_allclose(shares, study._weights(()), atol=0.02)
    assert stages[0, 0] / stages[0, 2] > stages[2, 0] / stages[2, 2]


def made(folder, arm):
    """Losses 3 - log10 of the tokens, of an arm that is so many times faster."""
    faster = FASTER.get(arm, 4 if arm.startswith("without") else 1.5)
    run = records.write(
        folder, np.full((SEEDS, study.STEPS), 70.0), np.full((SEEDS, study.STEPS), 100),
        np.ones((SEEDS, P)), np.full((SEEDS, P), 10),
        members=[{"run.seed": seed} for seed in range(SEEDS)], code={"name": "prequential"},
        run={"seed": 0, "steps": study.STEPS, "batch": 5},
        figure={"name": "curation", "size": "cpu"},
        label={"generator": "languages, copies and noise", "observer": arm},
    )  # fmt: skip
    tokens = np.ones((SEEDS, study.STEPS, P))
    run = records.rewrite(run, part_coded_tok=tokens, part_nats=tokens)
    part = np.broadcast_to(np.arange(P), (SEEDS, P))
    for step in STEPS:
        bits = 9 - np.log10(step * faster) + 0.001 * np.arange(SEEDS)[:, None] + 0.0 * part
        evals = run.evals[study.STEPS] | {"part": part, "ema_nats": 10 * bits * LN2}
        record.write_arrays(record.eval_path(folder, step), evals)
    return record.load(folder)


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("curation")
    return summary.runs([made(folder / f"{n:02d}", arm) for n, arm in enumerate(study.ARMS)])


def test_speed_ups_are_those_of_the_losses(runs):
    for ratio in study.speed_up(runs, study.FILTER)[:-1]:
        assert ratio[0] == pytest.approx(3, rel=0.15)
    assert study.speed_up(runs, study.RAW)[-1] == pytest.approx(dict.fromkeys(range(SEEDS), 1))


@pytest.mark.parametrize(
    ("number", "verdicts"), [(231, ["holds"] * 10), (232, ["holds"] * 2), (233, ["holds"] * 10),
                             (234, ["fails"])]
)  # fmt: skip
def test_claims_are_judged(runs, number, verdicts):
    assert [check.verdict for check in study.check(number, runs)] == verdicts


def test_pages_are_clustered_without_labels(monkeypatch):
    monkeypatch.setattr(_clusters, "CORPORA", 2)
    same, ranks = _clusters.checks(study.PARTS, study._text(study._weights(())), pages=800)
    assert 0.3 < same.estimate.mean < 0.9 and ranks.estimate.mean > 0.3


def test_redundancy_is_that_of_the_laws():
    """Noise has 3 bits of log2 43; half of a verbose page is filler; copies cost next to none."""
    names = list(study.PARTS)
    corpus = epx.generator("mixture", parts="; ".join(study.PARTS.values()))
    known = {name: _clusters._redundancy(corpus, n, 4000) for n, name in enumerate(names)}
    assert known["noise"] == pytest.approx(1 - 3 / np.log2(43), rel=1e-3)
    for order in study.ORDERS:
        dense, verbose = known[f"order {order}"], known[f"order {order}, verbose"]
        assert 1 - verbose == pytest.approx((1 - dense) / 2, rel=0.1)
    paid = (1 - known["order 1"]) * 64 / 4000 + 6 / (32 * np.log2(43))
    assert 1 - known["copies"] == pytest.approx(paid, rel=0.1)


def test_it_is_drawn(runs, tmp_path):
    study.draw(runs, tmp_path / "curation.png")
    assert (tmp_path / "curation.png").stat().st_size > 10_000


def test_all_arms_assemble():
    wanted = [run for run in study.sweep() if run["run.seed"] == 0]
    groups = ensembles(study.get_config().to_dict(), wanted)
    assert sum(len(group.members) for group in groups) == len(study.ARMS)
    for group in groups:
        assemble(group.config, group.members)


@pytest.mark.slow
def test_the_sweep_runs_at_a_toy_size(tmp_path, monkeypatch):
    for name, value in {"STEPS": 120, "EVERY": 20, "TARGETS": (40, 80, 120)}.items():
        monkeypatch.setattr(study, name, value)
    config = study.get_config().to_dict()
    config["observer"] |= dict(depth=1, width=8, head_dim=8)
    config["eval"] |= {"examples": 90}
    config["checkpoint"] |= {"every": 60}
    groups = ensembles(config, [run for run in study.sweep() if run["run.seed"] < 2])
    for _ in local.train(groups, local.prepare(groups), tmp_path):
        pass
    runs = summary.runs([record.load(path) for path in record.find(tmp_path / "records")])
    for number in (231, 232, 233, 234):
        assert all(check.what for check in study.check(number, runs))
    study.draw(runs, tmp_path / "curation.png")
