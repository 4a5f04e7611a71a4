"""Arithmetic, in signs or in words, of which the answers are charged.

    python -m experiments.train --config=arithmetic:tiny --workdir=runs/arithmetic
    python -m experiments.train --config=arithmetic --config.generator.labels=shuffled \\
        --workdir=runs/shuffled
"""

from configs import base


def get_config(size: str = "cpu") -> base.ConfigDict:
    """tiny: sums of one digit, 10 s; cpu: products of two digits; paper: of four."""
    config = base.get_config(size)
    config.generator.name = "arithmetic"
    config.generator.operation = {"tiny": "add", "cpu": "multiply", "paper": "multiply"}[size]
    config.generator.digits = {"tiny": 1, "cpu": 2, "paper": 4}[size]
    config.observer.width = {"tiny": 16, "cpu": 64, "paper": 256}[size]
    config.observer.depth = {"tiny": 1, "cpu": 2, "paper": 6}[size]
    config.run.batch = {"tiny": 16, "cpu": 64, "paper": 256}[size]
    config.run.steps = {"tiny": 200, "cpu": 3000, "paper": 20_000}[size]
    return config
