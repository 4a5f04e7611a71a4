"""Games of tic-tac-toe or connect four between optimal players.

python -m experiments.train --config=game:tiny --workdir=runs/game
"""

from configs import base


def get_config(size: str = "cpu") -> base.ConfigDict:
    """tiny: tic-tac-toe, 15 s; cpu: minutes on 2 cores; paper: connect four on 4 rows."""
    config = base.get_config(size)
    config.generator.name = "game"
    config.generator.game = "connect_four_4x5" if size == "paper" else "tic_tac_toe"
    config.generator.player = "optimal"
    config.observer.width = {"tiny": 16, "cpu": 64, "paper": 256}[size]
    config.observer.depth = {"tiny": 1, "cpu": 2, "paper": 6}[size]
    return config
