"""Figure 4c: games are harder to predict with the board before the moves.

    python -m experiments.data prepare gnubook
    python -m experiments.sweep --sweep=paper/fig4c_chess_order --workdir=runs/fig4c

145,697 games of masters, in both orders. Complete games fill rows of 256 characters; openings are
cut after 16 half-moves, so that a small observer sees a game at once. Rates were chosen from RATES
for each observer by the shortest description S + H. `paper` needs games of Lichess, January 2025,
in `lichess.pgn`.

Claim 16; 12 minutes on 2 cores, and 3 to prepare the games.
"""

import math
from collections.abc import Sequence
from typing import Any

from configs.paper import _figure
from epx.analysis.measurement import Estimate
from epx.report import comparison, evidence
from epx.report.claims import Check
from epx.report.summary import Run
from epx.sweeps.grid import chain, product, vary, zipped

CLAIMS = {
    16: "H and S are larger with the board first",
}
RATES = (0.2, 0.4, 0.8, 1.6, 3.2)
OBSERVERS = [
    {"observer.name": "counts", "observer.order": 3, "label.observer": "exact counter"},
    {
        "observer.depth": 1,
        "observer.width": 16,
        "optim.lr": 1.6,
        "label.observer": "transformer, 1 layer of 16",
    },
    {
        "observer.depth": 2,
        "observer.width": 64,
        "optim.lr": 1.6,
        "label.observer": "transformer, 2 layers of 64",
    },
]
LARGEST = OBSERVERS[-1]["label.observer"]
GAMES = {
    "generator.rows": "stream",
    "generator.length": 256,
    "run.steps": 600,
    "eval.examples": 4096,
}
OPENINGS = {
    "generator.plies": 16,
    "generator.result": False,
    "generator.rows": "game",
    "generator.length": 138,
    "run.steps": 1800,
    "eval.examples": 8192,
}
DATA = {"whole games": GAMES, "16 half-moves": OPENINGS}
ORDERS = {"moves_board": "moves then board", "board_moves": "board then moves"}
# The deepest of the published models of a nominal size of 10 million parameters.
PAPER = {
    "observer.depth": 24,
    "observer.width": 192,
    "optim.lr": 2.0,
    "code.name": "requential",
    "code.max_kl": 0.1,
    "label.observer": "transformer, 24 layers of 192",
}


def get_config(size: str = "cpu") -> _figure.ConfigDict:
    """The config shared by all runs."""
    config = _figure.get_config("fig4c_chess_order", size)
    config.generator.update(name="chess", corpus="gnubook")
    config.optim.warmup_steps = 50
    config.run.update(batch=32, chunk=25)
    config.checkpoint.update(every=300, keep=2)
    config.tuning = dict(rates=RATES, seed=1000, chosen_by="smallest S + H")
    if size == "paper":
        config.generator.update(corpus="lichess.pgn", rows="stream", length=512)
        config.optim.warmup_steps = 125
        config.run.update(batch=256, steps=38_146, chunk=50)
        config.eval.update(examples=2048, test_tokens=5e9)
        config.checkpoint.every = 1000
    return config


def sweep(size: str = "cpu") -> list[dict[str, Any]]:
    """Complete games and openings, each under three observers in both orders."""
    seeds = vary("run.seed", range(5))
    if size == "paper":
        return product([PAPER], _orders("whole games"), seeds)
    return chain(*(product([rows], OBSERVERS, _orders(data), seeds) for data, rows in DATA.items()))


def _orders(data: str) -> list[dict[str, Any]]:
    labels = [f"{data}, {words}" for words in ORDERS.values()]
    return zipped(vary("generator.order", ORDERS), vary("label.generator", labels))


def check(number: int, runs: Sequence[Run]) -> list[Check]:
    """The board first minus the moves first, for the largest observer, paired by seed."""
    paper = evidence.config(runs[0])["figure.size"] == "paper"
    observer = PAPER["label.observer"] if paper else LARGEST
    checks = []
    for data in ["whole games"] if paper else DATA:
        moves, board = (
            evidence.pick(runs, label__observer=observer, label__generator=f"{data}, {words}")
            for words in ORDERS.values()
        )
        gap = comparison.difference(board, moves)
        for what, key in (("H, bit per character", "H_bits_per_tok"), ("S, bit", "S_bits")):
            mean, half = gap[key]
            estimate = Estimate(mean, math.nan if half is None else half)
            checks.append(Check(f"{data}: {what}, board first - moves first", estimate, 0))
    return checks
