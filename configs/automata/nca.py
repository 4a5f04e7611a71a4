"""A neural cellular automaton with random weights: four states on a torus.

python -m experiments.train --config=nca:tiny --workdir=runs/nca
"""

from configs import base


def get_config(size: str = "cpu") -> base.ConfigDict:
    """tiny: 15 s; cpu: minutes on 2 cores; paper: 12x12 cells, another rule in each example."""
    config = base.get_config(size)
    config.generator.name = "nca"
    side = {"tiny": 3, "cpu": 4, "paper": 12}[size]
    config.generator.update(height=side, width=side)
    config.generator.rules = "each" if size == "paper" else "one"
    config.observer.width = {"tiny": 16, "cpu": 64, "paper": 256}[size]
    config.observer.depth = {"tiny": 1, "cpu": 2, "paper": 6}[size]
    return config
