"""One bit of a linear congruential generator: bit k repeats after 2^(k+1) tokens, so a low bit is
soon learned and a high one looks like noise, although both hide no more than the seed.

    python -m experiments.train --config=configs/lcg.py:tiny --workdir=runs/lcg
    python -m experiments.train --config=lcg --config.generator.low_bit=16 --workdir=runs/lcg16
"""

from configs import base


def get_config(size: str = "cpu") -> base.ConfigDict:
    """tiny: 10 s; cpu: a minute on 2 cores."""
    config = base.get_config(size)
    config.generator.name = "lcg"
    config.generator.low_bit = 3
    config.observer.width = {"tiny": 16, "cpu": 32, "paper": 64}[size]
    config.observer.depth = {"tiny": 1, "cpu": 2, "paper": 2}[size]
    return config
