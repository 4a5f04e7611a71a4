"""Collapse: what is left of real data after generations of learners that learn from each other.

    python -m experiments.sweep --sweep=collapse --workdir=runs/collapse

A fresh learner of the same kind learns in every generation, in four passes over 2048 examples.
Those of generation 1 are real. Later ones are drawn by the learner of the generation before, alone
(`replace`), with a tenth of real ones (`kept`), together with all earlier ones (`accumulate`), as
many as before drawn from all kinds (`subsample`), or as a verifier keeps them: one that knows the
law (`verified`), or one that errs, below and above the share of wrong examples that it can bear.
Half of the held-out examples are real, and half of the kind of the data: S and H are of the data,
and the excess above the loss on real examples says what the data teach of these.

Letters of a Markov language and states of rule 54, whose laws are known, and English, for three
arms. The toys in closed form are in `epx/analysis/collapse.py`.

Claims 211 to 216, not measured yet.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from configs import base
from epx.analysis.measurement import Estimate
from epx.report import evidence, lines, parts
from epx.report.claims import Check
from epx.report.summary import Run
from epx.sweeps.grid import product, vary

CLAIMS = {
    211: "Replaced generation after generation, data make learners worse on real examples",
    212: "Where real data are kept, or all data, learners stay better than with replaced data",
    213: "The structure and the entropy of replaced data both fall",
    214: "Late replaced data teach falsehoods: their EDL against real examples is negative",
    215: "What a verifier of the law keeps does not get worse",
    216: "A verifier that keeps more wrong examples than it can bear is worse than another",
}
SEEDS = range(5)
GENERATIONS = 8
EXAMPLES, PASSES, BATCH, LENGTH = 2048, 4, 32, 32
LR = 0.2  # to be chosen
LETTERS, RULE, ENGLISH = "letters", "rule 54", "English"
REAL = {
    LETTERS: f"story length={LENGTH}",
    RULE: "eca rule=54 width=16 steps=2",
    ENGLISH: f"text length={LENGTH}",
}
REPLACE, KEPT, ACCUMULATE, SUBSAMPLE = "replace", "kept", "accumulate", "subsample"
VERIFIED, BELOW, ABOVE = "verified", "below", "above"
# Probabilities that a right and a wrong example is kept: the share of wrong ones that can be borne
# is keeps / (keeps + errs) (arXiv 2406.07515).
VERIFIERS = {VERIFIED: (1.0, 0.0), BELOW: (0.9, 0.1), ABOVE: (0.1, 0.9)}
ARMS = {
    LETTERS: (REPLACE, KEPT, ACCUMULATE, SUBSAMPLE, *VERIFIERS),
    RULE: (REPLACE, KEPT, ACCUMULATE, SUBSAMPLE, *VERIFIERS),
    ENGLISH: (REPLACE, KEPT, ACCUMULATE),
}
KEPT_SHARE = 0.1


def get_config(size: str = "cpu") -> base.ConfigDict:
    """The config shared by all runs."""
    config = base.get_config(size)
    config.figure = dict(name="collapse", size=size)
    config.generator.update(name="mixture", size=2**20)
    config.observer.update(depth=2, width=32, head_dim=16)
    config.optim.update(lr=LR, warmup_steps=50, ema_steps=50)
    config.run.update(
        batch=BATCH, steps=EXAMPLES * PASSES // BATCH, examples=EXAMPLES, repeats=PASSES, chunk=64
    )
    config.eval.update(examples=2048)
    config.checkpoint.update(every=None, keep=1)
    return config


def sweep() -> list[dict[str, Any]]:
    """The first generation of each kind of data, and the later ones of each arm."""
    runs = []
    for data, arms in ARMS.items():
        runs.append(_run(data, "", 1))
        runs += [_run(data, arm, n) for arm in arms for n in range(2, GENERATIONS + 1)]
    return product(runs, vary("run.seed", SEEDS))


def _run(data: str, arm: str, generation: int) -> dict[str, Any]:
    """A generation; its mixture is the data of the arm, and last the real data, to be evaluated."""
    texts, weights = _data(data, arm, generation)
    count = len(texts)
    held_out = [weight / sum(weights) for weight in weights]
    run = {
        "ensemble": _name(data, arm, generation),
        "generator.parts": "; ".join([*texts, REAL[data]]),
        "generator.weights": " ".join(f"{weight:g}" for weight in [*weights, 0]),
        "generator.held_out": " ".join(f"{weight:g}" for weight in [*held_out, 1]),
        "generator.size": 0 if data == ENGLISH else 2**20,
        "label.generator": f"{data}, {arm or 'real'} {generation}",
        "label.observer": "the next learner",
    }
    if arm == ACCUMULATE:
        run |= {
            "generator.block": EXAMPLES,  # the same examples as in earlier generations
            "run.examples": count * EXAMPLES,
            "run.steps": count * EXAMPLES * PASSES // BATCH,
        }
    return run


def _data(data: str, arm: str, generation: int) -> tuple[list[str], list[float]]:
    """The generators of a generation's data, as texts, and their weights."""
    real = REAL[data]
    if generation == 1:
        return [real], [1.0]

    def drawn(number: int) -> str:
        """What the learner of a generation draws."""
        name = _name(data, arm if number > 1 else "", number)
        return f'sampled record=ensemble:{name} like="{real}" stream={number}'

    last = drawn(generation - 1)
    if arm == KEPT:
        return [last, real], [1 - KEPT_SHARE, KEPT_SHARE]
    if arm in (ACCUMULATE, SUBSAMPLE):
        all_drawn = [drawn(number) for number in range(1, generation)]
        return [real, *all_drawn], [1.0] * generation
    if arm in VERIFIERS:
        keeps, errs = VERIFIERS[arm]
        quoted = last.replace('"', "'")
        return [f'filtered of="{quoted}" law="{real}" keeps={keeps:g} errs={errs:g}'], [1.0]
    return [last], [1.0]


