"""The demo: seven kinds of data, each under an exact counter, a small and a larger transformer.

    python -m experiments.demo          about 8 minutes on 2 cores
    python -m experiments.demo --fast   under 90 s: two seeds, half the steps, no larger model,
                                        no chess, no ChaCha20

Worlds of equal shape share one compiled ensemble. Rates were chosen for each family and kind of
world from RATES, on a seed of its own, by the shortest description S + H
(`python -m experiments.demo --tune` repeats that).
"""

from typing import Any

from configs import base
from epx.sweeps import grid

RATES = (0.02, 0.05, 0.1, 0.2, 0.4, 0.8, 1.6, 3.2)
SEEDS = 4

OBSERVERS = {
    "counts": {"name": "counts"},
    "small": {"name": "transformer", "depth": 1, "width": 16},
    "larger": {"name": "transformer", "depth": 2, "width": 32},
}
NAMES = {
    "counts": "exact counter",
    "small": "transformer, 1 layer of 16",
    "larger": "transformer, 2 layers of 32",
}

# World: its arguments, what its members vary, examples in a step, steps, held-out examples, tokens
# that the counter sees (three of English would fill gigabytes), and the chosen rates.
WORLDS: dict[str, dict[str, Any]] = {
    "life": dict(
        label="Life: next frame",
        generator=dict(name="life", height=6, width=6, burnin=8),
        vary=[{}],
        batch=32, steps=1000, examples=3072, order=8, rates=dict(small=0.2, larger=0.05),
    ),
    "eca": dict(
        label="automaton, rule {rule}",
        generator=dict(name="eca", width=32, steps=16, burnin=64),
        vary=grid.vary("generator.rule", (15, 30, 54)),
        batch=64, steps=500, examples=3072, order=8, rates=dict(small=0.2, larger=0.8),
    ),
    "text": dict(
        label="English, {direction}",
        generator=dict(name="text", corpus="pydoc", length=64),
        vary=grid.vary("generator.direction", ("forward", "reverse")),
        batch=32, steps=700, examples=3072, order=2, rates=dict(small=1.6, larger=0.4),
    ),
    "chess": dict(
        label="chess",
        generator=dict(name="chess", corpus="selfplay-greedy", games=14_500, plies=8,
                       result=False, rows="game", length=104),
        vary=grid.zipped(
            grid.vary("generator.order", ("moves_board", "board_moves")),
            grid.vary("label.world", ("chess, moves then board", "chess, board then moves")),
        ),
        batch=32, steps=400, examples=1408, order=3, rates=dict(small=1.6, larger=1.6),
    ),
    "lcg": dict(
        label="LCG, bit {low_bit}",
        generator=dict(name="cipher", algorithm="lcg", shown_bits=1, length=64),
        vary=grid.vary("generator.low_bit", (3, 16)),
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


def ensembles(fast: bool = False, tune: bool = False) -> list[grid.Ensemble]:
    """The records of the demo in the order of its figure; `tune` varies the rate instead of the
    seed."""
    left_out = {"counts"} if tune else {"larger", "chess", "chacha"} if fast else set()
    return [
        _ensemble(world, observer, fast, tune)
        for world in WORLDS
        for observer in OBSERVERS
        if not left_out & {world, observer}
    ]


def _ensemble(world: str, observer: str, fast: bool, tune: bool) -> grid.Ensemble:
    chosen = WORLDS[world]
    config = base.get_config("cpu")
    config.generator.update(chosen["generator"])
    config.observer.update(OBSERVERS[observer])
    if observer == "counts":
        config.observer.order = chosen["order"]
    config.optim.lr = chosen["rates"].get(observer, config.optim.lr)
    config.run.steps = chosen["steps"] // 2 if fast else chosen["steps"]
    config.run.batch = chosen["batch"]
    config.run.chunk = 50
    config.checkpoint.every = 200
    config.eval.examples = 1024 if fast else chosen["examples"]
    # Numbered, so that a report of the folder keeps the order.
    number = list(WORLDS).index(world) * len(OBSERVERS) + list(OBSERVERS).index(observer) + 1
    return grid.tuned(
        f"{number:02d}-{world}-{observer}",
        config.to_dict(),
        label={"world": chosen["label"], "observer": NAMES[observer]},
        worlds=chosen["vary"],
        rates=RATES,
        seeds=2 if fast else SEEDS,
        tune=tune,
    )
