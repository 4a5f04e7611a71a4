"""Which data next? Policies over the parts of a mixture with noise, repeats and duplicates.

    python -m experiments.sweep --sweep=mixing --workdir=runs/mixing

Eight parts: a constant, repeated blocks, noise, letters of a Markov language twice, hidden chains,
and pairs of states of rule 54; pairs of rule 110 are never trained on. The natural proportions have
much noise and many letters. A policy changes the proportions after every 100 of 1500 steps, from
the natural or from equal ones. All arms see as many tokens; the held-out examples have equal parts.
ADO is as published; one arm more has no bound on irreducible losses, as EpiSelect has none here.

Claims 201 to 209.
"""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from configs import base
from epx.analysis.measurement import Estimate, interval
from epx.report import evidence, parts
from epx.report.claims import Check
from epx.report.figures import lines
from epx.report.summary import Run
from epx.sweeps.grid import product, vary

CLAIMS = {
    201: "The policy that takes the highest loss drowns in noise",
    202: "ADO and EpiSelect draw less noise and less of the constant than the natural proportions "
    "have",
    203: "EpiSelect ends with less loss on the parts with structure than equal proportions do, "
    "started from the natural ones and from equal ones",
    204: "ADO ends with less loss on the parts with structure than equal proportions do, started "
    "from both",
    205: "A fitted matrix of what parts are worth to each other helps EpiSelect, started from both",
    206: "ADO and EpiSelect, from equal, find more structure than equal proportions do",
    207: "EpiSelect moves from letters, which are learned first, to rule 54",
    208: "ADO and EpiSelect, from equal, end with less loss on the unseen rule than equal ones do",
    209: "The oracle, which draws no part without structure, ends with less loss on the unseen "
    "rule than equal proportions do",
}
SEEDS = range(10)
LENGTH, BATCH, STEPS, PERIOD, CHUNK = 32, 32, 1500, 100, 20
LR = 0.1  # of 0.05 to 0.4, two seeds, equal proportions
_LETTERS = f"story letters=8 successors=3 length={LENGTH}"
# Name, text, natural weight; of what is evaluated only the weight is 0.
PARTS: dict[str, tuple[str, float]] = {
    "constant": (f"iid law=constant length={LENGTH}", 2),
    "repeats": (f"iid law=repeat vocab=16 period=8 length={LENGTH}", 2),
    "noise": (f"iid law=uniform vocab=16 length={LENGTH}", 4),
    "letters": (_LETTERS, 3),
    "letters again": (_LETTERS, 3),
    "hidden chains": (f"markov states=8 hidden=8 length={LENGTH - 1}", 1),
    "rule 54": ("eca rule=54 width=16 steps=1", 1),
    "rule 110, unseen": ("eca rule=110 width=16 steps=1", 0),
}
NAMES = list(PARTS)
STRUCTURED = ("repeats", "letters", "hidden chains", "rule 54")
COPY, UNSEEN = "letters again", "rule 110, unseen"
NATURAL, EQUAL, ORACLE = "natural", "equal", "oracle"
HIGHEST, ADO, EPISELECT, CROSS = "highest loss", "ADO", "EpiSelect", "EpiSelect, fitted matrix"
UNBOUNDED = "ADO, no bound"
FROM_EQUAL = "{}, from equal"
_PERIOD = {"policy.period": PERIOD}
_EQUAL = {"generator.weights": "1 1 1 1 1 1 1 0"}
POLICIES: dict[str, dict[str, Any]] = {
    ADO: {"policy.name": "ado", "policy.warmup": 50, **_PERIOD},
    UNBOUNDED: {"policy.name": "ado", "policy.warmup": 50, "policy.bounded": False, **_PERIOD},
    EPISELECT: {"policy.name": "episelect", **_PERIOD},
    CROSS: {"policy.name": "episelect", "policy.cross": "full", **_PERIOD},
}
ARMS: dict[str, dict[str, Any]] = {
    NATURAL: {},
    EQUAL: _EQUAL,
    ORACLE: {"generator.weights": "0 1 0 1 0 1 1 0"},
    HIGHEST: {"policy.name": "highest_loss", **_PERIOD},
    **POLICIES,
    **{FROM_EQUAL.format(name): keys | _EQUAL for name, keys in POLICIES.items()},
}


def get_config(size: str = "cpu") -> base.ConfigDict:
    """The config shared by all runs."""
    config = base.get_config(size)
    config.figure = dict(name="mixing", size=size)
    config.generator.update(
        name="mixture",
        parts="; ".join(text for text, _ in PARTS.values()),
        weights=" ".join(str(weight) for _, weight in PARTS.values()),
        held_out="1 1 1 1 0 1 1 1",
        size=2**24,  # never reached
    )
    config.observer.update(depth=2, width=32, head_dim=16)
    config.optim.update(lr=LR, warmup_steps=50, ema_steps=50)
    config.run.update(batch=BATCH, steps=STEPS, chunk=CHUNK)
    config.eval.update(examples=3500, every=500)
    config.checkpoint.update(every=500, keep=1)
    config.label = dict(generator="eight parts")
    return config


def sweep() -> list[dict[str, Any]]:
    """The arms."""
    arms = [keys | {"label.observer": name} for name, keys in ARMS.items()]
    return product(arms, vary("run.seed", SEEDS))


def score(run: Run, names: Sequence[str] = STRUCTURED) -> dict[int, float]:
    """By seed the mean held-out loss of parts, by default with structure, in bits per token."""
    places = [NAMES.index(name) for name in names]
    return {seed: float(loss_P[places].mean()) for seed, loss_P in parts.losses(run).items()}


