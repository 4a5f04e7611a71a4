"""The flow of Lorenz: bits of a state, and of the state some Lyapunov times later.

`paper` has the time and the bits of arXiv 2601.03220, appendix F, which gives no other sizes.

    python -m experiments.train --config=lorenz:tiny --workdir=runs/lorenz
    python -m experiments.train --config=lorenz --config.generator.inputs=false --workdir=runs/law
"""

from configs import base


def get_config(size: str = "cpu") -> base.ConfigDict:
    """tiny: 6 s; cpu: a minute on 2 cores."""
    config = base.get_config(size)
    config.generator.name = "lorenz"
    config.generator.system = "lorenz"
    config.generator.bits = {"tiny": 4, "cpu": 10, "paper": 10}[size]
    config.generator.time = {"tiny": 1.0, "cpu": 30.0, "paper": 30.0}[size]
    config.observer.width = {"tiny": 16, "cpu": 32, "paper": 256}[size]
    config.observer.depth = {"tiny": 1, "cpu": 2, "paper": 3}[size]
    return config
