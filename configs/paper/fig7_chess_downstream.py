"""Figure 7: does the order with more structure transfer better to questions about positions?

    python -m experiments.data prepare gnubook
    python -m experiments.sweep --sweep=paper/fig7_chess_downstream --workdir=runs/fig7

A transformer learns games of masters in both orders, the moves first or the board first. From its
weights after a few numbers of steps, and from nothing, it then learns the class of Stockfish's
score, and the best move, of positions, one of each game. Stockfish is needed once; it
judges 200 positions a second. `paper` needs games of Lichess, January 2025, in `lichess.pgn`.

Claims 17, 163 and 164, not measured yet.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure
from tabulate import tabulate

from configs.paper import _figure
from epx.analysis.measurement import Estimate
from epx.report import evidence
from epx.report.claims import Check
from epx.report.figures import lines
from epx.report.rounding import rounded
from epx.report.summary import Run
from epx.sweeps.grid import product, vary

CLAIMS = {
    17: "Trained on the board first, an observer learns to value positions better (figure 7), and "
    "to move as well",
    163: "The board first has more S_preq, and saves more EDL on the class of a position",
    164: "What games teach, of either order, saves EDL on both questions",
}
LR = 1.6  # that of figure 4c
TASK_LR = 0.4  # of 0.1 to 1.6 by the losses of both questions at the end, one seed
ORDERS = {"moves_board": "moves first", "board_moves": "board first"}
MOVES, BOARD = ORDERS.values()
TASKS = {"class": "class", "best": "best move"}
SCRATCH, GAMES = "from nothing", "games"
# Steps after which the weights are taken.
TAKEN = {"cpu": (250, 1000, 2000), "paper": (38_146,)}
ALIKE = 0.02  # of the accuracy of moves


def get_config(size: str = "cpu") -> _figure.ConfigDict:
    """The config shared by all runs."""
    config = _figure.get_config("fig7_chess_downstream", size)
    paper = size == "paper"
    config.generator.update(name="chess", corpus="lichess.pgn" if paper else "gnubook")
    config.generator.update(rows="stream", length=512 if paper else 96)
    config.observer.update(depth=24 if paper else 2, width=192 if paper else 64, head_dim=16)
    config.optim.update(lr=2.0 if paper else LR, warmup_steps=125 if paper else 50)
    config.run.update(batch=256 if paper else 32, steps=TAKEN[size][-1], chunk=50)
    config.eval.update(examples=2048)
    config.checkpoint.update(every=None if paper else 250, keep=None)
    return config


def sweep(size: str = "cpu") -> list[dict[str, Any]]:
    """Both orders, and both questions from every saved state of each and from nothing."""
    paper, runs = size == "paper", []
    corpus = "lichess.pgn" if paper else "gnubook"
    for order, words in ORDERS.items():
        runs.append({"ensemble": order, "generator.order": order, "label.generator": GAMES,
                     "label.observer": words})  # fmt: skip
    for task, name in TASKS.items():
        shared = {
            "generator.name": "positions", "generator.corpus": corpus,
            "generator.games": 100_000 if paper else 30_000, "generator.task": task,
            "generator.length": 512 if paper else 96, "label.generator": name,
            "optim.lr": 2.0 if paper else TASK_LR, "run.batch": 32,
            "run.examples": 83_616 if paper else 8192, "run.steps": 5250 if paper else 750,
            "run.repeats": 3, "eval.every": 250, "checkpoint.every": None, "checkpoint.keep": 1,
            "run.chunk": 50,
        }  # fmt: skip
        runs.append(shared | {"label.observer": SCRATCH})
        for order in ORDERS:
            runs += [
                shared
                | {"run.start": f"ensemble:{order}:{step}", "label.observer": _after(order, step)}
                for step in TAKEN[size]
            ]
    return product(runs, vary("run.seed", range(5)))


def _after(order: str, step: int) -> str:
    return f"{ORDERS[order]}, {step} steps"


def check(number: int, runs: Sequence[Run]) -> list[Check]:
    """Board first minus moves first at the most steps, paired by seed."""
    last = TAKEN[evidence.config(runs[0])["figure.size"]][-1]
    if number == 17:
        gaps = {task: _gap(runs, task, last, evidence.all_right) for task in TASKS.values()}
        return [
            Check("accuracy of the class, board first - moves first", gaps["class"], 0),
            Check("best moves, board first - moves first", gaps["best move"], -ALIKE, ALIKE),
        ]
    if number == 163:
        s = [
            evidence.by_seed(_run(runs, GAMES, words), evidence.structure_bits)
            for words in (BOARD, MOVES)
        ]
        saved = evidence.paired(
            lambda a, b: b - a, *(_excess(runs, "class", order, last) for order in reversed(ORDERS))
        )
        return [
            Check("S_preq, board first - moves first, bit", evidence.difference(*s), 0),
            Check("EDL of the class saved, board first - moves first, bit", saved, 0),
        ]
    return [
        Check(
            f"{task} after {ORDERS[order]}: EDL saved, bit",
            evidence.difference(
                evidence.by_seed(_run(runs, task, SCRATCH), evidence.structure_bits),
                _excess(runs, task, order, last),
            ),
            0,
        )
        for task in TASKS.values()
        for order in ORDERS
    ]


def _run(runs: Sequence[Run], generator: str, observer: str) -> Run:
    return evidence.pick(runs, label__generator=generator, label__observer=observer)


def _excess(runs: Sequence[Run], task: str, order: str, step: int) -> dict[int, float]:
    return evidence.by_seed(_run(runs, task, _after(order, step)), evidence.structure_bits)


def _gap(runs: Sequence[Run], task: str, step: int, quantity: Any) -> Estimate:
    """Board first minus moves first."""
    moves, board = (quantity(_run(runs, task, _after(order, step))) for order in ORDERS)
    return evidence.difference(board, moves)


def draw(runs: Sequence[Run], path: Path | None = None) -> Figure:
    """The accuracy on both questions against the steps on games."""
    steps, panels = TAKEN[evidence.config(runs[0])["figure.size"]], []
    for task in TASKS.values():
        scratch = evidence.mean(evidence.all_right(_run(runs, task, SCRATCH)))
        series = {
            words: [
                (0, scratch),
                *(
                    (step, evidence.mean(evidence.all_right(_run(runs, task, _after(order, step)))))
                    for step in steps
                ),
            ]
            for order, words in ORDERS.items()
        }
        label = "steps on games"
        panels.append(lines.Panel(task, label, "right answers", series, y_scale="linear"))
    return lines.panels(panels, path)


def table(runs: Sequence[Run]) -> str:
    """The difference of the orders at every number of steps: where it is first seen."""
    steps = TAKEN[evidence.config(runs[0])["figure.size"]]
    rows = []
    for task in TASKS.values():
        for step in steps:
            gap = _gap(runs, task, step, evidence.all_right)
            flops = evidence.mean(evidence.training_flops(_run(runs, GAMES, BOARD), step)).mean
            seen = "yes" if abs(gap.mean) > gap.half_width else "no"
            rows.append([task, step, f"{flops:.2g}", rounded(*gap), seen])
    heads = ["question", "steps", "FLOP", "right answers, board first - moves first", "seen"]
    return tabulate(rows, heads, "simple", disable_numparse=True)
