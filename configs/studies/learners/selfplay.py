"""Self-play from rules alone: structure of moves while a learner becomes stronger.

    pip install 'epx-jax[games]'
    python -m experiments.sweep --sweep=selfplay --workdir=runs/selfplay

Tic-tac-toe, and connect four on 4 rows and 5 columns and on 6 and 7. A learner of moves and
outcomes learns from games of a search without a learner; the next one goes on from its weights, and
learns from games of a search that it guides, and so on. With each source of games a fresh observer
then learns the moves alone, given the position and a mask of the legal ones, so that random play
has no structure; and a transformer learns whole games. Learners and observers of moves are
perceptrons, which a search can ask fast. All of a board see as many games, and all searches have as
many simulations. Rows say how many moves are best by the exact table, which the largest board has
not, and how many were legal. The optimal player chooses among all best moves by chance, the
determined one takes the first.

Claims 221 to 227, of the largest board not measured yet.
"""

from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from configs import base
from epx.analysis import anchors, rank
from epx.analysis.measurement import LN2, Estimate
from epx.report import evidence, parts
from epx.report.claims import Check, exact
from epx.report.figures import lines
from epx.report.summary import Run
from epx.sweeps.grid import product, vary

CLAIMS = {
    221: "Moves at random have no structure for an observer that knows which are legal",
    222: "From rules alone the structure of moves rises: self-play has more than a search without "
    "a learner, and the last iteration more than the first",
    223: "The share of best moves rises with self-play",
    224: "What stays unpredictable falls from random moves to self-play",
    225: "Whole games of the optimal player have less structure than those of self-play",
    226: "The structure of moves rises with the share of best moves, from random play to the last "
    "iteration, and is less where all are best",
    227: "Moves of the determined player have less structure than those of the last iteration",
}
SEEDS = range(5)
SIMULATIONS, BATCH, WIDTH = 16, 64, 32
# Of 0.05, 0.1, 0.2 and 0.4 the one with the lowest held-out loss at seeds 100 and 101: of the first
# learner, and of moves of the search alone, in tic-tac-toe. For moves of the optimal player in both
# games, and for whole games of tic-tac-toe, 0.4 has less, by at most 0.02 bit per move.
LR = 0.2
TIC_TAC_TOE, CONNECT_FOUR, LARGE = "tic-tac-toe", "connect four", "connect four, 6 x 7"
BOARDS = {TIC_TAC_TOE: "tic_tac_toe", CONNECT_FOUR: "connect_four_4x5", LARGE: "connect_four"}
CELLS = {TIC_TAC_TOE: 9, CONNECT_FOUR: 20, LARGE: 42}
ITERATIONS = {TIC_TAC_TOE: 5, CONNECT_FOUR: 3, LARGE: 2}
STEPS = {TIC_TAC_TOE: 750, CONNECT_FOUR: 750, LARGE: 250}
SOLVED = (TIC_TAC_TOE, CONNECT_FOUR)
RANDOM, SEARCH, OPTIMAL, DETERMINED = "random", "search alone", "optimal", "determined"
MOVES, GAMES, PLAYER = "moves", "games", "the player"
# Bits per move of whole games of tic-tac-toe, by the tree of all games: bits over moves of a game.
EXACT_GAMES = {RANDOM: 17.5405 / 7.6262, OPTIMAL: 9.9762 / 9}

Value = Callable[[Run], dict[int, float]]  # a number of a run, by seed


def get_config(size: str = "cpu") -> base.ConfigDict:
    """The config shared by all runs."""
    config = base.get_config(size)
    config.figure = dict(name="selfplay", size=size)
    config.generator.update(name="game", simulations=SIMULATIONS)
    config.observer.update(name="mlp", depth=2, width=WIDTH)
    config.optim.update(lr=LR, warmup_steps=20, ema_steps=30)
    config.run.update(batch=BATCH, chunk=50)
    config.eval.update(examples=1024)
    config.checkpoint.update(every=None, keep=1)
    return config


def selfplay(game: str) -> list[str]:
    """The names of the iterations of a game."""
    return [f"self-play {n + 1}" for n in range(ITERATIONS[game])]


