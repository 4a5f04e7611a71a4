"""Chess games as text: moves then final position, or position then moves (figure 4c).

`tiny` and `cpu` use greedy self-play, cut after a few moves; `paper` reads 145,697 real games.

    python -m experiments.train --config=chess:tiny --workdir=runs/chess
    python -m experiments.train --config=chess --config.generator.order=board_moves \\
        --workdir=runs/board-first
    python -m experiments.data prepare gnubook
    python -m experiments.train --config=chess:paper --workdir=runs/book
"""

from configs import base


def get_config(size: str = "cpu") -> base.ConfigDict:
    """tiny: 10 s; cpu: 80 s on 2 cores, self-play included; paper: needs gnubook."""
    config = base.get_config(size)
    config.generator.name = "chess"
    config.generator.corpus = "gnubook" if size == "paper" else "selfplay-greedy"
    config.generator.games = {"tiny": 4000, "cpu": 20_000, "paper": 0}[size]
    config.generator.plies = {"tiny": 4, "cpu": 12, "paper": 0}[size]
    config.generator.result = size == "paper"
    config.generator.rows = "stream" if size == "paper" else "game"
    config.generator.length = {"tiny": 88, "cpu": 120, "paper": 512}[size]
    config.observer.width = {"tiny": 16, "cpu": 64, "paper": 384}[size]
    config.observer.depth = {"tiny": 1, "cpu": 2, "paper": 6}[size]
    config.run.batch = {"tiny": 16, "cpu": 32, "paper": 256}[size]
    config.run.steps = {"tiny": 200, "cpu": 550, "paper": 360}[size]
    config.eval.examples = {"tiny": 256, "cpu": 1536, "paper": 8192}[size]
    return config
