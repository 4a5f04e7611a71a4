"""Easy induction: a Markov chain of which some transition rows are given (arXiv 2601.03220, C.2).

`paper` is one of its five numbers of hidden rows (appendix C.2).

    python -m experiments.train --config=markov:tiny --workdir=runs/markov
    python -m experiments.train --config=markov --config.generator.hidden=0 --workdir=runs/given
"""

from configs import base


def get_config(size: str = "cpu") -> base.ConfigDict:
    """tiny: 12 s; cpu: two to four minutes on 2 cores."""
    config = base.get_config(size)
    config.generator.name = "markov"
    config.generator.states = {"tiny": 3, "cpu": 4, "paper": 8}[size]
    config.generator.hidden = {"tiny": 1, "cpu": 2, "paper": 6}[size]
    config.generator.length = {"tiny": 16, "cpu": 128, "paper": 512}[size]
    config.observer.width = {"tiny": 16, "cpu": 64, "paper": 128}[size]
    config.observer.depth = {"tiny": 1, "cpu": 2, "paper": 3}[size]
    config.run.batch = {"tiny": 16, "cpu": 64, "paper": 384}[size]
    config.run.steps = {"tiny": 200, "cpu": 1000, "paper": 3000}[size]
    if size == "paper":
        config.observer.activation = "gelu_erf"
    return config
