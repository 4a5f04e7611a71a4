"""A source of known entropy, here a biased coin: a control for other measurements.

python -m experiments.train --config=iid:tiny --workdir=runs/iid
python -m experiments.train --config=iid:tiny --config.observer.name=counts --workdir=runs/kt
"""

from configs import base


def get_config(size: str = "cpu") -> base.ConfigDict:
    """tiny: 10 s; cpu: a minute on 2 cores."""
    config = base.get_config(size)
    config.generator.name = "iid"
    config.generator.law = "bernoulli"
    config.generator.p = 0.2
    config.observer.width = {"tiny": 16, "cpu": 32, "paper": 64}[size]
    config.observer.depth = {"tiny": 1, "cpu": 2, "paper": 2}[size]
    return config
