"""The excess description length of n examples on which a learner trains repeatedly.

The data are an automaton that can be learned (rule 15, a rotation) and one that cannot (rule 30, 8
steps).

    python -m experiments.sweep --sweep=finite_data --workdir=runs/finite_data
    python -m experiments.report --records=runs/finite_data --surplus=0.1

It is measured by the code of the first pass and by the online code in blocks, which trains from
scratch before every block. Takes two and a half minutes on 2 cores. The rate was chosen from RATES
for n = 1024, on a separate seed, by the shortest description S + H.
"""

from typing import Any

from configs import base
from epx.sweeps.grid import product, vary

RATES = (0.02, 0.05, 0.1, 0.2, 0.4)
SIZES = (64, 256, 1024, 4096)
BATCH = 32
STEPS = 600  # cycling through the n examples
STAGE_STEPS = 150  # of the code in blocks, cycling through the blocks so far
FIRST_BLOCK = 32


def get_config(size: str = "cpu") -> base.ConfigDict:
    """The config shared by all runs."""
    config = base.get_config(size)
    config.generator.update(name="eca", width=16, steps=8)
    config.observer.update(depth=1, width=32)
    config.optim.lr = 0.4
    config.run.batch = BATCH
    config.eval.update(every=50, examples=1024)
    config.checkpoint.update(every=300, keep=1)
    config.tuning = dict(rates=RATES, seed=1000, chosen_by="smallest S + H")
    return config


def sweep() -> list[dict[str, Any]]:
    """Both codes at each number of examples, on both rules."""
    codes = [code(n) for n in SIZES for code in (_first_pass, _blocks)]
    return product(codes, vary("generator.rule", (15, 30)), vary("run.seed", range(4)))


def _first_pass(examples: int) -> dict[str, Any]:
    return _run(examples, STEPS, "first pass")


def _blocks(examples: int) -> dict[str, Any]:
    stages = (examples // FIRST_BLOCK).bit_length()
    return {
        "code.name": "blocks",
        "code.first_block": FIRST_BLOCK,
        "code.stage_steps": STAGE_STEPS,
        **_run(examples, STAGE_STEPS * stages, "in blocks"),
    }


def _run(examples: int, steps: int, code: str) -> dict[str, Any]:
    return {
        "run.examples": examples,
        "run.steps": steps,
        "run.repeats": -(-steps * BATCH // examples),
        "label.generator": f"rule {{rule}}, {examples} examples",
        "label.observer": f"1 layer of 32, {code}",
    }
