"""Game of Life: the next frame of an 8 x 8 torus, after burn-in.

python -m experiments.train --config=configs/life.py:tiny --workdir=runs/life
"""

from configs import base


def get_config(size: str = "cpu") -> base.ConfigDict:
    """tiny: 10 s; cpu: a minute or two on 2 cores."""
    config = base.get_config(size)
    config.generator.name = "life"
    config.generator.burnin = 8
    config.observer.width = {"tiny": 16, "cpu": 64, "paper": 128}[size]
    config.observer.depth = {"tiny": 1, "cpu": 2, "paper": 4}[size]
    if size == "tiny":
        config.generator.height = config.generator.width = 4
    return config
