"""Figure 2c, automata: ten rules by the prequential and by the requential code.

    python -m experiments.sweep --sweep=paper/fig2c_ten_rules --workdir=runs/fig2c

Claims 8, 11 and 20; 14 minutes on 2 cores. One record holds both codes: the requential one of the
student, and the prequential one of its teacher. Expected: the requential code is the shorter one,
rule 54 leads, and 0, 30 and 32 have nothing. The size is enough for that: 2 layers of 32 learn the
shift and the copies completely and the marginal law of the others, at the paper's rate. It does not
decide whether 110 is second: S of rules 4 and 41 is 7 ± 3 and 7 ± 6 × 10⁴ bits, of 110 9 ± 3.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from configs.paper import _figure
from epx.analysis import rank
from epx.analysis.measurement import LN2
from epx.report import evidence
from epx.report.claims import Check, exact
from epx.report.evidence import Reading
from epx.report.figures import lines
from epx.report.summary import Run
from epx.sweeps.grid import product, vary

RULES = (0, 32, 4, 15, 22, 30, 41, 54, 106, 110)  # by Wolfram's classes I, II, III, IV
TOP, BOTTOM = (54, 110), (0, 30, 32)
CLAIMS = {
    8: "An untrained observer predicts uniformly, and its student pays nothing",
    11: "Both codes order ten rules alike; rules 54 and 110 have the most structure, "
    "0, 30 and 32 the least",
    20: "The prequential code of every rule is longer than the requential one",
}
OBSERVERS = {
    "cpu": ((2, 32),),
    "paper": tuple((depth, width) for depth in (1, 2, 3) for width in (16, 32, 64, 128)),
}


def get_config(size: str = "cpu") -> _figure.ConfigDict:
    """The config shared by all runs."""
    config = _figure.get_config("fig2c_ten_rules", size)
    paper = size == "paper"
    cells = dict(width=64, steps=48, burnin=1000) if paper else dict(width=32, steps=16, burnin=64)
    config.generator.update(name="eca", **cells)
    config.observer.head_dim = 32
    config.code.name = "requential"
    config.run.update(batch=384 if paper else 64, steps=10_000 if paper else 1000)
    config.eval.update(every=500, examples=16_384 if paper else 1024)
    config.checkpoint.every = 500
    config.label = dict(generator="rule {rule}", observer="{depth} layers of {width}")
    return config


def sweep(size: str = "cpu") -> list[dict[str, Any]]:
    """Ten rules, five seeds each."""
    observers = [{"observer.depth": d, "observer.width": w} for d, w in OBSERVERS[size]]
    return product(observers, vary("generator.rule", RULES), vary("run.seed", range(5)))


def structures(runs: Sequence[Run]) -> dict[str, dict[int, dict[int, float]]]:
    """S in bits by code, rule and seed, for the largest observer."""
    depth, width = OBSERVERS[evidence.config(runs[0])["figure.size"]][-1]
    runs = evidence.select(runs, observer__depth=depth, observer__width=width)
    return {
        code: {
            rule: evidence.by_seed(
                evidence.pick(runs, generator__rule=rule), evidence.structure_bits, Reading(code)
            )
            for rule in RULES
        }
        for code in ("requential", "prequential")
    }


def check(number: int, runs: Sequence[Run]) -> list[Check]:
    """The checks of a claim, by seed."""
    if number == 8:
        rows = [run.record.rows for run in runs]
        first = np.concatenate([r["nats"][:, 0] / r["coded_tok"][:, 0] / LN2 for r in rows])
        furthest = first[np.argmax(np.abs(first - 1))]
        kl = max(float((r["kl_nats"][:, 0] / r["sampled_tok"][:, 0]).max()) / LN2 for r in rows)
        return [
            Check("first charge, worst, bit per cell", exact(furthest), 1 - 1e-5, 1 + 1e-5),
            Check("first KL of teacher and student, largest, bit per cell", exact(kl), 0, 1e-4),
        ]
    found = structures(runs)
    sent, area = found["requential"], found["prequential"]
    if number == 20:
        gaps = {rule: evidence.difference(area[rule], sent[rule]) for rule in RULES}
        return [Check(f"S_preq - S_req, rule {rule}, bit", gap, 0) for rule, gap in gaps.items()]
    others = [rule for rule in RULES if rule not in TOP]
    rest = [rule for rule in RULES if rule not in BOTTOM]
    order = evidence.paired(_rank_correlation, *sent.values(), *area.values())
    return [
        Check("rank correlation of S_req and S_preq", order, 0.5),
        Check("least of 54 and 110 - most of the others, S_req, bit",
              evidence.paired(_gap(TOP, others), *sent.values()), 0),
        Check("least of the others - most of 0, 30 and 32, S_req, bit",
              evidence.paired(_gap(rest, BOTTOM), *sent.values()), 0),
    ]  # fmt: skip


def _rank_correlation(*values: float) -> float:
    count = len(RULES)
    return rank.spearman(values[:count], values[count:])


def _gap(above: Sequence[int], below: Sequence[int]):
    """The least of some rules minus the most of others, of values in the order of RULES."""
    places = [[RULES.index(rule) for rule in rules] for rules in (above, below)]
    return lambda *values: min(values[n] for n in places[0]) - max(values[n] for n in places[1])


def draw(runs: Sequence[Run], path: Path | None = None) -> Figure:
    """S of both codes, a mark for each rule."""
    found = structures(runs)
    order = sorted(RULES, key=lambda rule: evidence.mean(found["requential"][rule]).mean)
    series = {
        f"S, {code} code": [(n, evidence.mean(found[code][rule])) for n, rule in enumerate(order)]
        for code in found
    }
    panel = lines.Panel("ten rules", "rule", "bit", series, names=list(map(str, order)))
    return lines.panels([panel], path)
