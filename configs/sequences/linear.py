"""A linear language over F_2: bits x and y = A x, A sparse, in either order.

Source: arXiv 2401.17505. The inverse of A is dense: its parities of many bits are hard to learn.

    python -m experiments.train --config=linear:tiny --workdir=runs/linear
    python -m experiments.train --config=linear --config.generator.order=reverse \\
        --workdir=runs/linear_reverse
"""

from configs import base


def get_config(size: str = "cpu") -> base.ConfigDict:
    """tiny: 10 s; cpu: a minute and a half on 2 cores; paper: 30 bits, 4000 steps."""
    config = base.get_config(size)
    config.generator.name = "linear"
    config.generator.bits = {"tiny": 8, "cpu": 12, "paper": 30}[size]
    config.generator.nonzeros = {"tiny": 6, "cpu": 20, "paper": 40}[size]
    config.observer.width = {"tiny": 16, "cpu": 64, "paper": 256}[size]
    config.observer.depth = {"tiny": 1, "cpu": 2, "paper": 4}[size]
    config.observer.head_dim = 8  # many heads, because a parity needs several positions at once
    config.run.batch = {"tiny": 16, "cpu": 32, "paper": 256}[size]
    config.run.steps = {"tiny": 200, "cpu": 4000, "paper": 4000}[size]
    return config
