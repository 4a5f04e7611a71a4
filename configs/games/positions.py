"""What the position of a chess game says of its material, or of Stockfish's judgement.

python -m experiments.train --config=positions:tiny --workdir=runs/positions
"""

from configs import base


def get_config(size: str = "cpu") -> base.ConfigDict:
    """tiny: material, 17 s; cpu: the class of Stockfish's score, minutes; paper: real games."""
    config = base.get_config(size)
    config.generator.name = "positions"
    config.generator.corpus = "gnubook" if size == "paper" else "selfplay-greedy"
    config.generator.games = {"tiny": 600, "cpu": 4000, "paper": 0}[size]
    config.generator.task = "material" if size == "tiny" else "class"
    config.observer.width = {"tiny": 16, "cpu": 64, "paper": 256}[size]
    config.observer.depth = {"tiny": 1, "cpu": 2, "paper": 6}[size]
    config.run.batch = {"tiny": 16, "cpu": 32, "paper": 256}[size]
    config.run.steps = {"tiny": 60, "cpu": 450, "paper": 2000}[size]
    config.run.repeats = {"tiny": 2, "cpu": 4, "paper": 4}[size]
    config.eval.examples = {"tiny": 60, "cpu": 400, "paper": 8192}[size]
    config.run.chunk = 10
    config.checkpoint.every = 50
    return config
