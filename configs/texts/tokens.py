"""Tokens from your own `.npy` or `.npz` file of integers: a stream or examples.

    python -m experiments.train --config=tokens:tiny --config.generator.path=my_tokens.npy \\
        --workdir=runs/tokens

A file with a mask of the charged tokens: `numpy.savez("my_tokens.npz", tokens=..., coded=...)`.
"""

from configs import base


def get_config(size: str = "cpu") -> base.ConfigDict:
    """tiny: 10 s; cpu: a minute on 2 cores. The file must have enough examples for one pass."""
    config = base.get_config(size)
    config.generator.name = "tokens"
    config.observer.width = {"tiny": 16, "cpu": 64, "paper": 256}[size]
    config.observer.depth = {"tiny": 1, "cpu": 2, "paper": 6}[size]
    config.run.batch = {"tiny": 8, "cpu": 32, "paper": 32}[size]
    config.run.steps = {"tiny": 50, "cpu": 800, "paper": 850}[size]
    config.eval.examples = {"tiny": 32, "cpu": 256, "paper": 1024}[size]
    return config
