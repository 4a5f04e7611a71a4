"""Figure 7: claims on records whose numbers are known, and the runs of the sweep."""

import numpy as np
import pytest
from scipy import stats

from configs.paper import fig7_chess_downstream as figure
from epx import record
from epx.analysis.measurement import LN2
from epx.report import evidence, summary
from epx.run import setup as setups
from epx.sweeps import local
from epx.sweeps.ensembles import ensembles
from tests import records

SEEDS, STEPS, CODED, E = 5, 10, 100, 200
UNLEARNED = 4000.0  # bits of EDL above the floor of others, and none above its own


def made(folder, structure, generator, observer, right=0.0, unlearned=0.0):
    """A record with this S in bits, of which a share of the held-out examples is right.

    `unlearned` bits are in the code and in the held-out loss.
    """
    spread = np.linspace(0.999, 1.001, SEEDS)[:, None]
    loss = 0.5 + unlearned * LN2 / (STEPS * CODED)
    nats = loss * CODED + structure * LN2 * spread / STEPS * np.ones((1, STEPS))
    path = folder / f"{len(list(folder.iterdir())):03d}"
    run = records.write(
        path, nats, np.full((SEEDS, STEPS), CODED), np.full((SEEDS, E), 4 * loss),
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
    """The board first: more structure, and the class is right 10 % more often from 1000 steps on.

    From nothing little is learned: of the 5000 bits above what games come to, 1000 are above the
    loss at its own end.
    """
    folder, found = tmp_path_factory.mktemp("fig7"), []
    for words, bits in ((figure.MOVES, 2e4), (figure.BOARD, 3e4)):
        found.append(made(folder, bits, figure.GAMES, words))
    for task in figure.TASKS.values():
        found.append(made(folder, 1000, task, figure.SCRATCH, right=0.2, unlearned=UNLEARNED))
        for order, words in figure.ORDERS.items():
            for step in figure.TAKEN["cpu"]:
                gains = words == figure.BOARD and step >= 1000
                right = 0.35 if gains and task == "class" else 0.25
                label = figure._after(order, step)
                found.append(made(folder, 3000 if gains else 4000, task, label, right))
    return summary.runs(found)


def test_the_claims_hold_that_should(runs):
    checks = {number: figure.check(number, runs) for number in figure.CLAIMS}
    for number in (17, 163, 164):
        assert {check.verdict for check in checks[number]} == {"holds"}
    assert [check.estimate.mean for check in checks[17]] == pytest.approx([0.1, 0])
    assert [check.estimate.mean for check in checks[163]] == pytest.approx([1e4, 1000, 1000])
    saved = [check.estimate.mean for check in checks[164]]
    assert saved == pytest.approx([1000, 2000, 1000, 2000])
    assert [check.verdict for check in checks[165]] == ["undecided", "holds", "holds"]


def test_shared_positions_and_the_number_of_looks_widen_an_interval(runs):
    """Seeds agree on 200 positions, of which 20 differ: 0.1 give or take 0.3 / sqrt(200)."""
    alone, among = (figure._gap(runs, "class", 2000, looks).right for looks in (1, 12))
    error = np.sqrt(0.1 * 0.9 / (E - 1))
    assert alone == pytest.approx((0.1, 1.96 * error), rel=1e-3)
    quantiles = stats.t.ppf([1 - 0.025 / 12, 0.975], SEEDS - 1)
    assert among.half_width / alone.half_width == pytest.approx(quantiles[0] / quantiles[1])


def test_an_answer_is_right_if_all_its_tokens_are(runs):
    scratch = evidence.pick(runs, label__generator="best move", label__observer=figure.SCRATCH)
    assert set(evidence.all_right(scratch).values()) == {0.2}
    assert set(evidence.accuracy(scratch).values()) == {0.6}


def test_the_table_says_where_the_effect_is_seen(runs):
    rows = [line.split("  ") for line in figure.table(runs).splitlines()[2:]]
    cells = [[cell.strip() for cell in row if cell.strip()] for row in rows]
    assert [row[7] for row in cells] == ["no", "yes", "yes", "no", "no", "no"]
    assert [row[9] for row in cells] == ["no", "yes", "yes", "no", "yes", "yes"]
    edl = [[float(cell.split()[0]) for cell in row[3:6]] for row in cells]
    assert edl[0] == [5000, 4000, 4000] and edl[1] == [5000, 4000, 3000]


def test_no_position_is_of_a_game_that_was_learned():
    for size in ("cpu", "paper"):
        config = figure.get_config(size)
        for run in figure.sweep(size):
            if run["label.generator"] != figure.GAMES:
                assert 0 < run["generator.games"] <= config.generator.skip


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
            small |= {"generator.games": 400, "generator.skip": 200}
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
