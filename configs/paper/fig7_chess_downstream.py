"""Figure 7: does the order with more structure transfer better to questions about positions?

    python -m experiments.data prepare gnubook
    python -m experiments.sweep --sweep=paper/fig7_chess_downstream --workdir=runs/fig7

A transformer learns games of masters in both orders, the moves first or the board first: openings
of 16 half-moves, one in a row, so that it sees both parts of each. From its weights after a few
numbers of steps, and from nothing, it then learns the class of Stockfish's score, and the best
move, of positions, one of each of the first 30,000 games, in 2.3 passes like the paper. It did not
learn these games before, but 34,732 of the 115,697 openings that it learns begin one of them too.
Stockfish is needed once; it judges 200 positions a second. `paper` needs games of Lichess, January
2025, in `lichess.pgn`.

What games save is the code of the first pass over the questions, from nothing minus after games. It
is the difference of their EDL above one floor, the least held-out loss of all runs on a question.

Claims 17 and 163 to 165, not measured yet.
"""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from matplotlib.figure import Figure
from tabulate import tabulate

from configs.paper import _figure
from epx.analysis.measurement import Estimate, interval, widened
from epx.report import comparison, elicit, evidence
from epx.report.claims import Check
from epx.report.figures import lines
from epx.report.rounding import rounded
from epx.report.summary import Run
from epx.sweeps.grid import product, vary

CLAIMS = {
    17: "Trained on the board first, an observer learns to value positions better (figure 7), and "
    "to move as well",
    163: "The board first has more S_preq, and saves more code on both questions",
    164: "What games teach, of either order, saves code on both questions",
    165: "The effect of the order on the class is seen at every compute, down to the smallest",
}
LR = 1.6  # that of figure 4c
# Of 0.1 to 1.6 by the losses of both questions at the end, one seed, after games in windows of 96.
TASK_LR = 0.4
ORDERS = {"moves_board": "moves first", "board_moves": "board first"}
MOVES, BOARD = ORDERS.values()
TASKS = {"class": "class", "best": "best move"}
SCRATCH, GAMES = "from nothing", "games"
# Steps after which the weights are taken.
TAKEN = {"cpu": (250, 1000, 2000), "paper": (38_146,)}
# Games of which a position is asked; those after them are learned.
POSITIONS = {"cpu": 30_000, "paper": 100_000}
ALIKE = 0.02  # of the accuracy of moves


def get_config(size: str = "cpu") -> _figure.ConfigDict:
    """The config shared by all runs."""
    config = _figure.get_config("fig7_chess_downstream", size)
    paper = size == "paper"
    config.generator.update(name="chess", corpus="lichess.pgn" if paper else "gnubook")
    skip = POSITIONS[size]
    if paper:
        config.generator.update(rows="stream", length=512, skip=skip)
    else:
        config.generator.update(rows="game", length=138, plies=16, result=False, skip=skip)
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
            "generator.games": POSITIONS[size], "generator.task": task,
            "generator.length": 512 if paper else 138, "label.generator": name,
            "optim.lr": 2.0 if paper else TASK_LR, "run.batch": 32,
            "run.examples": 83_616 if paper else 8192, "run.steps": 6000 if paper else 600,
            "run.repeats": 3, "eval.every": 1500 if paper else 150, "checkpoint.every": None,
            "checkpoint.keep": 1, "run.chunk": 50,
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
    steps = TAKEN[evidence.config(runs[0])["figure.size"]]
    gaps = {task: _gap(runs, task, steps[-1]) for task in TASKS.values()}
    if number == 17:
        return [
            Check("accuracy of the class, board first - moves first", gaps["class"].right, 0),
            Check("best moves, board first - moves first", gaps["best move"].right, -ALIKE, ALIKE),
        ]
    if number == 163:
        games = (_run(runs, GAMES, words) for words in (BOARD, MOVES))
        mean, half = comparison.difference(*games)["S_bits"]
        s = Estimate(mean, math.nan if half is None else half)
        return [
            Check("S_preq, board first - moves first, bit", s, 0),
            *(
                Check(f"code of the {task} saved, board first - moves first, bit", gap.saved, 0)
                for task, gap in gaps.items()
            ),
        ]
    if number == 164:
        return [
            Check(
                f"{task} after {words}: code saved, bit",
                evidence.mean(
                    elicit.saved_bits(
                        _run(runs, task, SCRATCH), _run(runs, task, _after(order, steps[-1]))
                    )
                ),
                0,
            )
            for task in TASKS.values()
            for order, words in ORDERS.items()
        ]
    return [
        Check(
            f"accuracy of the class after {step} steps, board first - moves first, "
            f"one of {_looks(steps)} looks",
            _gap(runs, "class", step, _looks(steps)).right,
            0,
        )
        for step in steps
    ]


class Gap(NamedTuple):
    """Board first minus moves first.

    Attributes:
      right: of the share of right answers.
      saved: of the code of the first pass that games saved, in bits.
    """

    right: Estimate
    saved: Estimate


def _looks(steps: Sequence[int]) -> int:
    """How many differences of the orders are looked at."""
    return len(TASKS) * len(steps) * len(Gap._fields)


def _gap(runs: Sequence[Run], task: str, step: int, looks: int = 1) -> Gap:
    """The difference of the orders, in intervals for the most extreme of so many looks."""
    moves, board = (_run(runs, task, _after(order, step)) for order in ORDERS)
    saved = evidence.mean(elicit.saved_bits(moves, board))
    first, second = (evidence.right_examples(run) for run in (board, moves))
    gap_SxE = np.array(
        [first[seed].astype(float) - second[seed] for seed in first.keys() & second.keys()]
    )
    # The seeds share the held-out positions: their spread does not have the error of these.
    error = gap_SxE.mean(0).std(ddof=1) / math.sqrt(gap_SxE.shape[1])
    right = interval(gap_SxE.mean(1), float(error))
    return Gap(*(widened(gap, len(gap_SxE), looks) for gap in (right, saved)))


def _run(runs: Sequence[Run], generator: str, observer: str) -> Run:
    return evidence.pick(runs, label__generator=generator, label__observer=observer)


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
    """EDL, and the differences of the orders at every number of steps: where they are first seen.

    The intervals of the differences are those of the most extreme of all that are printed.
    """
    steps, rows = TAKEN[evidence.config(runs[0])["figure.size"]], []
    for task in TASKS.values():
        scratch = _run(runs, task, SCRATCH)
        after = {
            (order, step): _run(runs, task, _after(order, step))
            for order in ORDERS
            for step in steps
        }
        of_task = [scratch, *after.values()]
        for step in steps:
            gap = _gap(runs, task, step, _looks(steps))
            flops = evidence.mean(evidence.training_flops(_run(runs, GAMES, BOARD), step)).mean
            shown = [scratch, *(after[order, step] for order in ORDERS)]
            edl = [rounded(*evidence.mean(elicit.excess_bits(run, of_task))) for run in shown]
            rows.append([task, step, f"{flops:.2g}", *edl, *_seen(gap.right), *_seen(gap.saved)])
    starts = [f"EDL, bit: {SCRATCH}", *ORDERS.values()]
    heads = ["question", "steps", "FLOP", *starts, "right, board first - moves first", "seen",
             "code saved, board first - moves first, bit", "seen"]  # fmt: skip
    return tabulate(rows, heads, "simple", disable_numparse=True)


def _seen(gap: Estimate) -> tuple[str, str]:
    """A difference as text, and whether its interval is on one side of 0."""
    return rounded(*gap), "yes" if abs(gap.mean) > gap.half_width else "no"
