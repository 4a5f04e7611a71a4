"""The book of 145,697 real games, moves then board and board then moves: a first measurement of
figure 4c at the size of a laptop, 5 seeds.

    python -m experiments.data prepare gnubook
    python -m experiments.sweep --sweep=book --workdir=runs/book

Whole games fill rows of 256 characters, as in the paper; openings are cut after 16 half-moves, so
that a small observer sees a record at once. Rates were chosen from RATES for each observer, on a
seed of their own and on 500 steps of openings, by the shortest description S + H (`--tune` repeats
that).
"""

from typing import Any

from configs import base
from epx.sweeps import grid

RATES = (0.2, 0.4, 0.8, 1.6, 3.2)
SEEDS = 5

OBSERVERS = {
    "counts": {"name": "counts", "order": 3},
    "small": {"name": "transformer", "depth": 1, "width": 16},
    "larger": {"name": "transformer", "depth": 2, "width": 64},
}
CHOSEN = {"small": 1.6, "larger": 1.6}
NAMES = {
    "counts": "exact counter",
    "small": "transformer, 1 layer of 16",
    "larger": "transformer, 2 layers of 64",
}
ORDERS = {"moves_board": "moves then board", "board_moves": "board then moves"}
WORLDS: dict[str, dict[str, Any]] = {
    "games": dict(
        label="whole games",
        generator=dict(rows="stream", length=256),
        steps=600, eval_examples=4096,
    ),
    "openings": dict(
        label="16 half-moves",
        generator=dict(plies=16, result=False, rows="game", length=138),
        steps=1800, eval_examples=8192,
    ),
}  # fmt: skip


def ensembles(tune: bool = False) -> list[grid.Ensemble]:
    """A record for each world and observer, both orders in it; `tune` varies the rate on openings
    instead of the seed."""
    return [
        _ensemble(f"{number:02d}-{world}-{observer}", world, observer, tune)
        for number, (world, observer) in enumerate(
            (world, observer) for world in WORLDS for observer in OBSERVERS
        )
        if not tune or (world == "openings" and observer in CHOSEN)
    ]


def _ensemble(name: str, world: str, observer: str, tune: bool) -> grid.Ensemble:
    chosen = WORLDS[world]
    config = base.get_config("cpu")
    config.generator.update(dict(name="chess", corpus="gnubook") | chosen["generator"])
    config.observer.update(OBSERVERS[observer])
    config.optim.lr = CHOSEN.get(observer, config.optim.lr)
    config.run.steps = 500 if tune else chosen["steps"]
    config.run.batch = 32
    config.run.chunk = 25
    config.checkpoint.every = 250 if tune else 300
    config.checkpoint.keep = 2
    config.eval.examples = 1024 if tune else chosen["eval_examples"]
    orders = grid.zipped(
        grid.vary("generator.order", ORDERS),
        grid.vary("label.world", [f"{chosen['label']}, {words}" for words in ORDERS.values()]),
    )
    label = {"world": chosen["label"], "observer": NAMES[observer]}
    return grid.tuned(name, config.to_dict(), label, orders, RATES, SEEDS, tune)
