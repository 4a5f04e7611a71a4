"""Skills of addition: which place to teach next?

    python -m experiments.sweep --sweep=skills --workdir=runs/skills

Sums of two numbers of three digits; each example asks for one digit of the sum: the ones, the tens
or the hundreds. Each place is a skill, and the carry makes the lower ones part of the higher. Ways
to choose what comes next: the natural proportions 13 : 14 : 18, equal ones, the ones first or last,
the highest loss, ADO, EpiSelect, and Skill-it with its graph, after arXiv 2307.14430. All see as
many tokens; the held-out examples have equal parts.

Claims 241 to 243.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from configs import base
from epx.analysis.measurement import Estimate
from epx.report import evidence, parts
from epx.report.claims import Check
from epx.report.figures import lines
from epx.report.summary import Run
from epx.sweeps.grid import product, vary

CLAIMS = {
    241: "Skill-it ends with less loss than equal proportions do",
    242: "The ones first ends with less loss than the hundreds first",
    243: "Policies that know no graph end with less loss than equal proportions do",
}
SEEDS = range(10)
BATCH, STEPS, PERIOD, CHUNK = 32, 6000, 500, 100  # a third of the steps has whole periods
LR = 0.05  # of 0.0125 to 0.2, two or three seeds, equal proportions
PLACES = {"ones": 1, "tens": 2, "hundreds": 3}
NATURAL, EQUAL, ONES_FIRST, ONES_LAST = "natural", "equal", "ones first", "ones last"
HIGHEST, ADO, EPISELECT, SKILL_IT = "highest loss", "ADO", "EpiSelect", "Skill-it"
_PERIOD = {"policy.period": PERIOD}
_STEPS = {"policy.name": "stages", "policy.steps": f"{STEPS // 3} {STEPS // 3} {STEPS // 3}"}
ARMS: dict[str, dict[str, Any]] = {
    NATURAL: {"generator.weights": "13 14 18"},
    EQUAL: {},
    ONES_FIRST: {**_STEPS, "policy.stages": "1 0 0; 0 1 0; 0 0 1"},
    ONES_LAST: {**_STEPS, "policy.stages": "0 0 1; 0 1 0; 1 0 0"},
    HIGHEST: {"policy.name": "highest_loss", **_PERIOD},
    ADO: {"policy.name": "ado", "policy.warmup": 300, **_PERIOD},
    EPISELECT: {"policy.name": "episelect", **_PERIOD},
    SKILL_IT: {"policy.name": "skill_it", "policy.graph": "1 0 0; 1 1 0; 0 0 1", **_PERIOD},
}


def get_config(size: str = "cpu") -> base.ConfigDict:
    """The config shared by all runs."""
    config = base.get_config(size)
    config.figure = dict(name="skills", size=size)
    config.generator.update(
        name="mixture",
        parts="; ".join(f"arithmetic operation=add digits=3 place={n}" for n in PLACES.values()),
        weights="1 1 1",
        held_out="1 1 1",
        size=2**24,  # never reached
    )
    config.observer.update(depth=2, width=32, head_dim=16)
    config.optim.update(lr=LR, warmup_steps=50, ema_steps=50)
    config.run.update(batch=BATCH, steps=STEPS, chunk=CHUNK)
    config.eval.update(examples=3000, every=PERIOD)
    config.checkpoint.update(every=None, keep=1)
    config.label = dict(generator="places of sums")
    return config


def sweep() -> list[dict[str, Any]]:
    """The arms."""
    arms = [keys | {"label.observer": name} for name, keys in ARMS.items()]
    return product(arms, vary("run.seed", SEEDS))


def score(run: Run, step: int | None = None) -> dict[int, float]:
    """By seed the mean held-out loss of the places, in bits per digit, at a step or at the end."""
    return {seed: float(loss_P.mean()) for seed, loss_P in parts.losses(run, step).items()}


def _arm(runs: Sequence[Run], name: str) -> Run:
    return evidence.pick(runs, label__observer=name)


def check(number: int, runs: Sequence[Run]) -> list[Check]:
    """Differences are paired by seed."""
    pairs = {
        241: [(SKILL_IT, EQUAL)],
        242: [(ONES_FIRST, ONES_LAST)],
        243: [(HIGHEST, EQUAL), (ADO, EQUAL), (EPISELECT, EQUAL)],
    }[number]
    checks = []
    for first, second in pairs:
        gap = evidence.difference(score(_arm(runs, first)), score(_arm(runs, second)))
        checks.append(Check(f"loss, {first} - {second}, bit per digit", gap, high=0))
    return checks


def draw(runs: Sequence[Run], path: Path | None = None) -> Figure:
    """The final loss of every place by arm, and that of all over time where places are mixed."""
    final: dict[str, list[tuple[float, Estimate]]] = {}
    for n, place in enumerate(PLACES):
        losses = [parts.losses(_arm(runs, arm)) for arm in ARMS]
        final[place] = [
            (float(rank), evidence.mean({s: float(loss_P[n]) for s, loss_P in by_seed.items()}))
            for rank, by_seed in enumerate(losses)
        ]
    mixed = [arm for arm in ARMS if arm not in (ONES_FIRST, ONES_LAST)]
    over_time = {
        arm: [(float(step), evidence.mean(score(run, step))) for step in sorted(run.record.evals)]
        for arm in mixed
        for run in [_arm(runs, arm)]
    }
    label = "bit per digit"
    return lines.panels(
        [
            lines.Panel("at the end", "", label, final, names=list(ARMS), y_scale="linear"),
            lines.Panel("all places", "steps", label, over_time, y_scale="linear"),
        ],
        path,
    )
