"""The study of self-play: claims on records that are known, and the chain of players."""

import numpy as np
import pytest

from configs.studies import selfplay as study
from epx import record
from epx.analysis.measurement import LN2
from epx.report import summary
from epx.sweeps import local
from epx.sweeps.ensembles import ensembles
from tests import records

SEEDS, STEPS, TOKENS = 5, 8, 1000.0
# S in bits, H in bits per move, and the share of best moves; of games S alone.
KNOWN = {study.RANDOM: (0.0, 2.3, 0.6), study.SEARCH: (100.0, 2.0, 0.8),
         study.OPTIMAL: (300.0, 1.1, 1.0)}  # fmt: skip
for n, name in enumerate(study.SELFPLAY):
    KNOWN[name] = (150.0 + 30 * n, 1.8 - 0.1 * n, 0.85 + 0.02 * n)


def made(folder, source, view):
    bits, entropy, best = KNOWN[source]
    if view == study.GAMES:
        bits = 900.0 - 2 * bits
    spread = np.linspace(0.99, 1.01, SEEDS)[:, None]
    nats = (entropy * TOKENS + bits * spread) * LN2 / STEPS * np.ones((1, STEPS))
    path = folder / f"{len(list(folder.iterdir())):03d}"
    run = records.write(
        path, nats, np.full((SEEDS, STEPS), TOKENS / STEPS), np.full((SEEDS, 4), 2 * entropy * LN2),
        np.ones((SEEDS, 4), int), code={"name": "prequential"},
        members=[{"run.seed": seed} for seed in range(SEEDS)], run={"seed": 0, "steps": STEPS},
        label={"generator": source, "observer": view},
        figure={"name": "selfplay", "size": "cpu"},
    )  # fmt: skip
    share = np.array([best, 1 - best, 0.0]) * TOKENS / STEPS
    tokens = np.broadcast_to(share, (SEEDS, STEPS, 3)).copy()
    tokens[:, :, 0] *= spread
    return records.rewrite(run, part_coded_tok=tokens, part_nats=tokens)


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("selfplay")
    views = (study.MOVES, study.GAMES)
    return summary.runs([made(folder, source, view) for view in views for source in study.SOURCES])


@pytest.mark.parametrize("number", study.CLAIMS)
def test_the_claims_hold_on_them(runs, number):
    checks = study.check(number, runs)
    assert checks and {check.verdict for check in checks} == {"holds"}


def test_the_figure_is_drawn(runs, tmp_path):
    study.draw(runs, tmp_path / "selfplay.png")
    assert (tmp_path / "selfplay.png").stat().st_size > 10_000


def test_each_player_learns_from_the_one_before():
    pytest.importorskip("mctx", reason="pip install 'epx-jax[games]'")
    wanted = [run for run in study.sweep() if run["run.seed"] == 0]
    groups = local.in_order(ensembles(study.get_config().to_dict(), wanted))
    needs = {group.name.partition("-")[2]: group.needs for group in groups}
    assert needs["learner-0"] == () and needs["learner-4"] == ("03-learner-3",)
    assert len(groups) == study.ITERATIONS + 2 * len(study.SOURCES)
    assert len(local.prepare(groups[:3])) == 3


@pytest.mark.slow
def test_the_chain_runs_at_a_toy_size(tmp_path, monkeypatch):
    pytest.importorskip("mctx", reason="pip install 'epx-jax[games]'")
    cut = {"run.steps": 10, "run.batch": 8, "run.chunk": 5, "eval.examples": 16,
           "generator.simulations": 4}  # fmt: skip
    kept = {"iteration 0", "iteration 1", *list(study.SOURCES)[:4], study.OPTIMAL}
    wanted = [run | cut for run in study.sweep()
              if run["run.seed"] < 2 and run["label.generator"] in kept]  # fmt: skip
    config = study.get_config().to_dict()
    config["observer"] |= dict(depth=1, width=8, head_dim=8)
    groups = local.in_order(ensembles(config, wanted))
    for _ in local.train(groups, local.prepare(groups), tmp_path):
        pass
    found = summary.runs([record.load(path) for path in record.find(tmp_path / "records")])
    share = {name: np.mean(list(study.best_share(study._of(found, name, study.MOVES)).values()))
             for name in (study.RANDOM, study.SEARCH, study.OPTIMAL)}  # fmt: skip
    assert share[study.RANDOM] < share[study.OPTIMAL] == 1.0
