"""Figure 3: the same machine makes noise, cheap structure and dear structure (rules 30, 15, 54).

    python -m experiments.sweep --sweep=paper/fig3_automata --workdir=runs/fig3

`cpu` took 54 minutes on 2 cores, beside other work. Claim 9 holds: after 1500 steps of 2 layers of
64 rule 54 has 147,000 bits, rule 15 28,000, rule 30 200. Claim 10 holds for the smallest observer,
1 layer of 16, where rule 15 has more at every step; 2 layers of 32 after 200 steps leave it open
(8000 +- 12,000 bits). Rings of 32 cells and 16 steps are enough: rule 15 is a rotation, rule 30 is
out of reach, and rule 54 has cells that follow from a few others and cells that do not. The rings
of the paper are of 64 cells, 48 steps.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from configs.paper import _figure
from epx.analysis import frontier
from epx.report import evidence
from epx.report.claims import Check
from epx.report.evidence import Reading
from epx.report.figures import curves
from epx.report.summary import Run
from epx.sweeps.grid import product, vary

CLAIMS = {
    9: "At much compute rule 54 has more structure than rule 15 and rule 30 none; H is 1 bit for "
    "rule 30, 0 for rule 15, and falls with compute for rule 54",
    10: "At little compute rule 15 has more structure than rule 54",
}

RULES = (15, 30, 54)
OBSERVERS = {
    "cpu": ((1, 16), (2, 32), (2, 64)),
    "paper": tuple((depth, width) for depth in (1, 2, 4, 6, 9) for width in (16, 32, 64, 128)),
}
# The observer and step of claim 10: the paper's inversion is at 10^12.5 FLOP, of its smallest one.
EARLY = ((1, 16), 800)
SEEDS = {"cpu": 5, "paper": 3}


def get_config(size: str = "cpu") -> _figure.ConfigDict:
    """The config shared by all runs."""
    config = _figure.get_config("fig3_automata", size)
    paper = size == "paper"
    config.generator.update(
        name="eca", width=64 if paper else 32, steps=48 if paper else 16,
        burnin=1000 if paper else 64,
    )  # fmt: skip
    config.code.name = "requential"
    config.run.update(batch=1536 if paper else 64, steps=10_000 if paper else 1500)
    config.eval.update(
        every=50, examples=16_384 if paper else 1024, test_tokens=1e8 if paper else 4e6
    )
    config.checkpoint.every = 500
    config.label = dict(generator="rule {rule}", observer="{depth} layers of {width}")
    return config


def sweep(size: str = "cpu") -> list[dict[str, Any]]:
    """Three rules under observers of rising size."""
    observers = [
        {"observer.depth": depth, "observer.width": width} for depth, width in OBSERVERS[size]
    ]
    return product(observers, vary("generator.rule", RULES), vary("run.seed", range(SEEDS[size])))


def check(number: int, runs: Sequence[Run]) -> list[Check]:
    """The largest observer at the end, or a smaller one early, paired by seed."""
    size = evidence.config(runs[0])["figure.size"]
    (depth, width), step = EARLY if number == 10 else (OBSERVERS[size][-1], None)
    chosen = evidence.select(runs, observer__depth=depth, observer__width=width)
    of_rule = evidence.by_value(chosen, "generator.rule", RULES)
    if number == 10:
        early = Reading(step=step)
        s = {r: evidence.by_seed(of_rule[r], evidence.structure_bits, early) for r in RULES}
        what = f"S_req(15) - S_req(54) of {depth}x{width} after {step} steps, bit"
        return [Check(what, evidence.difference(s[15], s[54]), 0)]
    s = {r: evidence.by_seed(of_rule[r], evidence.structure_bits) for r in RULES}
    h = {r: evidence.by_seed(of_rule[r], evidence.entropy_bits_per_tok) for r in RULES}
    half = Reading(step=max(of_rule[54].record.evals) // 2)
    before = evidence.by_seed(of_rule[54], evidence.entropy_bits_per_tok, half)
    share = evidence.paired(lambda noise, dear: 0.01 * dear - noise, s[30], s[54])
    return [
        Check("S_req(54) - S_req(15), bit", evidence.difference(s[54], s[15]), 0),
        Check("S_req(15) - S_req(30), bit", evidence.difference(s[15], s[30]), 0),
        Check("a hundredth of S_req(54) - S_req(30), bit", share, 0),
        Check("H(30), bit per cell", evidence.mean(h[30]), 0.99, 1.005),
        Check("H(15), bit per cell", evidence.mean(h[15]), high=0.01),
        Check("H(54) at half the steps - at the end, bit per cell",
              evidence.difference(before, h[54]), 0),
    ]  # fmt: skip


def draw(runs: Sequence[Run], path: Path | None = None) -> Figure:
    """S_T, H_T and S_T + H_T of each rule."""
    test_tokens = runs[0].record.config["eval"]["test_tokens"]
    by_rule = {}
    for rule in RULES:
        chosen = evidence.select(runs, generator__rule=rule)
        points = frontier.points([(run.record, run.members) for run in chosen], test_tokens)
        by_rule[f"rule {rule}"] = frontier.curve(points, test_tokens, tolerance=0.02)
    return curves.frontiers(by_rule, path)
