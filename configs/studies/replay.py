"""The shortest code of n examples at equal compute: one pass, replay, or blocks.

    python -m experiments.sweep --sweep=replay --workdir=runs/replay

Automata that can be learned: a rotation, rule 15, and rule 54 after two steps. The prequential code
trains once on each batch. Replay trains on earlier batches beside each new one, the code in blocks
anew before every block; both have 2 to 16 times the compute of one pass, blocks to within a third,
as their stages have whole chunks. One rate for all: over sizes and computes it is the best of RATES
in two of six pairs of code and rule, and within 8% of it in the others (one seed).

Claims 157 and 158.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from configs import base
from epx.analysis.measurement import LN2, Estimate, interval
from epx.report import evidence, summary
from epx.report.claims import Check
from epx.report.figures import lines
from epx.report.summary import Run
from epx.sweeps.grid import chain, product, vary

CLAIMS = {
    157: "Replay with 16 times the compute codes n examples more shortly than one pass",
    158: "At equal compute replay codes n examples more shortly than blocks do",
}
RATES = (0.1, 0.2, 0.4, 0.8)
LR = 0.2
SEEDS = range(10)
SIZES = (512, 2048)
BATCH, FIRST_BLOCK = 16, 32
COMPUTE = (2, 4, 8, 16)  # of one pass
RULES = {
    "rule 15": {"generator.rule": 15, "generator.steps": 8},
    "rule 54": {"generator.rule": 54, "generator.steps": 2},
}
ONE_PASS, REPLAY, BLOCKS = "one pass", "replay", "in blocks"


def get_config(size: str = "cpu") -> base.ConfigDict:
    """The config shared by all runs."""
    config = base.get_config(size)
    config.figure = dict(name="replay", size=size)
    config.generator.update(name="eca", width=16)
    config.observer.update(depth=2, width=32, head_dim=16)
    config.optim.update(lr=LR, warmup_steps=10, ema_steps=10)
    config.run.update(batch=BATCH, chunk=8)
    config.eval.update(examples=512)
    config.checkpoint.update(every=None, keep=1)
    config.tuning = dict(rates=RATES, seed=1000, chosen_by="shortest code")
    return config


def sweep() -> list[dict[str, Any]]:
    """Each code with each compute, at both numbers of examples and on both rules."""
    codes = []
    for n in SIZES:
        shared = {"run.examples": n, "run.steps": n // BATCH, "run.repeats": 1}
        codes.append(shared | {"label.observer": ONE_PASS})
        for times in COMPUTE:
            label = f"{{code}}, {times} times"
            stages = (n // FIRST_BLOCK - 1).bit_length() + 1
            steps = max(8, round(times * n / BATCH / stages / 8) * 8)
            codes.append(shared | {
                "code.name": "replay", "code.readers": times - 1,
                "label.observer": label.format(code=REPLAY),
            })  # fmt: skip
            codes.append(shared | {
                "code.name": "blocks", "code.first_block": FIRST_BLOCK,
                "code.stage_steps": steps, "run.steps": steps * stages, "run.repeats": 2**20,
                "label.observer": label.format(code=BLOCKS),
            })  # fmt: skip
    rules = [keys | {"label.generator": name} for name, keys in RULES.items()]
    return product(chain(codes), rules, vary("run.seed", SEEDS))


def bits(run: Run) -> dict[int, float]:
    """The code of the examples in bits, by seed."""
    nats_MxK = run.record.rows["nats"]
    return {
        seed: float(nats_MxK[member].sum(dtype=np.float64)) / LN2
        for seed, member in summary.seeds(run).items()
    }


def _of(runs: Sequence[Run], rule: str, n: int, label: str) -> Run:
    wanted = {"label__generator": rule, "run__examples": n, "label__observer": label}
    return evidence.pick(runs, **wanted)


def check(number: int, runs: Sequence[Run]) -> list[Check]:
    """Differences of the codes, paired by seed."""
    checks = []
    for rule in RULES:
        for n in SIZES:
            once = bits(_of(runs, rule, n, ONE_PASS))
            for times in COMPUTE if number == 158 else COMPUTE[-1:]:
                replay = bits(_of(runs, rule, n, f"{REPLAY}, {times} times"))
                other = once
                if number == 158:
                    other = bits(_of(runs, rule, n, f"{BLOCKS}, {times} times"))
                gap = evidence.difference(replay, other)
                name = BLOCKS if number == 158 else ONE_PASS
                what = f"{rule}, {n}, {times} times: {REPLAY} - {name}, bit"
                checks.append(Check(what, gap, high=0))
    return checks


def draw(runs: Sequence[Run], path: Path | None = None) -> Figure:
    """The code of the examples against compute."""
    panels = []
    for rule in RULES:
        for n in SIZES:
            series: dict[str, list[tuple[float, Estimate]]] = {}
            for code in (ONE_PASS, REPLAY, BLOCKS):
                names = [code] if code == ONE_PASS else [f"{code}, {t} times" for t in COMPUTE]
                found = [_of(runs, rule, n, name) for name in names]
                series[code] = [
                    (float(run.record.rows["flops"][0].sum(dtype=np.float64)),
                     interval(np.array(list(bits(run).values()))))
                    for run in found
                ]  # fmt: skip
            title = f"{rule}, {n} examples"
            panels.append(lines.Panel(title, "FLOP", "bit", series, scale="log"))
    return lines.panels(panels, path)
