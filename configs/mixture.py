"""A mixture of an automaton, a Markov chain and noise, with the charge of each part.

python -m experiments.train --config=configs/mixture.py:tiny --workdir=runs/mixture
"""

from configs import base


def get_config(size: str = "cpu") -> base.ConfigDict:
    """tiny: 15 s; cpu: two minutes on 2 cores; paper: 128 cells."""
    config = base.get_config(size)
    width = {"tiny": 8, "cpu": 32, "paper": 128}[size]
    parts = (
        f"eca rule=54 width={width} steps=2",
        f"iid law=markov vocab=4 length={2 * width}",
        f"iid law=uniform vocab=2 length={2 * width}",
    )
    config.generator.name = "mixture"
    config.generator.parts = "; ".join(parts)
    config.generator.weights = "2 1 1"
    config.observer.width = {"tiny": 16, "cpu": 64, "paper": 256}[size]
    config.observer.depth = {"tiny": 1, "cpu": 2, "paper": 6}[size]
    return config
