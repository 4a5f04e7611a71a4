"""An elementary automaton: a ring of cells and its later state, which is coded.

`paper` is rule 54 of figure 3 (appendix C.1).

    python -m experiments.train --config=eca:tiny --workdir=runs/eca
    python -m experiments.train --config=eca --config.generator.rule=30 --workdir=runs/r30
"""

from configs import base


def get_config(size: str = "cpu") -> base.ConfigDict:
    """tiny: 10 s; cpu: a minute on 2 cores."""
    config = base.get_config(size)
    config.generator.name = "eca"
    config.generator.rule = 54
    config.generator.width = {"tiny": 8, "cpu": 32, "paper": 64}[size]
    config.generator.steps = {"tiny": 2, "cpu": 16, "paper": 48}[size]
    config.generator.burnin = {"tiny": 8, "cpu": 64, "paper": 1000}[size]
    config.observer.width = {"tiny": 16, "cpu": 32, "paper": 64}[size]
    config.observer.depth = {"tiny": 1, "cpu": 2, "paper": 2}[size]
    if size == "paper":
        config.observer.activation = "gelu_erf"
    return config
