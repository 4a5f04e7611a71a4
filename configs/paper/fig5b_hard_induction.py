"""Figure 5b: hidden cells of the input have to be guessed, and the guess costs exactly h bits.

    python -m experiments.sweep --sweep=paper/fig5b_hard_induction --workdir=runs/fig5b

The first h cells of a ring X are hidden, its state Y after some steps of rule 30 is coded.
"""

from typing import Any

from configs.paper import _figure
from epx.sweeps.grid import product, vary

CLAIMS = {
    13: "The loss of h hidden cells ends at h bits; S rises with h, and so does the compute to "
    "come within half a bit"
}
HIDDEN = {"cpu": (0, 1, 2, 3), "paper": (0, 1, 3, 5)}
NEAR_BITS = 0.5


def get_config(size: str = "cpu") -> _figure.ConfigDict:
    """The config shared by all runs."""
    config = _figure.get_config("fig5b_hard_induction", size)
    paper = size == "paper"
    config.generator.update(name="eca", rule=30, width=32 if paper else 16, steps=4 if paper else 2)
    config.observer.update(depth=3 if paper else 2, width=256 if paper else 64)
    config.observer.head_dim = 64 if paper else 16
    config.optim.ema_steps = 100
    config.code.update(name="requential", max_kl=0.03, teacher_steps=20_000 if paper else 3000)
    config.run.update(batch=1536 if paper else 64, steps=25_000 if paper else 4000)
    config.eval.update(every=50, examples=4096 if paper else 1024)
    config.checkpoint.every = 500
    config.label = dict(generator="{hidden} cells hidden")
    return config


def sweep(size: str = "cpu") -> list[dict[str, Any]]:
    """Several numbers of hidden cells."""
    return product(vary("generator.hidden", HIDDEN[size]), vary("run.seed", range(5)))
