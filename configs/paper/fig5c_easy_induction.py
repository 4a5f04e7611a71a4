"""Figure 5c: structure is largest where some rows of a chain are given and others are not.

    python -m experiments.sweep --sweep=paper/fig5c_easy_induction --workdir=runs/fig5c

Chains of V states; h of the V transition rows are hidden, the others are given with the sequence.

The least setting found in which the learner comes to the floor where no row is hidden and where all
are; with some hidden one row is learned last, after many more steps.

Claim 14; 50 minutes on 2 cores, beside other work.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from configs.paper import _figure
from epx.analysis.measurement import Estimate
from epx.report import evidence
from epx.report.claims import Check
from epx.report.evidence import Reading
from epx.report.figures import lines
from epx.report.summary import Run
from epx.sweeps.grid import chain, product, vary

CLAIMS = {
    14: "The loss reaches the floor of exact induction for every h; S is largest with three "
    "quarters of the rows hidden, then half, then all, and least with none"
}
# The oracle learns nothing; it prices the held-out chains of the same seed, so that their luck
# cancels: the entropy of a chain varies by a tenth from one to the next.
ORACLE = {
    "observer.name": "oracle", "label.observer": "oracle", "code.name": "prequential",
    "run.steps": 50, "run.batch": 8, "checkpoint.every": 50,
}  # fmt: skip
HIDDEN = {"cpu": (0, 1, 2, 3, 4), "paper": (0, 2, 4, 6, 8)}


def get_config(size: str = "cpu") -> _figure.ConfigDict:
    """The config shared by all runs."""
    config = _figure.get_config("fig5c_easy_induction", size)
    paper = size == "paper"
    config.generator.update(name="markov", states=8 if paper else 4, length=512 if paper else 64)
    config.observer.update(depth=3 if paper else 2, width=128 if paper else 32)
    config.observer.head_dim = 64 if paper else 16
    config.optim.warmup_steps = 15
    config.code.update(name="requential", max_kl=0.01, teacher_steps=3000 if paper else 2800)
    config.run.update(batch=384 if paper else 64, steps=4000 if paper else 3200)
    config.eval.update(every=200, examples=4096 if paper else 2048)
    config.checkpoint.every = 500
    config.label = dict(generator="{hidden} rows hidden")
    return config


def sweep(size: str = "cpu") -> list[dict[str, Any]]:
    """Five numbers of hidden rows, from none to all, under the learner and under the oracle."""
    hidden = vary("generator.hidden", HIDDEN[size])
    return product(chain([{}], [ORACLE]), hidden, vary("run.seed", range(5)))


def check(number: int, runs: Sequence[Run]) -> list[Check]:
    """The loss of a sequence as a share of the oracle's, and S of pairs of h, paired by seed."""
    learner, oracle = _by_hidden(runs)
    checks = []
    for h, run in learner.items():
        losses = evidence.example_bits(run), evidence.example_bits(oracle[h])
        ratio = evidence.paired(lambda loss, floor: loss / floor, *losses)
        checks.append(Check(f"h = {h}: loss / floor", ratio, high=1.005))
    structure = {h: evidence.by_seed(run, evidence.structure_bits) for h, run in learner.items()}
    none, few, half, most, every = learner
    pairs = ((most, half), (half, every), (every, none), (few, none))
    for larger, smaller in pairs:
        gap = evidence.difference(structure[larger], structure[smaller])
        checks.append(Check(f"S_req({larger}) - S_req({smaller}), bit", gap, 0))
    return checks


def _by_hidden(runs: Sequence[Run]) -> tuple[dict[int, Run], dict[int, Run]]:
    """The runs of the learner and of the oracle, by the number of hidden rows."""
    size = evidence.config(runs[0])["figure.size"]
    learner, oracle = (
        evidence.by_value(
            evidence.select(runs, observer__name=name), "generator.hidden", HIDDEN[size]
        )
        for name in ("transformer", "oracle")
    )
    return learner, oracle


def _above_floor(learner: Run, oracle: Run) -> list[tuple[float, Estimate]]:
    """The loss of a sequence above the oracle's, in bits, paired by seed, at every evaluation."""
    floor = evidence.example_bits(oracle)
    losses = {
        step: evidence.example_bits(learner, Reading(step=step)) for step in learner.record.evals
    }
    return [(step, evidence.difference(loss, floor)) for step, loss in losses.items()]


def draw(runs: Sequence[Run], path: Path | None = None) -> Figure:
    """The held-out loss of a sequence above its floor against steps, and S against h."""
    learner, oracle = _by_hidden(runs)
    above = {f"h = {h}": _above_floor(run, oracle[h]) for h, run in learner.items()}
    s = [
        (h, evidence.mean(evidence.by_seed(run, evidence.structure_bits)))
        for h, run in learner.items()
    ]
    return lines.panels(
        [
            lines.Panel("held-out loss above the floor", "steps of the student", "bit", above),
            lines.Panel("structure S", "hidden rows h", "bit", {"S, requential code": s}),
        ],
        path,
    )
