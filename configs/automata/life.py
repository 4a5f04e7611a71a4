"""Game of Life: the next frame of a torus, after a burn-in.

The paper defines this task (appendix C.13) but does not measure it.

    python -m experiments.train --config=life:tiny --workdir=runs/life
"""

from configs import base


def get_config(size: str = "cpu") -> base.ConfigDict:
    """tiny: 10 s; cpu: two minutes on 2 cores."""
    config = base.get_config(size)
    config.generator.name = "life"
    config.generator.burnin = 8
    config.generator.height = config.generator.width = {"tiny": 4, "cpu": 8, "paper": 16}[size]
    config.observer.width = {"tiny": 16, "cpu": 64, "paper": 128}[size]
    config.observer.depth = {"tiny": 1, "cpu": 2, "paper": 4}[size]
    config.run.batch = {"tiny": 16, "cpu": 32, "paper": 384}[size]
    return config
