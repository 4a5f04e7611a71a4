"""Figure 3: the same machine makes noise, cheap structure and dear structure (rules 30, 15, 54).

python -m experiments.sweep --sweep=paper/fig3_automata --workdir=runs/fig3
"""

from typing import Any

from configs.paper import _figure
from epx.sweeps.grid import product, vary

RULES = (15, 30, 54)
OBSERVERS = {
    "cpu": ((1, 16), (2, 32), (2, 64)),
    "paper": tuple((depth, width) for depth in (1, 2, 4, 6, 9) for width in (16, 32, 64, 128)),
}
SEEDS = {"cpu": 5, "paper": 3}


def get_config(size: str = "cpu") -> _figure.ConfigDict:
    """The config shared by all runs."""
    config = _figure.get_config("fig3_automata", size)
    paper = size == "paper"
    config.generator.update(
        name="eca", width=64 if paper else 32, steps=48 if paper else 16,
        burnin=1000 if paper else 64,
    )  # fmt: skip
    config.code.name = "requential"
    config.run.update(batch=1536 if paper else 64, steps=10_000 if paper else 2000)
    config.eval.update(
        every=50, examples=16_384 if paper else 1024, test_tokens=1e8 if paper else 4e6
    )
    config.checkpoint.every = 500
    config.label = dict(generator="rule {rule}", observer="{depth} layers of {width}")
    return config


def sweep(size: str = "cpu") -> list[dict[str, Any]]:
    """Three rules under observers of rising size."""
    observers = [
        {"observer.depth": depth, "observer.width": width} for depth, width in OBSERVERS[size]
    ]
    return product(observers, vary("generator.rule", RULES), vary("run.seed", range(SEEDS[size])))
