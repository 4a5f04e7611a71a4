"""Two codes of the same structure, at every learning rate: prequential and requential.

    python -m experiments.sweep --sweep=codes --workdir=runs/codes

Two automata are coded by a student that learns from the samples of its teacher. A record holds both
codes: the requential one of the student, and the prequential one of its teacher. First the rate
varies, and then, at a high rate, what may keep the student near its teacher: the batch (at equal
tokens), a cap on the KL, the averages of the weights, clipping, and the constant of Adam; at a low
rate the cap and the projection. Takes 25 minutes on 2 cores.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from configs import base
from epx.report import evidence
from epx.report.evidence import Reading
from epx.report.figures import lines
from epx.report.summary import Run
from epx.sweeps.grid import chain, product, vary

RATES = (0.01, 0.03, 0.1, 0.3, 0.8)
RULES = (15, 54)
PLAIN = "2 layers of 32"
TEACHER_STEPS, BATCH = 500, 64
# A paused teacher needs more steps than it learns in, a projected one has to recover repeatedly.
HIGH: dict[str, dict[str, Any]] = {
    "batch 16": {"run.batch": 16, "run.steps": 2000, "code.teacher_steps": 2000},
    "batch 256": {"run.batch": 256, "run.steps": 125, "code.teacher_steps": 125},
    "cap 0.1": {"code.max_kl": 0.1, "run.steps": 1000},
    "average of 10 steps": {"optim.ema_steps": 10},
    "average of 200 steps": {"optim.ema_steps": 200},
    "gradients clipped at 0.1": {"optim.clip_norm": 0.1},
    "eps of 1e-4": {"optim.eps": 1e-4},
}
LOW: dict[str, dict[str, Any]] = {
    "cap 0.01": {"code.max_kl": 0.01, "run.steps": 1000},
    "projection": {"code.pacing": "projection", "run.steps": 1500},
}


def get_config(size: str = "cpu") -> base.ConfigDict:
    """The config shared by all runs."""
    config = base.get_config(size)
    config.generator.update(name="eca", width=32, steps=16, burnin=64)
    config.observer.update(depth=2, width=32)
    config.code.update(name="requential", teacher_steps=TEACHER_STEPS)
    config.run.update(batch=BATCH, steps=TEACHER_STEPS, chunk=25)
    config.checkpoint.update(every=250, keep=1)
    config.eval.examples = 1024
    config.label = dict(generator="rule {rule}")
    return config


def sweep() -> list[dict[str, Any]]:
    """Every rate, and the arms of a high and of a low rate."""
    rates = [{"label.observer": PLAIN, "optim.lr": rate} for rate in RATES]
    arms = [
        {"label.observer": f"{PLAIN}, {name}", "optim.lr": rate} | keys
        for rate, named in ((0.3, HIGH), (0.03, LOW))
        for name, keys in named.items()
    ]
    rules, seeds = vary("generator.rule", RULES), vary("run.seed", range(5))
    return product(chain(rates, arms), rules, seeds)


def draw(runs: Sequence[Run], path: Path | None = None) -> Figure:
    """S and H of both codes against the rate."""
    panels = []
    for rule in RULES:
        chosen = evidence.select(runs, generator__rule=rule, label__observer=PLAIN)
        for what, quantity, unit in (
            ("S", evidence.structure_bits, "bit"),
            ("H", evidence.entropy_bits_per_tok, "bit per cell"),
        ):
            series = {
                f"{code} code": [
                    (evidence.config(run)["optim.lr"],
                     evidence.mean(evidence.by_seed(run, quantity, Reading(code))))
                    for run in chosen
                ]
                for code in ("requential", "prequential")
            }  # fmt: skip
            title = f"rule {rule}: {what}"
            panels.append(lines.Panel(title, "learning rate", unit, series, scale="log"))
    return lines.panels(panels, path)
