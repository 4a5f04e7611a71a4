"""The study of self-play: claims on records that are known, and the chain of players."""

import numpy as np
import pytest

from configs.studies.learners import selfplay as study
from epx import record
from epx.analysis.measurement import LN2
from epx.report import evidence, export, summary
from epx.run.config import keys as run_config
from epx.sweeps import local
from epx.sweeps.ensembles import ensembles
from tests import records
from tests.runs import rows

SEEDS, STEPS = 5, 50
TOKENS = study.BATCH * 750
LEGAL = 4  # moves at each position
# S in bits, H in bits per move, and the share of best moves; of games S alone.
KNOWN = {study.RANDOM: (0.0, 2.0, 0.6), study.SEARCH: (100.0, 1.9, 0.8),
         study.OPTIMAL: (250.0, 1.1, 1.0), study.DETERMINED: (150.0, 0.0, 1.0)}  # fmt: skip
for n, name in enumerate(study.selfplay(study.TIC_TAC_TOE)):
    KNOWN[name] = (270.0 + 30 * n, 1.8 - 0.1 * n, 0.85 + 0.02 * n)
DIFFERENT = 3, 2  # examples and contexts, of 4


def made(folder, game, source, view):
    """A record whose charges begin with all of S in the first step, and then are H."""
    bits, entropy, best = KNOWN[source]
    if view == study.GAMES:
        bits = {study.OPTIMAL: 300.0, study.DETERMINED: 10.0}.get(source, 900.0 - bits)
    spread = np.linspace(0.99, 1.01, SEEDS)
    nats = np.full((SEEDS, STEPS), entropy * TOKENS / STEPS * LN2)
    nats[:, 0] += bits * spread * LN2
    path = folder / f"{len(list(folder.iterdir())):03d}"
    run = records.write(
        path, nats, np.full((SEEDS, STEPS), TOKENS / STEPS), np.full((SEEDS, 4), 2 * entropy * LN2),
        np.ones((SEEDS, 4), int), code={"name": "prequential"},
        members=[{"run.seed": seed} for seed in range(SEEDS)], run={"seed": 0, "steps": STEPS},
        label={"generator": f"{game}, {source}", "observer": view},
        figure={"name": "selfplay", "size": "cpu"}, eval={"test_tokens": None, "examples": 4},
    )  # fmt: skip
    names = "distinct_examples", "distinct_contexts"
    counts = {name: np.full(SEEDS, count) for name, count in zip(names, DIFFERENT)}
    record.write_arrays(path / "baselines.npz", counts)
    if game not in study.SOLVED:
        return record.load(path)
    tokens = np.zeros((SEEDS, STEPS, 11))
    tokens[:, :, LEGAL - 1] = best * TOKENS / STEPS * spread[:, None]
    tokens[:, :, 5 + LEGAL - 1] = TOKENS / STEPS - tokens[:, :, LEGAL - 1]
    return records.rewrite(run, part_coded_tok=tokens, part_nats=tokens)


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("selfplay")
    views = (study.MOVES, study.GAMES)
    return summary.runs(
        [
            made(folder, game, source, view)
            for game in study.BOARDS
            for view in views
            for source in study.sources(game)
        ]
    )


@pytest.mark.parametrize("number", study.CLAIMS)
def test_the_claims_hold_on_them(runs, number):
    checks = study.check(number, runs)
    assert checks and {check.verdict for check in checks} == {"holds"}


def test_the_figure_is_drawn(runs, tmp_path):
    study.draw(runs, tmp_path / "selfplay.png")
    assert (tmp_path / "selfplay.png").stat().st_size > 10_000


def test_structure_above_a_uniform_choice_is_what_was_put_in(runs):
    for source in study.sources(study.CONNECT_FOUR):
        found = study.structure_bits(study.of(runs, study.CONNECT_FOUR, source))
        assert list(found.values()) == pytest.approx(
            KNOWN[source][0] * np.linspace(0.99, 1.01, SEEDS), abs=0.01
        )


def test_a_board_that_was_not_measured_is_left_out(runs, tmp_path):
    some = [run for run in runs if study.LARGE not in run.record.config["label"]["generator"]]
    assert study.boards(some) == list(study.SOLVED) and study.boards(runs) == list(study.BOARDS)
    assert len(study.check(224, some)) == len(study.check(224, runs)) - 1 == 2
    study.draw(some, tmp_path / "selfplay.png")


