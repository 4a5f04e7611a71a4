"""Figure 7: claims on records whose numbers are known, and the runs of the sweep."""

import numpy as np
import pytest

from configs.paper import fig7_chess_downstream as figure
from epx import record
from epx.analysis.measurement import LN2
from epx.report import evidence, summary
from epx.run import setup as setups
from epx.sweeps import local
from epx.sweeps.ensembles import ensembles
from tests import records

SEEDS, STEPS, CODED, E = 5, 10, 100, 200


def made(folder, structure, generator, observer, right=0.0):
    """A record with this S in bits, of which a share of the held-out examples is right."""
    spread = np.linspace(0.999, 1.001, SEEDS)[:, None]
    nats = 0.5 * CODED + structure * LN2 * spread / STEPS * np.ones((1, STEPS))
    path = folder / f"{len(list(folder.iterdir())):03d}"
    run = records.write(
        path, nats, np.full((SEEDS, STEPS), CODED), np.full((SEEDS, E), 2.0),
        np.full((SEEDS, E), 2), code={"name": "prequential"},
        members=[{"run.seed": seed} for seed in range(SEEDS)],
        run={"seed": 0, "steps": STEPS, "batch": 5}, label={"generator": generator,
        "observer": observer}, figure={"name": "fig7_chess_downstream", "size": "cpu"},
    )  # fmt: skip
    hits = np.ones((SEEDS, E), int)  # of two tokens: one is right, which is not enough
    hits[:, : round(right * E)] = 2
    evals = run.evals[STEPS] | {"ema_hits": hits, "raw_hits": hits}
    record.write_arrays(record.eval_path(path, STEPS), evals)
    return record.load(path)


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """The board first: more structure, and the class is right 8 % more often after 2000 steps."""
    folder, found = tmp_path_factory.mktemp("fig7"), []
    for words, bits in ((figure.MOVES, 2e4), (figure.BOARD, 3e4)):
        found.append(made(folder, bits, figure.GAMES, words))
    for task in figure.TASKS.values():
        found.append(made(folder, 5000, task, figure.SCRATCH, right=0.2))
        for order, words in figure.ORDERS.items():
            for step in figure.TAKEN["cpu"]:
                gains = task == "class" and words == figure.BOARD and step == 2000
                bits = 3000 if gains else 4000
                label = figure._after(order, step)
                found.append(made(folder, bits, task, label, right=0.33 if gains else 0.25))
    return summary.runs(found)


@pytest.mark.parametrize("number", figure.CLAIMS)
def test_the_claims_hold(runs, number):
    checks = figure.check(number, runs)
    assert [check.verdict for check in checks] == ["holds"] * len(checks)
    if number == 17:
        assert [check.estimate.mean for check in checks] == pytest.approx([0.08, 0])
    if number == 164:
        assert [check.estimate.mean for check in checks] == pytest.approx([1000, 2000, 1000, 1000])


def test_an_answer_is_right_if_all_its_tokens_are(runs):
    scratch = evidence.pick(runs, label__generator="best move", label__observer=figure.SCRATCH)
    assert set(evidence.all_right(scratch).values()) == {0.2}
    assert set(evidence.accuracy(scratch).values()) == {0.6}


def test_the_table_says_where_the_effect_is_seen(runs):
    rows = [line.split() for line in figure.table(runs).splitlines()[2:]]
    assert [row[-1] for row in rows] == ["no", "no", "yes", "no", "no", "no"]


def test_it_is_drawn(runs, tmp_path):
    figure.draw(runs, tmp_path / "fig7.png")
    assert (tmp_path / "fig7.png").stat().st_size > 10_000


@pytest.mark.slow
def test_the_sweep_runs_at_a_toy_size(tmp_path):
    """Games of self-play, and the material in place of what Stockfish says."""
    played = {"generator.corpus": "selfplay-greedy", "generator.games": 200}
    cut = {"run.batch": 8, "eval.examples": 16, "run.chunk": 10, "optim.lr": 0.1}
    wanted = []
    for run in figure.sweep():
        if run["run.seed"] > 1:
            continue
        small = run | cut | {"run.steps": 30}
        if run["label.generator"] == figure.GAMES:
            small |= {"generator.games": 200}
        else:
            small |= played | {"generator.task": "material", "run.examples": 120, "eval.every": 10}
        if "run.start" in run:
            name, _, step = run["run.start"].rpartition(":")
            small["run.start"] = f"{name}:{10 * (1 + figure.TAKEN['cpu'].index(int(step)))}"
        wanted.append(small)
    config = figure.get_config().to_dict()
    config["generator"]["corpus"] = "selfplay-greedy"
    config["observer"] |= dict(depth=1, width=8, head_dim=8)
    config["checkpoint"]["every"] = 10
    groups = local.in_order(ensembles(config, wanted))
    assert len(groups) == 2 + 7  # both questions are the material here
    for _ in local.train(groups, local.prepare(groups), tmp_path):
        pass
    runs = summary.runs([record.load(path) for path in record.find(tmp_path / "records")])
    for number in figure.CLAIMS:
        assert all(check.what for check in figure.check(number, runs))
    starts = {run.record.config["facts"].get("start_step") for run in runs}
    assert starts == {None, 10, 20, 30}
    assert isinstance(setups.assemble(groups[0].config, groups[0].members), setups.Setup)
