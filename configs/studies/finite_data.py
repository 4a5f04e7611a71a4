"""What n examples teach a learner that sees them over and over: the excess description length of an
automaton that can be learned (rule 15, a rotation) and of one that cannot (rule 30, 8 steps), by
the code of the first pass and by the online code in blocks, which trains anew before every block.

    python -m experiments.sweep --sweep=excess --workdir=runs/excess
    python -m experiments.report --records=runs/excess --surplus=0.1

Takes two and a half minutes on 2 cores. The rate was chosen from RATES for n = 1024, on a seed of
its own, by the shortest description S + H (`--tune` repeats that).
"""

from configs import base
from epx.sweeps import grid

RATES = (0.02, 0.05, 0.1, 0.2, 0.4)
CHOSEN = 0.4
SEEDS = 4
BATCH = 32
STEPS = 600  # over and over the n examples
STAGE_STEPS = 150  # of the code in blocks, over and over those so far
FIRST_BLOCK = 32
SIZES = (64, 256, 1024, 4096)
CODES = {"prequential": "first pass", "blocks": "in blocks"}


def ensembles(tune: bool = False) -> list[grid.Ensemble]:
    """A record for each number of examples and code, both rules in it; `tune` varies the rate for
    one of them instead of the seed."""
    if tune:
        return [_ensemble(1024, "prequential", tune)]
    return [_ensemble(examples, code, tune) for examples in SIZES for code in CODES]


def _ensemble(examples: int, code: str, tune: bool) -> grid.Ensemble:
    config = base.get_config("cpu")
    config.generator.update(name="eca", width=16, steps=8)
    config.observer.update(depth=1, width=32)
    config.code.name = code
    config.optim.lr = CHOSEN
    steps = STEPS
    if code == "blocks":
        config.code.update(first_block=FIRST_BLOCK, stage_steps=STAGE_STEPS)
        stages = (examples // FIRST_BLOCK).bit_length()
        steps = STAGE_STEPS * stages
    config.run.update(steps=steps, batch=BATCH, chunk=50, examples=examples)
    config.run.repeats = -(-steps * BATCH // examples)
    config.eval.update(every=50, examples=1024)
    config.checkpoint.update(every=300, keep=1)
    label = {
        "world": f"rule {{rule}}, {examples} examples",
        "observer": f"1 layer of 32, {CODES[code]}",
    }
    rules = grid.vary("generator.rule", (15, 30))
    name = f"{SIZES.index(examples):02d}-{examples}-{code}"
    return grid.tuned(name, config.to_dict(), label, rules, RATES, SEEDS, tune)