def structure_bits(run: Run) -> dict[int, float]:
    """By seed S of all parts that have structure, the copy of the letters too.

    The held-out examples have no copy: it is the same language, with the same loss.
    """
    found = [parts.structure_bits(run, NAMES.index(name)) for name in STRUCTURED]
    copy, letters = NAMES.index(COPY), NAMES.index("letters")
    found.append(parts.structure_bits(run, copy, above=letters))
    return {seed: sum(of_part[seed] for of_part in found) for seed in found[0]}


def share(run: Run, name: str) -> dict[int, float]:
    """By seed the share of a part in the coded tokens."""
    place = NAMES.index(name)
    return {seed: float(share_P[place]) for seed, share_P in parts.shares(run).items()}


def moved(run: Run) -> dict[int, float]:
    """By seed how much more the weight of rule 54 is at the end, against that of the letters."""
    first, last = (
        {seed: run.record.rows["part_weights"][m, step] for seed, m in parts.finite(run).items()}
        for step in (0, -1)
    )
    new, known = NAMES.index("rule 54"), [NAMES.index(name) for name in ("letters", COPY)]

    def ratio(weights_P: np.ndarray) -> float:
        return float(np.log2(weights_P[new] / weights_P[known].sum()))

    return {seed: ratio(last[seed]) - ratio(first[seed]) for seed in first}


def _arm(runs: Sequence[Run], name: str) -> Run:
    return evidence.pick(runs, label__observer=name)


def check(number: int, runs: Sequence[Run]) -> list[Check]:
    """Differences are paired by seed."""
    return {201: _drowns, 202: _starves, 206: _finds, 207: _moves, 208: _unseen, 209: _unseen}.get(
        number, _ends_lower
    )(number, runs)


def _gap(quantity: Callable[[Run], dict[int, float]], runs: Sequence[Run], *arms: str) -> Estimate:
    """The first arm minus the second."""
    return evidence.difference(*(quantity(_arm(runs, arm)) for arm in arms))


def _drowns(number: int, runs: Sequence[Run]) -> list[Check]:
    noise = _gap(partial(share, name="noise"), runs, HIGHEST, NATURAL)
    return [
        Check(f"share of noise, {HIGHEST} - {NATURAL}", noise, low=0),
        Check(f"loss, {HIGHEST} - {EQUAL}, bit per token", _gap(score, runs, HIGHEST, EQUAL), 0),
    ]


def _starves(number: int, runs: Sequence[Run]) -> list[Check]:
    return [
        Check(
            f"share of {name}, {arm} - {NATURAL}",
            _gap(partial(share, name=name), runs, arm, NATURAL),
            high=0,
        )
        for arm in (ADO, EPISELECT)
        for name in ("noise", "constant")
    ]


def _ends_lower(number: int, runs: Sequence[Run]) -> list[Check]:
    first, second = {203: (EPISELECT, EQUAL), 204: (ADO, EQUAL), 205: (CROSS, EPISELECT)}[number]
    checks = []
    for name in (first, FROM_EQUAL.format(first)):
        other = FROM_EQUAL.format(second) if name != first and second != EQUAL else second
        gap = _gap(score, runs, name, other)
        checks.append(Check(f"loss, {name} - {other}, bit per token", gap, high=0))
    return checks


def _finds(number: int, runs: Sequence[Run]) -> list[Check]:
    arms = [FROM_EQUAL.format(name) for name in (ADO, EPISELECT)]
    return [
        Check(f"S, {arm} - {EQUAL}, bit", _gap(structure_bits, runs, arm, EQUAL), 0) for arm in arms
    ]


def _moves(number: int, runs: Sequence[Run]) -> list[Check]:
    arms = (EPISELECT, FROM_EQUAL.format(EPISELECT))
    return [
        Check(
            f"rule 54 / letters, end / start, {arm}, log2", evidence.mean(moved(_arm(runs, arm))), 0
        )
        for arm in arms
    ]


def _unseen(number: int, runs: Sequence[Run]) -> list[Check]:
    arms = [FROM_EQUAL.format(name) for name in (ADO, EPISELECT)] if number == 208 else [ORACLE]
    return [
        Check(
            f"loss of the unseen rule, {arm} - {EQUAL}, bit per token",
            _gap(partial(score, names=(UNSEEN,)), runs, arm, EQUAL),
            high=0,
        )
        for arm in arms
    ]


def draw(runs: Sequence[Run], path: Path | None = None) -> Figure:
    """The held-out loss of the parts in the main arms, and the shares of all over time."""
    panels = []
    kept = [*STRUCTURED, NAMES[-1]]
    series: dict[str, list[tuple[float, Estimate]]] = {}
    for arm in (NATURAL, EQUAL, ORACLE, HIGHEST, ADO, EPISELECT):
        found_MxP = np.array(list(parts.losses(_arm(runs, arm)).values()))
        series[arm] = [
            (n, interval(found_MxP[:, NAMES.index(name)])) for n, name in enumerate(kept)
        ]
    title = "held-out loss at equal tokens"
    panels.append(lines.Panel(title, "", "bit per token", series, names=kept, y_scale="linear"))
    for arm in (HIGHEST, ADO, EPISELECT):
        run = _arm(runs, arm)
        weights = run.record.rows["part_weights"][run.members]
        over_time = {
            name: [
                (float(step), interval(weights[:, step, n].astype(np.float64)))
                for step in range(0, weights.shape[1], CHUNK)
            ]
            for n, name in enumerate(NAMES[:-1])
        }
        panels.append(lines.Panel(arm, "steps", "share", over_time, y_scale="linear"))
    return lines.panels(panels, path)
