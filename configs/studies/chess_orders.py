"""145,697 real chess games, moves then board and board then moves.

A first measurement of figure 4c at a small scale: 5 seeds, 41 minutes on 2 cores.

    python -m experiments.data prepare gnubook
    python -m experiments.sweep --sweep=chess_orders --workdir=runs/chess_orders

Complete games fill rows of 256 characters; openings are cut after 16 half-moves, so that a small
observer sees a game at once. Rates were chosen from RATES for each observer by the shortest
description S + H.
"""

from typing import Any

from configs import base
from epx.sweeps.grid import chain, product, vary, zipped

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
ORDERS = {"moves_board": "moves then board", "board_moves": "board then moves"}


def get_config(size: str = "cpu") -> base.ConfigDict:
    """The config shared by all runs."""
    config = base.get_config(size)
    config.generator.update(name="chess", corpus="gnubook")
    config.run.update(batch=32, chunk=25)
    config.checkpoint.update(every=300, keep=2)
    config.tuning = dict(rates=RATES, seed=1000, chosen_by="smallest S + H")
    return config


def sweep() -> list[dict[str, Any]]:
    """Complete games and openings, each under three observers in both orders."""
    return chain(
        product([GAMES], OBSERVERS, _orders("whole games"), vary("run.seed", range(5))),
        product([OPENINGS], OBSERVERS, _orders("16 half-moves"), vary("run.seed", range(5))),
    )


def _orders(data: str) -> list[dict[str, Any]]:
    labels = [f"{data}, {words}" for words in ORDERS.values()]
    return zipped(vary("generator.order", ORDERS), vary("label.generator", labels))
