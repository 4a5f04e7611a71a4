"""The demo: seven kinds of data under an exact counter, a small and a larger transformer.

    python -m experiments.demo          5 to 13 minutes on 2 cores
    python -m experiments.demo --fast   under 90 s: two seeds, half the steps, no larger model,
                                        no chess, no ChaCha20

Rates were chosen from RATES for each observer and kind of data, on a separate seed, by the shortest
description S + H (`python -m experiments.demo --tune` repeats that).
"""

from typing import Any

from configs import base
from epx.sweeps.grid import product, vary, zipped

RATES = (0.02, 0.05, 0.1, 0.2, 0.4, 0.8, 1.6, 3.2)
SEEDS = 4

OBSERVERS: dict[str, dict[str, Any]] = {
    "counts": {"observer.name": "counts", "label.observer": "exact counter"},
    "small": {
        "observer.depth": 1,
        "observer.width": 16,
        "label.observer": "transformer, 1 layer of 16",
    },
    "larger": {
        "observer.depth": 2,
        "observer.width": 32,
        "label.observer": "transformer, 2 layers of 32",
    },
}
# For each kind of data: its keys, the overrides of its members, the length of its training, the
# order of the counter (order 3 on English needs gigabytes), and the chosen rates.
DATA: dict[str, dict[str, Any]] = {
    "life": dict(
        label="Life: next frame",
        generator=dict(name="life", height=6, width=6, burnin=8),
        vary=[{}],
        batch=32, steps=1000, examples=3072, order=8, rates=dict(small=0.2, larger=0.05),
    ),
    "eca": dict(
        label="automaton, rule {rule}",
        generator=dict(name="eca", width=32, steps=16, burnin=64),
        vary=vary("generator.rule", (15, 30, 54)),
        batch=64, steps=500, examples=3072, order=8, rates=dict(small=0.2, larger=0.8),
    ),
    "text": dict(
        label="English, {direction}",
        generator=dict(name="text", corpus="pydoc", length=64),
        vary=vary("generator.direction", ("forward", "reverse")),
        batch=32, steps=700, examples=3072, order=2, rates=dict(small=1.6, larger=0.4),
    ),
    "chess": dict(
        label="chess",
        generator=dict(name="chess", corpus="selfplay-greedy", games=14_500, plies=8,
                       result=False, rows="game", length=104),
        vary=zipped(
            vary("generator.order", ("moves_board", "board_moves")),
            vary("label.generator", ("chess, moves then board", "chess, board then moves")),
        ),
        batch=32, steps=400, examples=1408, order=3, rates=dict(small=1.6, larger=1.6),
    ),
    "lcg": dict(
        label="LCG, bit {low_bit}",
        generator=dict(name="cipher", algorithm="lcg", shown_bits=1, length=64),
        vary=vary("generator.low_bit", (3, 16)),
        batch=32, steps=800, examples=3072, order=8, rates=dict(small=0.4, larger=0.1),
    ),
    "chacha": dict(
        label="ChaCha20, seed of {key_bits} bits",
        generator=dict(name="cipher", algorithm="chacha", key_bits=16, length=64),
        vary=[{}],
        batch=64, steps=200, examples=3072, order=8, rates=dict(small=0.02, larger=0.02),
    ),
    "iid": dict(
        label="coin flips",
        generator=dict(name="iid", law="uniform", length=64),
        vary=[{}],
        batch=64, steps=200, examples=3072, order=8, rates=dict(small=0.02, larger=0.02),
    ),
}  # fmt: skip


def get_config(size: str = "cpu") -> base.ConfigDict:
    """The config shared by all runs."""
    config = base.get_config(size)
    config.generator.name = "iid"
    config.checkpoint.every = 200
    config.tuning = dict(rates=RATES, seed=1000, chosen_by="smallest S + H")
    return config


def sweep(fast: bool = False, tuned: bool = False) -> list[dict[str, Any]]:
    """The runs of the demo in the order of its figure; for tuning without the counter."""
    left_out = {"counts"} if tuned else {"larger", "chess", "chacha"} if fast else set()
    seeds = vary("run.seed", range(2 if fast else SEEDS))
    return [
        run
        for data in DATA
        for observer in OBSERVERS
        if not left_out & {data, observer}
        for run in product([_shared(data, observer, fast)], DATA[data]["vary"], seeds)
    ]


def _shared(data: str, observer: str, fast: bool) -> dict[str, Any]:
    """The overrides of one kind of data under one observer."""
    settings = DATA[data]
    overrides = {f"generator.{key}": value for key, value in settings["generator"].items()}
    overrides |= {"label.generator": settings["label"], **OBSERVERS[observer]}
    if observer == "counts":
        overrides["observer.order"] = settings["order"]
    else:
        overrides["optim.lr"] = settings["rates"][observer]
    return overrides | {
        "run.steps": settings["steps"] // 2 if fast else settings["steps"],
        "run.batch": settings["batch"],
        "eval.examples": 1024 if fast else settings["examples"],
    }
