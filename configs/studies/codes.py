"""The demo's automata by the prequential code and by two pacings of the requential code.

Three measures of the same structure, in a quarter of an hour on 2 cores.

    python -m experiments.sweep --sweep=codes --workdir=runs/codes

The observer and its rate are those of the demo; `--tune` varies the rate for each code.
"""

from typing import Any

from configs import base
from epx.sweeps.grid import product, vary

RATES = (0.1, 0.2, 0.4, 0.8, 1.6)
TEACHER_STEPS = 500  # batches of real data
# The student needs more steps than its teacher, which pauses; a projected teacher needs more
# batches, because it has to recover repeatedly.
CODES = [
    {
        "run.steps": TEACHER_STEPS,
        "label.observer": "2 layers of 32, prequential",
    },
    {
        "code.name": "requential",
        "code.max_kl": 0.1,
        "code.teacher_steps": TEACHER_STEPS,
        "run.steps": 3 * TEACHER_STEPS,
        "label.observer": "2 layers of 32, max_kl",
    },
    {
        "code.name": "requential",
        "code.pacing": "projection",
        "run.steps": 4 * TEACHER_STEPS,
        "label.observer": "2 layers of 32, projection",
    },
]


def get_config(size: str = "cpu") -> base.ConfigDict:
    """The config shared by all runs."""
    config = base.get_config(size)
    config.generator.update(name="eca", width=32, steps=16, burnin=64)
    config.observer.update(depth=2, width=32)
    config.optim.lr = 0.8
    config.run.batch = 64
    config.checkpoint.every = 250
    config.eval.examples = 3072
    config.label = dict(generator="rule {rule}")
    config.tuning = dict(rates=RATES, seed=1000, chosen_by="smallest S + H")
    return config


def sweep() -> list[dict[str, Any]]:
    """Each code on each rule."""
    return product(CODES, vary("generator.rule", (15, 30, 54)), vary("run.seed", range(4)))
