"""EpiGen at toy scale: does a rewarded writer teach a learner what helps it elsewhere?

    python -m experiments.sweep --sweep=epigen --workdir=runs/epigen

Learner and writer start with the weights of an observer of three languages of letters, or with new
ones. The writer draws batches and the learner learns from them; it is rewarded for the fall of the
learner's loss on a buffer, or on the new batch alone, or it is frozen. The learner then learns a
fourth language; what it pays is compared with that of the observer without this step in between
(arXiv 2608.11746, at the size of a laptop).

Claims 251 to 253.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from configs import base
from epx.report import evidence
from epx.report.claims import Check
from epx.report.figures import lines
from epx.report.summary import Run
from epx.sweeps.grid import product, vary

CLAIMS = {
    251: "From trained weights a rewarded writer helps more than a frozen one",
    252: "From trained weights it helps more than nothing in between",
    253: "From new weights it does not help",
}
SEEDS = range(5)
LENGTH, BATCH = 32, 32
TRAINED_STEPS, WRITTEN_STEPS, TARGET_STEPS = 2000, 300, 300
# Of a language from each start the best of 0.05 to 0.8, of writing the best of 0.005 to 0.2 for the
# language after it; two seeds.
LR, NEW_LR, WRITTEN_LR = 0.2, 0.8, 0.005
LANGUAGE = f"story letters=8 order=2 successors=2 length={LENGTH} draw={{}}"
BEFORE = "; ".join(LANGUAGE.format(draw) for draw in (1, 2, 3))
TRAINED, NEW = "trained", "new"
NOTHING, FROZEN, OWN_BATCH, BUFFER = "nothing", "frozen writer", "own batch", "buffer"
WRITERS: dict[str, dict[str, Any]] = {
    FROZEN: {"code.writer_rate": 0.0},
    OWN_BATCH: {"code.buffer": 0},
    BUFFER: {},
}
GAIN = 0.01  # of what is paid


def get_config(size: str = "cpu") -> base.ConfigDict:
    """The config shared by all runs."""
    config = base.get_config(size)
    config.figure = dict(name="epigen", size=size)
    config.generator.update(name="mixture", parts=BEFORE)
    config.observer.update(depth=2, width=32, head_dim=16)
    config.optim.update(lr=LR, warmup_steps=20, ema_steps=30)
    config.run.update(batch=BATCH, steps=TRAINED_STEPS, chunk=50)
    config.eval.update(examples=1024)
    config.checkpoint.update(every=None, keep=1)
    return config


def sweep() -> list[dict[str, Any]]:
    """The trained observer; the writers from both starts; and the fourth language after each."""
    runs: list[dict[str, Any]] = [
        {"ensemble": TRAINED, "label.generator": "three languages", "label.observer": TRAINED}
    ]
    for start in (TRAINED, NEW):
        from_start = {"run.start": f"ensemble:{TRAINED}"} if start == TRAINED else {}
        runs.append(_target(start, NOTHING, from_start))
        for writer, keys in WRITERS.items():
            name = f"{start}-{writer.replace(' ', '-')}"
            runs.append(
                {
                    "ensemble": name, "code.name": "epigen", "run.steps": WRITTEN_STEPS,
                    "optim.lr": WRITTEN_LR, "label.generator": "what is written",
                    "label.observer": f"{start}, {writer}",
                }
                | keys
                | from_start
            )  # fmt: skip
            runs.append(_target(start, writer, {"run.start": f"ensemble:{name}"}))
    return product(runs, vary("run.seed", SEEDS))


def _target(start: str, writer: str, from_start: dict[str, Any]) -> dict[str, Any]:
    """The fourth language, from the weights of a start and a writer."""
    return {
        "generator.parts": LANGUAGE.format(4),
        "run.steps": TARGET_STEPS,
        "optim.lr": LR if start == TRAINED else NEW_LR,
        "label.generator": "a fourth language",
        "label.observer": f"{start}, {writer}",
    } | from_start


def paid(runs: Sequence[Run], start: str, writer: str) -> dict[int, float]:
    """By seed what the fourth language costs, S + H in bits."""
    run = evidence.pick(
        runs, label__generator="a fourth language", label__observer=f"{start}, {writer}"
    )
    return evidence.by_seed(run, evidence.description_bits)


def check(number: int, runs: Sequence[Run]) -> list[Check]:
    """Differences are paired by seed."""
    if number in (251, 252):
        other = FROZEN if number == 251 else NOTHING
        gap = evidence.difference(paid(runs, TRAINED, BUFFER), paid(runs, TRAINED, other))
        return [Check(f"a fourth language, {BUFFER} - {other}, bit", gap, high=0)]
    share = evidence.paired(
        lambda with_it, without: 1 - with_it / without,
        paid(runs, NEW, BUFFER),
        paid(runs, NEW, NOTHING),
    )
    return [Check("share of the cost saved, from new weights", share, high=GAIN)]


def draw(runs: Sequence[Run], path: Path | None = None) -> Figure:
    """What the fourth language costs after each writer, from both starts."""
    names = [NOTHING, *WRITERS]
    series = {
        start: [(n, evidence.mean(paid(runs, start, writer))) for n, writer in enumerate(names)]
        for start in (TRAINED, NEW)
    }
    panel = lines.Panel(
        "a fourth language", "", "S + H, bit", series, names=names, y_scale="linear"
    )
    return lines.panels([panel], path)
