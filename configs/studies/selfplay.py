"""Self-play from rules alone: structure of moves while a learner becomes stronger.

    pip install 'epx-jax[games]'
    python -m experiments.sweep --sweep=selfplay --workdir=runs/selfplay

Tic-tac-toe. A learner of moves and outcomes learns from games of a search without a learner; the
next one goes on from its weights, and learns from games of a search that it guides, and so on. With
each source of games a fresh observer then learns the moves alone, given the position and a mask of
the legal ones, so that random play has no structure; and whole games. Rows say how many moves are
best by the exact table.

Claims 221 to 225, not measured yet.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from configs import base
from epx.report import evidence, lines, parts
from epx.report.claims import Check
from epx.report.summary import Run
from epx.sweeps.grid import product, vary

CLAIMS = {
    221: "Moves at random have no structure for an observer that knows which are legal",
    222: "From rules alone the structure of moves rises: self-play has more than a search without "
    "a learner, and the last iteration more than the first",
    223: "The share of best moves rises with self-play",
    224: "What stays unpredictable falls from random moves to self-play",
    225: "Whole games of the optimal player have less structure than those of self-play",
}
SEEDS = range(5)
ITERATIONS, SIMULATIONS = 5, 16
BATCH, LEARNED_STEPS, STEPS = 32, 300, 400
LR = 0.2  # to be chosen
RANDOM, SEARCH, OPTIMAL = "random", "search alone", "optimal"
SELFPLAY = tuple(f"self-play {n}" for n in range(1, ITERATIONS + 1))
SOURCES: dict[str, dict[str, Any]] = {
    RANDOM: {"generator.player": "random"},
    SEARCH: {"generator.player": "search"},
    **{
        name: {"generator.player": "search", "generator.record": f"ensemble:learner-{n}"}
        for n, name in enumerate(SELFPLAY)
    },
    OPTIMAL: {"generator.player": "optimal"},
}
MOVES, GAMES, LEARNER = "moves", "games", "the player"


def get_config(size: str = "cpu") -> base.ConfigDict:
    """The config shared by all runs."""
    config = base.get_config(size)
    config.figure = dict(name="selfplay", size=size)
    config.generator.update(name="game", simulations=SIMULATIONS)
    config.observer.update(depth=2, width=32, head_dim=16)
    config.optim.update(lr=LR, warmup_steps=20, ema_steps=30)
    config.run.update(batch=BATCH, steps=STEPS, chunk=50)
    config.eval.update(examples=1024)
    config.checkpoint.update(every=None, keep=1)
    return config


def sweep() -> list[dict[str, Any]]:
    """The learners of each iteration, and fresh observers of moves and games of each source."""
    runs = []
    for n in range(ITERATIONS):
        learner = {"ensemble": f"learner-{n}", "generator.player": "search",
                   "generator.view": "both", "run.steps": LEARNED_STEPS,
                   "label.generator": f"iteration {n}", "label.observer": LEARNER}  # fmt: skip
        if n:
            before = f"ensemble:learner-{n - 1}"
            learner |= {"generator.record": before, "run.start": before}
        runs.append(learner)
    for view in (MOVES, GAMES):
        runs += [
            keys | {"generator.view": view, "label.generator": name, "label.observer": view}
            for name, keys in SOURCES.items()
        ]
    return product(runs, vary("run.seed", SEEDS))


def _of(runs: Sequence[Run], source: str, view: str) -> Run:
    return evidence.pick(runs, label__generator=source, label__observer=view)


def best_share(run: Run) -> dict[int, float]:
    """By seed the share of the moves that are best."""
    return {
        seed: float(share_P[0] / share_P[:2].sum()) for seed, share_P in parts.shares(run).items()
    }


def check(number: int, runs: Sequence[Run]) -> list[Check]:
    """Differences are paired by seed; S and H are of a move, or of a game."""
    first, last = SELFPLAY[0], SELFPLAY[-1]

    def of(source: str, quantity: evidence.Quantity, view: str = MOVES) -> dict[int, float]:
        return evidence.by_seed(_of(runs, source, view), quantity)

    s, h = evidence.structure_bits, evidence.entropy_bits_per_tok
    if number == 221:
        per_move = evidence.mean(of(RANDOM, evidence.structure_bits_per_tok))
        return [Check("S of random moves, bit per move", per_move, -0.005, 0.005)]
    if number == 222:
        pairs = ((SEARCH, RANDOM), (last, SEARCH), (last, first))
        return [
            Check(f"S of moves, {a} - {b}, bit", evidence.difference(of(a, s), of(b, s)), 0)
            for a, b in pairs
        ]
    if number == 223:
        share = {name: best_share(_of(runs, name, MOVES)) for name in (RANDOM, SEARCH, last)}
        return [
            Check(f"share of best moves, {a} - {b}", evidence.difference(share[a], share[b]), 0)
            for a, b in ((SEARCH, RANDOM), (last, SEARCH))
        ]
    if number == 224:
        gap = evidence.difference(of(last, h), of(RANDOM, h))
        return [Check(f"H of a move, {last} - {RANDOM}, bit", gap, high=0)]
    gap = evidence.difference(of(OPTIMAL, s, GAMES), of(last, s, GAMES))
    return [Check(f"S of games, {OPTIMAL} - {last}, bit", gap, high=0)]


def draw(runs: Sequence[Run], path: Path | None = None) -> Figure:
    """S and H of moves and of games, and the share of best moves, a source a place."""
    names, panels = list(SOURCES), []
    for title, unit, quantity in (
        ("S", "bit", evidence.structure_bits),
        ("H", "bit per move", evidence.entropy_bits_per_tok),
    ):
        series = {
            view: [
                (float(n), evidence.mean(evidence.by_seed(_of(runs, name, view), quantity)))
                for n, name in enumerate(names)
            ]
            for view in (MOVES, GAMES)
        }
        panels.append(lines.Panel(title, "", unit, series, names=names, y_scale="linear"))
    shares = [
        (float(n), evidence.mean(best_share(_of(runs, name, MOVES))))
        for n, name in enumerate(names)
    ]
    title = "best moves"
    panels.append(lines.Panel(title, "", "share", {MOVES: shares}, names=names, y_scale="linear"))
    return lines.panels(panels, path)