def sources(game: str) -> dict[str, dict[str, Any]]:
    """Who plays, in the order of the figure, with the keys of the generator."""
    search = {"generator.player": "search"}
    guided = {
        name: search | {"generator.record": f"ensemble:{_learner(game, n)}"}
        for n, name in enumerate(selfplay(game))
    }
    known = {name: {"generator.player": name} for name in (OPTIMAL, DETERMINED) if game in SOLVED}
    return {RANDOM: {"generator.player": "random"}, SEARCH: search, **guided, **known}


def sweep() -> list[dict[str, Any]]:
    """The learners of each iteration, and fresh observers of moves and games of each source."""
    runs = []
    for game, board in BOARDS.items():
        shared = {"generator.game": board, "run.steps": STEPS[game]}
        of_board = shared | {"observer.window": CELLS[game] + 1}
        of_games = shared | {"observer.name": "transformer", "observer.depth": 2,
                             "observer.width": 32, "observer.head_dim": 16}  # fmt: skip
        runs += [of_board | _iteration(game, n) for n in range(ITERATIONS[game])]
        runs += [
            observed | keys
            | {"generator.view": view, "label.generator": f"{game}, {name}", "label.observer": view}
            for view, observed in ((MOVES, of_board), (GAMES, of_games))
            for name, keys in sources(game).items()
        ]  # fmt: skip
    return product(runs, vary("run.seed", SEEDS))


def _iteration(game: str, n: int) -> dict[str, Any]:
    """The learner of an iteration."""
    keys = {
        "ensemble": _learner(game, n), "generator.player": "search", "generator.view": "both",
        "label.generator": f"{game}, iteration {n}", "label.observer": PLAYER,
    }  # fmt: skip
    before = f"ensemble:{_learner(game, n - 1)}"
    return keys | ({"generator.record": before, "run.start": before} if n else {})


def _learner(game: str, n: int) -> str:
    return f"{BOARDS[game]}-{n}"


def boards(runs: Sequence[Run]) -> list[str]:
    """The games that were measured: the largest board takes as long as the others together."""
    return [
        game
        for game in BOARDS
        if evidence.select(runs, label__generator=f"{game}, {RANDOM}", label__observer=GAMES)
    ]


def of(runs: Sequence[Run], game: str, source: str, view: str = MOVES) -> Run:
    """The run of the fresh observer of a source."""
    return evidence.pick(runs, label__generator=f"{game}, {source}", label__observer=view)