def test_of_a_game_that_is_not_solved_it_is_s_as_always(runs):
    found = study.structure_bits(study.of(runs, study.LARGE, study.SEARCH))
    assert np.mean(list(found.values())) == pytest.approx(KNOWN[study.SEARCH][0], abs=1)
    assert study.DETERMINED not in study.sources(study.LARGE)


def test_shares_of_what_differs(runs):
    run = study.of(runs, study.TIC_TAC_TOE, study.SEARCH)
    assert set(evidence.distinct_examples(run).values()) == {0.75}
    assert set(evidence.distinct_contexts(run).values()) == {0.5}


@pytest.mark.slow
@pytest.mark.parametrize("board", study.SOLVED)
def test_s_of_random_moves_is_zero(board, tmp_path):
    """At the rate, size and steps of the study within the bounds of claim 221, as the number of
    legal moves is taken out: without that, its noise alone is ten times as wide."""
    keys = {"generator.view": "moves", "generator.player": "random",
            "generator.game": study.BOARDS[board]}  # fmt: skip
    keys |= {"observer.window": study.CELLS[board] + 1, "eval.examples": 64,
             "run.steps": study.STEPS[board]}  # fmt: skip
    config = run_config.resolve(study.get_config().to_dict(), keys)
    (run,) = summary.runs([rows(config, tmp_path, [{"run.seed": seed} for seed in (0, 1)])])
    for bits in study.structure_bits(run).values():
        assert abs(bits) / TOKENS < 0.005


def test_each_player_learns_from_the_one_before():
    pytest.importorskip("mctx", reason="pip install 'epx-jax[games]'")
    wanted = [run for run in study.sweep() if run["run.seed"] == 0]
    groups = local.in_order(ensembles(study.get_config().to_dict(), wanted))
    needs = {group.name.partition("-")[2]: group.needs for group in groups}
    assert needs["tic_tac_toe-0"] == () and needs["tic_tac_toe-4"] == ("03-tic_tac_toe-3",)
    sizes = [study.ITERATIONS[game] + 2 * len(study.sources(game)) for game in study.BOARDS]
    assert len(groups) == sum(sizes)
    assert len(local.prepare(groups[:3])) == 3


@pytest.mark.slow
@pytest.mark.parametrize("game", study.BOARDS)
def test_the_chain_runs_at_a_toy_size(game, tmp_path):
    pytest.importorskip("mctx", reason="pip install 'epx-jax[games]'")
    cut = {"run.steps": 10, "run.batch": 8, "run.chunk": 5, "eval.examples": 16,
           "generator.simulations": 4}  # fmt: skip
    names = ["iteration 0", "iteration 1", study.RANDOM, study.selfplay(game)[0]]
    names += [study.OPTIMAL, study.DETERMINED] * (game in study.SOLVED)
    kept = {f"{game}, {name}" for name in names}
    wanted = [run | cut for run in study.sweep()
              if run["run.seed"] < 2 and run["label.generator"] in kept]  # fmt: skip
    config = study.get_config().to_dict()
    config["observer"] |= dict(depth=1, width=8)
    groups = local.in_order(ensembles(config, wanted))
    for _ in local.train(groups, local.prepare(groups), tmp_path / "made"):
        pass
    export.pack(tmp_path / "made", packed := tmp_path / "packed.zip")
    with export.opened("records", str(packed)) as folder:
        found = summary.runs([record.load(path) for path in record.find(folder)])
    values = [evidence.distinct_contexts, study.structure_bits]
    values += [study.best_share] * (game in study.SOLVED)
    different, _, *share = (
        {name: np.mean(list(value(study.of(found, game, name)).values()))
         for name in names[2:]}
        for value in values
    )  # fmt: skip
    for of_name in share:
        assert of_name[study.RANDOM] < of_name[study.OPTIMAL] == of_name[study.DETERMINED] == 1.0
    assert all(0 < part <= 1 for part in different.values())
    shares = evidence.distinct_examples(study.of(found, game, study.RANDOM, study.GAMES))
    assert min(shares.values()) > 0.9
