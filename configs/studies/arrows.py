"""The arrow of time in text: five languages, prose and code, forward and reversed.

    python -m experiments.data prepare handbook-en-US handbook-fr-FR handbook-de-DE \\
        handbook-es-ES handbook-it-IT
    python -m experiments.sweep --sweep=arrows --workdir=runs/arrows

Reversed by character and by word, in one pass over 512,000 characters, by 2 layers of 64.
Differences are paired by seed, which gives both directions the same windows in the same order. The
exact counter is the null: of a stationary text it pays the same in both directions, but for the
ends of windows. Products of primes are the positive control. `power` says how many seeds resolve
which difference. Rates were chosen from RATES on the English forward, by the shortest description.

Claims 141 to 143, not measured yet.
"""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from tabulate import tabulate

from configs import base
from epx.analysis import power
from epx.analysis.measurement import Estimate
from epx.report import evidence, lines
from epx.report.claims import Check
from epx.report.summary import Run
from epx.sweeps.grid import chain, product, vary, zipped

CLAIMS = {
    141: "Text read backwards is not harder by a cliff: the loss rises by less than 5 %, by "
    "character and by word, in every language",
    142: "Text is harder to predict backwards than forwards, by character, in every language",
    143: "An exact counter sees no direction, and products of primes have one",
}
RATES = (0.1, 0.2, 0.4, 0.8)
TEXTS = {
    "English": "handbook-en-US",
    "French": "handbook-fr-FR",
    "German": "handbook-de-DE",
    "Spanish": "handbook-es-ES",
    "Italian": "handbook-it-IT",
    "prose": "pydoc",
    "code": "code",
}
DIRECTIONS = {"forward": "forward", "reverse": "by character", "reverse_words": "by word"}
CLIFF = 0.05
COUNTER, LEARNER = "exact counter", "transformer, 2 layers of 64"


def get_config(size: str = "cpu") -> base.ConfigDict:
    """The config shared by all runs."""
    config = base.get_config(size)
    config.figure = dict(name="arrows", size=size)
    config.generator.update(name="text", length=64)
    config.observer.update(depth=2, width=64, head_dim=16)
    config.optim.update(lr=0.4, warmup_steps=25, ema_steps=25)
    config.run.update(batch=16, steps=500)
    config.eval.examples = 900
    config.checkpoint.update(every=None, keep=1)
    config.tuning = dict(rates=RATES, seed=1000, chosen_by="smallest S + H")
    return config


def sweep() -> list[dict[str, Any]]:
    """Seven texts in three directions under the learner and the counter, and primes in two."""
    texts = zipped(vary("generator.corpus", TEXTS.values()), vary("label.generator", TEXTS))
    directions = vary("generator.direction", DIRECTIONS)
    learner = [{"label.observer": LEARNER}]
    counter = [{"observer.name": "counts", "observer.order": 2, "label.observer": COUNTER}]
    primes = {
        "generator.name": "primes", "generator.digits": 3, "generator.coded": "all",
        "label.generator": "primes", "run.batch": 64, "run.steps": 3000, "optim.lr": 0.2,
        "label.observer": LEARNER,
    }  # fmt: skip
    orders = vary("generator.order", ("forward", "reverse"))
    return chain(
        product(learner, texts, directions, vary("run.seed", range(16))),
        product(counter, texts, directions, vary("run.seed", range(5))),
        product([primes], orders, vary("run.seed", range(8))),
    )


def _gap(runs: Sequence[Run], generator: str, backward: str, observer: str) -> dict[int, float]:
    """By seed the loss backward over the loss forward, less one."""
    key = "generator.order" if generator == "primes" else "generator.direction"
    found = [
        evidence.by_seed(
            evidence.pick(
                runs, label__generator=generator, label__observer=observer,
                **{key.replace(".", "__"): way},
            ),
            evidence.entropy_bits_per_tok,
        )
        for way in ("forward", backward)
    ]  # fmt: skip
    forward, reverse = found
    return {seed: reverse[seed] / forward[seed] - 1 for seed in forward if seed in reverse}


def check(number: int, runs: Sequence[Run]) -> list[Check]:
    """Relative gaps, paired by seed."""
    if number == 141:
        return [
            Check(
                f"{text}, {words}: gap", evidence.mean(_gap(runs, text, way, LEARNER)), high=CLIFF
            )
            for text in TEXTS
            for way, words in DIRECTIONS.items()
            if way != "forward"
        ]
    if number == 142:
        gaps = {text: evidence.mean(_gap(runs, text, "reverse", LEARNER)) for text in TEXTS}
        return [Check(f"{text}: gap", gap, 0) for text, gap in gaps.items()]
    null = {text: evidence.mean(_gap(runs, text, "reverse", COUNTER)) for text in TEXTS}
    primes = evidence.mean(_gap(runs, "primes", "reverse", LEARNER))
    checks = [Check(f"{text}: gap of the counter", gap, -0.01, 0.01) for text, gap in null.items()]
    return [*checks, Check("primes: gap", primes, 0)]


def draw(runs: Sequence[Run], path: Path | None = None) -> Figure:
    """The gap of each text, by character and by word, of the learner and of the counter."""
    texts = list(TEXTS)
    panels = []
    for observer in (LEARNER, COUNTER):
        series: dict[str, list[tuple[float, Estimate]]] = {}
        for way, words in DIRECTIONS.items():
            if way != "forward":
                gaps = [_gap(runs, text, way, observer) for text in texts]
                shown = [{s: 100 * value for s, value in gap.items()} for gap in gaps]
                series[words] = [(float(n), evidence.mean(gap)) for n, gap in enumerate(shown)]
        panels.append(lines.Panel(observer, "", "loss backwards, %", series, names=texts))
    return lines.panels(panels, path)


def table(runs: Sequence[Run], resolved: Sequence[float] = (0.001, 0.003, 0.01)) -> str:
    """The gaps with the deviation of a seed, and the seeds that resolve differences of these sizes.

    Args:
      runs: of the sweep.
      resolved: differences, as shares of the loss.
    """
    heads = ["text", "reversed", "gap, %", "seeds", "sd of a seed, %"]
    heads += [f"seeds for {100 * share:g} %" for share in resolved]
    rows = []
    for text in TEXTS:
        for way, words in DIRECTIONS.items():
            if way == "forward":
                continue
            gap = _gap(runs, text, way, LEARNER)
            mean, half = evidence.mean(gap)
            deviation = float(np.std(list(gap.values()), ddof=1)) if len(gap) > 1 else math.nan
            needed = [power.seeds_to_resolve(deviation, share) for share in resolved]
            rows.append(
                [text, words, f"{100 * mean:.2f} ± {100 * half:.2f}", len(gap),
                 f"{100 * deviation:.2f}", *(n or "more than 10,000" for n in needed)]
            )  # fmt: skip
    return tabulate(rows, heads, "simple", disable_numparse=True)