def best_share(run: Run) -> dict[int, float]:
    """By seed the share of the moves that are best."""
    return {
        seed: float(share_P[: len(share_P) // 2].sum() / share_P[:-1].sum())
        for seed, share_P in parts.shares(run).items()
    }


def structure_bits(run: Run) -> dict[int, float]:
    """By seed S of moves in bits, above the price of a uniform choice of a legal move.

    Where the game is not solved, nothing says how many moves were legal, and it is S as always.
    Positions have few or many legal moves. Of S only noise comes from that, by the plateau, but for
    moves at random it is all. The price of a uniform choice is the same on average at every step;
    subtracted from each charge it leaves the expectation of S, and takes the noise away.
    """
    if "part_coded_tok" not in run.record.rows:
        return _s(run)
    tokens_MxKxP = run.record.rows["part_coded_tok"].astype(np.float64)
    legal_A = np.arange(1, tokens_MxKxP.shape[2] // 2 + 1)
    uniform_P = np.log([*legal_A, *legal_A, 1])
    above_MxK = run.record.rows["nats"] - tokens_MxKxP @ uniform_P
    tokens_MxK = tokens_MxKxP.sum(2)
    plateau_M, _ = anchors.trend_nats(above_MxK, tokens_MxK)
    bits_M = (above_MxK.sum(1) - plateau_M * tokens_MxK.sum(1)) / LN2
    return {seed: float(bits_M[member]) for seed, member in parts.finite(run).items()}


def _rises(runs: Sequence[Run], game: str) -> Estimate:
    """The rank correlation of S of moves with the share of best ones, over all who learn."""
    names = [name for name in sources(game) if name not in (OPTIMAL, DETERMINED)]
    found = [of(runs, game, name) for name in names]

    def correlation(*values: float) -> float:
        return rank.spearman(values[: len(names)], values[len(names) :])

    return evidence.paired(correlation, *map(structure_bits, found), *map(best_share, found))


def check(number: int, runs: Sequence[Run]) -> list[Check]:
    """Of each game. Differences are paired by seed; S and H are of a move, or of a game."""
    return [
        check._replace(what=f"{game}: {check.what}")
        for game in boards(runs)
        for check in _of_game(number, runs, game)
    ]


def _of_game(number: int, runs: Sequence[Run], game: str) -> list[Check]:
    first, last = selfplay(game)[0], selfplay(game)[-1]

    def gap(a: str, b: str, value: Value, view: str = MOVES) -> Estimate:
        return evidence.difference(*(value(of(runs, game, name, view)) for name in (a, b)))

    if number == 221:
        bits = structure_bits(of(runs, game, RANDOM))
        moves = BATCH * STEPS[game]
        per_move = evidence.mean({seed: value / moves for seed, value in bits.items()})
        return [Check("S of random moves, bit per move", per_move, -0.005, 0.005)]
    if number == 222:
        pairs = ((SEARCH, RANDOM), (last, SEARCH), (last, first))
        return [
            Check(f"S of moves, {a} - {b}, bit", gap(a, b, structure_bits), 0) for a, b in pairs
        ]
    if number == 224:
        return [Check(f"H of a move, {last} - {RANDOM}, bit", gap(last, RANDOM, _h), high=0)]
    if game not in SOLVED:
        return []
    if number == 223:
        return [
            Check(f"share of best moves, {a} - {b}", gap(a, b, best_share), 0)
            for a, b in ((SEARCH, RANDOM), (last, SEARCH))
        ]
    if number == 225:
        fall = gap(OPTIMAL, last, _s, GAMES)
        return [Check(f"S of games, {OPTIMAL} - {last}, bit", fall, high=0)]
    if number == 227:
        fall = gap(DETERMINED, last, structure_bits)
        return [Check(f"S of moves, {DETERMINED} - {last}, bit", fall, high=0)]
    what = "rank correlation of S of moves and the share of best ones"
    fall = gap(OPTIMAL, last, structure_bits)
    return [
        Check(what, _rises(runs, game), 0),
        Check(f"S of moves, {OPTIMAL} - {last}, bit", fall, high=0),
    ]


def _s(run: Run) -> dict[int, float]:
    return evidence.by_seed(run, evidence.structure_bits)


def _h(run: Run) -> dict[int, float]:
    return evidence.by_seed(run, evidence.entropy_bits_per_tok)


def draw(runs: Sequence[Run], path: Path | None = None) -> Figure:
    """S and H of moves and of games, best moves, and positions that differ, a source a place."""
    names = list(sources(TIC_TAC_TOE))

    def panel(
        title: str, unit: str, value: Value, view: str, games: Collection[str] = BOARDS
    ) -> lines.Panel:
        series = {
            game: [
                (float(names.index(name)), evidence.mean(value(of(runs, game, name, view))))
                for name in sources(game)
            ]
            for game in boards(runs)
            if game in games
        }
        return lines.Panel(title, "", unit, series, names=names, y_scale="linear")

    shown = [
        panel("S of moves", "bit", structure_bits, MOVES),
        panel("H of moves", "bit per move", _h, MOVES),
        panel("best moves", "share", best_share, MOVES, SOLVED),
        panel("different positions", "share of moves", evidence.distinct_contexts, MOVES),
        panel("S of games", "bit", _s, GAMES),
        panel("H of games", "bit per move", _h, GAMES),
        panel("different games", "share of games", evidence.distinct_examples, GAMES),
    ]
    points = [(float(names.index(name)), exact(bits)) for name, bits in EXACT_GAMES.items()]
    shown[5].series[f"{TIC_TAC_TOE}, exact"] = points
    return lines.panels(shown, path)
