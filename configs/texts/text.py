r"""English prose, CPython's documentation, in windows of characters, forward or in reverse.

Not a figure of the paper: at these sizes no difference between the directions is expected.

    python -m experiments.train --config=text:tiny --workdir=runs/text
    python -m experiments.train --config=text:cpu --config.generator.direction=reverse \
        --workdir=runs/reverse
    python -m experiments.train --config=text:tiny --config.generator.unit=word --workdir=runs/words
"""

from configs import base


def get_config(size: str = "cpu") -> base.ConfigDict:
    """tiny: 10 s; cpu: a minute on 2 cores; paper: the same corpus, one pass, a larger model."""
    config = base.get_config(size)
    config.generator.name = "text"
    config.observer.width = {"tiny": 16, "cpu": 64, "paper": 256}[size]
    config.observer.depth = {"tiny": 1, "cpu": 2, "paper": 6}[size]
    config.run.batch = {"tiny": 16, "cpu": 32, "paper": 32}[size]
    config.run.steps = {"tiny": 200, "cpu": 800, "paper": 850}[size]
    config.eval.examples = {"tiny": 256, "cpu": 2048, "paper": 3000}[size]
    return config
