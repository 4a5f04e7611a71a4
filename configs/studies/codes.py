"""Three automata by two codes: the prequential one and the requential one, its teacher kept near
the student in either way. The length of a requential code depends on that choice, so worlds are to
be compared under one of them.

    python -m experiments.sweep --sweep=codes --workdir=runs/codes

The observer and its rate are those of the demo; `--tune` varies the rate for each code.
"""

from typing import Any

from configs import base
from epx.sweeps import grid

RATES = (0.1, 0.2, 0.4, 0.8, 1.6)
CHOSEN = 0.8
SEEDS = 4
LESSONS = 500  # batches of real data
CODES: dict[str, dict[str, Any]] = {
    "prequential": dict(name="prequential"),
    "max_kl": dict(name="requential", max_kl=0.1, teacher_steps=LESSONS),
    "projection": dict(name="requential", teacher="projection"),
}
# A student has more steps than its teacher where that one waits; a teacher that is projected needs
# more lessons, as it has to regain what it knew again and again.
STEPS = {"prequential": LESSONS, "max_kl": 3 * LESSONS, "projection": 4 * LESSONS}


def ensembles(tune: bool = False) -> list[grid.Ensemble]:
    """A record for each code, the three rules in it; `tune` varies the rate instead of the seed."""
    return [_ensemble(f"{n:02d}-{code}", code, tune) for n, code in enumerate(CODES)]


def _ensemble(name: str, code: str, tune: bool) -> grid.Ensemble:
    config = base.get_config("cpu")
    config.generator.update(name="eca", width=32, steps=16, burnin=64)
    config.observer.update(depth=2, width=32)
    config.code.update(CODES[code])
    config.optim.lr = CHOSEN
    config.run.update(steps=STEPS[code], batch=64)
    config.checkpoint.every = 250
    config.eval.examples = 3072
    label = {"world": "rule {rule}", "observer": f"2 layers of 32, {code}"}
    rules = grid.vary("generator.rule", (15, 30, 54))
    return grid.tuned(name, config.to_dict(), label, rules, RATES, SEEDS, tune)