def _name(data: str, arm: str, generation: int) -> str:
    return "-".join([data.replace(" ", ""), arm or "real", str(generation)])


def _of(runs: Sequence[Run], data: str, arm: str, generation: int) -> Run:
    label = f"{data}, {arm if generation > 1 else 'real'} {generation}"
    return evidence.pick(runs, label__generator=label)


def real_loss(run: Run) -> dict[int, float]:
    """The loss on real examples, in bits per token, by seed."""
    return {seed: float(loss_P[-1]) for seed, loss_P in parts.losses(run).items()}


def own_loss(run: Run) -> dict[int, float]:
    """H of the data: the loss on new examples of their kind, in bits per token, by seed."""
    weights = run.record.rows["part_coded_tok"].sum((0, 1), dtype=float)[:-1]
    share_P = weights / weights.sum()
    return {seed: float(loss_P[:-1] @ share_P) for seed, loss_P in parts.losses(run).items()}


def structure(run: Run, real: bool = False) -> dict[int, float]:
    """S of the data in bits, above their own loss or above that on real examples, by seed."""
    count = run.record.rows["part_nats"].shape[2] - 1
    above = count if real else None
    found = [parts.structure_bits(run, part, above) for part in range(count)]
    return {seed: sum(of_part[seed] for of_part in found) for seed in found[0]}


def check(number: int, runs: Sequence[Run]) -> list[Check]:
    """Differences between generations and between arms, paired by seed."""
    last, checks = GENERATIONS, []
    for data, arms in ARMS.items():
        first, replaced = _of(runs, data, "", 1), _of(runs, data, REPLACE, last)
        loss = {arm: real_loss(_of(runs, data, arm, last)) for arm in arms}
        if number == 211:
            gap = evidence.difference(loss[REPLACE], real_loss(first))
            checks.append(Check(f"{data}: loss, generation {last} - 1, bit per token", gap, 0))
        elif number == 212:
            for arm in (KEPT, ACCUMULATE):
                gap = evidence.difference(loss[arm], loss[REPLACE])
                checks.append(Check(f"{data}: loss, {arm} - {REPLACE}", gap, high=0))
        elif number == 213:
            for what, quantity in (("S, bit", structure), ("H, bit per token", own_loss)):
                gap = evidence.difference(quantity(replaced), quantity(first))
                checks.append(Check(f"{data}: {what}, generation {last} - 1", gap, high=0))
        elif number == 214:
            against = evidence.mean(structure(replaced, real=True))
            checks.append(Check(f"{data}: EDL against real examples, bit", against, high=0))
        elif number == 215 and VERIFIED in arms:
            gap = evidence.difference(loss[VERIFIED], real_loss(first))
            checks.append(Check(f"{data}: loss, {VERIFIED} {last} - real 1", gap, high=0.02))
        elif number == 216 and ABOVE in arms:
            gap = evidence.difference(loss[ABOVE], loss[BELOW])
            checks.append(Check(f"{data}: loss, {ABOVE} - {BELOW}, bit per token", gap, 0))
    return checks


def draw(runs: Sequence[Run], path: Path | None = None) -> Figure:
    """The loss on real examples, H and S of the data over generations, an arm a line."""
    quantities = (
        ("loss on real examples", "bit per token", real_loss),
        ("H of the data", "bit per token", own_loss),
        ("S of the data", "bit", structure),
    )
    panels = []
    for data, arms in ARMS.items():
        for title, unit, quantity in quantities:
            series: dict[str, list[tuple[float, Estimate]]] = {
                arm: [
                    (float(n), evidence.mean(quantity(_of(runs, data, arm, n))))
                    for n in range(1, GENERATIONS + 1)
                ]
                for arm in arms
            }
            name = f"{data}: {title}"
            panels.append(lines.Panel(name, "generation", unit, series, y_scale="linear"))
    return lines.panels(panels, path)
