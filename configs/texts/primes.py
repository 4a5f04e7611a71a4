"""Products of two primes: multiplication, or in reverse factoring (arXiv 2401.17505).

    python -m experiments.train --config=primes:tiny --workdir=runs/primes
    python -m experiments.train --config=primes --config.generator.order=reverse \\
        --workdir=runs/primes_reverse
"""

from configs import base


def get_config(size: str = "cpu") -> base.ConfigDict:
    """tiny: 10 s; cpu: a minute on 2 cores; paper: primes of five digits."""
    config = base.get_config(size)
    config.generator.name = "primes"
    config.generator.digits = {"tiny": 2, "cpu": 3, "paper": 5}[size]
    config.observer.width = {"tiny": 16, "cpu": 64, "paper": 256}[size]
    config.observer.depth = {"tiny": 1, "cpu": 2, "paper": 6}[size]
    config.observer.head_dim = 16
    config.run.steps = {"tiny": 200, "cpu": 3000, "paper": 10_000}[size]
    return config
