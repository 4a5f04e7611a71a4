"""A Markov language over letters, without digits: what an observer of arithmetic may know before.

python -m experiments.train --config=story:tiny --workdir=runs/story
"""

from configs import base


def get_config(size: str = "cpu") -> base.ConfigDict:
    """tiny: 10 s; cpu: a minute on 2 cores; paper: 256 letters."""
    config = base.get_config(size)
    config.generator.name = "story"
    config.generator.length = {"tiny": 16, "cpu": 32, "paper": 256}[size]
    config.observer.width = {"tiny": 16, "cpu": 64, "paper": 256}[size]
    config.observer.depth = {"tiny": 1, "cpu": 2, "paper": 6}[size]
    config.run.batch = {"tiny": 16, "cpu": 64, "paper": 256}[size]
    config.run.steps = {"tiny": 200, "cpu": 1000, "paper": 10_000}[size]
    return config
