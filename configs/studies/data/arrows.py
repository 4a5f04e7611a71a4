"""The arrow of time in text: five languages, prose and code, forward and reversed.

    python -m experiments.data prepare handbook-en-US handbook-fr-FR handbook-de-DE \\
        handbook-es-ES handbook-it-IT
    python -m experiments.sweep --sweep=arrows --workdir=runs/arrows

Reversed by character and by word, in one pass over 512,000 characters, by 2 layers of 64.
Differences are paired by seed, which gives both directions the same windows in the same order. The
exact counter is the null: of a stationary text it pays the same in both directions by character,
but for the ends of windows. By word it is none: the letters of a word keep their order, so that the
reversed text is another one, for which the counter pays 2 to 3 % more without a direction. Claim
141 subtracts its gap. Products of primes are the positive control. The rate is chosen from RATES by
the shortest description of English, the mean of both directions. `power` says how many seeds
resolve which difference, afterwards, from the deviation of the same seeds.

Claims 141 to 143; 45 minutes on 2 cores, beside other work. No gap is a cliff; a seed spreads by 2
to 4 %, so that 1 % takes 15 to 60 seeds.
"""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from matplotlib.figure import Figure
from tabulate import tabulate

from configs import base
from epx.analysis import power
from epx.analysis.measurement import Estimate, interval
from epx.report import evidence
from epx.report.claims import Check
from epx.report.figures import lines
from epx.report.summary import Run
from epx.sweeps.grid import chain, product, vary

CLAIMS = {
    141: "Text read backwards is not harder by a cliff: the loss rises by less than 5 % more than "
    "that of an exact counter, by character and by word, in every language",
    142: "Text is harder to predict backwards than forwards, by character, in every language",
    143: "By character an exact counter sees no direction, and products of primes have one",
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
PRIMES = "primes"
AFTERWARDS = (
    "The seeds that a difference takes are computed afterwards, from the deviation of these seeds: "
    "a plan for the next study, and no test that this one was large enough."
)
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
    texts = [
        {
            "generator.corpus": corpus,
            "generator.direction": way,
            "label.generator": f"{text}, {way}",
        }
        for text, corpus in TEXTS.items()
        for way in DIRECTIONS
    ]
    learner = [{"label.observer": LEARNER}]
    counter = [{"observer.name": "counts", "observer.order": 2, "label.observer": COUNTER}]
    primes = {
        "generator.name": "primes", "generator.digits": 3, "generator.coded": "all",
        "run.batch": 64, "run.steps": 3000, "optim.lr": 0.2,
        "label.observer": LEARNER,
    }  # fmt: skip
    orders = [
        {"generator.order": way, "label.generator": f"{PRIMES}, {way}"}
        for way in ("forward", "reverse")
    ]
    return chain(
        product(learner, texts, vary("run.seed", range(16))),
        product(counter, texts, vary("run.seed", range(5))),
        product([primes], orders, vary("run.seed", range(8))),
    )


class Gap(NamedTuple):
    """What reading backwards costs, as a share of the loss forward.

    Attributes:
      by_seed: of each seed.
      held_out_error: standard error of the windows that all seeds share, or 0 of an endless
        generator, whose seeds have held-out examples of their own.
    """

    by_seed: dict[int, float]
    held_out_error: float

    @property
    def estimate(self) -> Estimate:
        """The mean over seeds with its 95 % interval, which has both errors."""
        return interval(np.array(list(self.by_seed.values())), self.held_out_error)


def gap(runs: Sequence[Run], generator: str, backward: str, observer: str) -> Gap:
    """The loss backward over the loss forward, less one, paired by seed and by window."""
    key = "generator__order" if generator == PRIMES else "generator__direction"
    forward, reverse = (
        evidence.pick(
            runs, label__generator=f"{generator}, {way}", label__observer=observer, **{key: way}
        )
        for way in ("forward", backward)
    )  # fmt: skip
    losses = [evidence.by_seed(run, evidence.entropy_bits_per_tok) for run in (forward, reverse)]
    by_seed = {seed: losses[1][seed] / bits - 1 for seed, bits in losses[0].items()}
    if generator == PRIMES:
        return Gap(by_seed, 0.0)
    # Both directions have the same windows at the same places.
    nats_E = [_window_nats(run) for run in (forward, reverse)]
    error = (nats_E[1] - nats_E[0]).std(ddof=1) / math.sqrt(len(nats_E[0])) / nats_E[0].mean()
    return Gap(by_seed, float(error))


def excess(runs: Sequence[Run], text: str, backward: str) -> Estimate:
    """The gap of the learner minus that of the counter."""
    learner, null = (gap(runs, text, backward, name).estimate for name in (LEARNER, COUNTER))
    half = math.hypot(learner.half_width, null.half_width)
    return Estimate(learner.mean - null.mean, half)


def _window_nats(run: Run) -> np.ndarray:
    """The held-out loss of each window, the mean over seeds."""
    return evidence.held_out(run, "nats")[run.members].mean(0, dtype=np.float64)


def check(number: int, runs: Sequence[Run]) -> list[Check]:
    """Relative gaps, paired by seed."""
    if number == 141:
        return [
            Check(f"{text}, {words}: gap, less the counter's", excess(runs, text, way), high=CLIFF)
            for text in TEXTS
            for way, words in DIRECTIONS.items()
            if way != "forward"
        ]
    if number == 142:
        gaps = {text: gap(runs, text, "reverse", LEARNER).estimate for text in TEXTS}
        return [Check(f"{text}: gap", found, 0) for text, found in gaps.items()]
    null = {text: gap(runs, text, "reverse", COUNTER).estimate for text in TEXTS}
    checks = [Check(f"{text}: gap of the counter", g, -0.01, 0.01) for text, g in null.items()]
    return [*checks, Check("primes: gap", gap(runs, PRIMES, "reverse", LEARNER).estimate, 0)]


def draw(runs: Sequence[Run], path: Path | None = None) -> Figure:
    """The gap of each text, by character and by word, of the learner and of the counter."""
    texts = list(TEXTS)
    panels = []
    for observer in (LEARNER, COUNTER):
        series: dict[str, list[tuple[float, Estimate]]] = {}
        for way, words in DIRECTIONS.items():
            if way != "forward":
                found = [gap(runs, text, way, observer).estimate for text in texts]
                series[words] = [
                    (float(n), Estimate(100 * mean, 100 * half))
                    for n, (mean, half) in enumerate(found)
                ]
        panels.append(
            lines.Panel(observer, "", "loss backwards, %", series, names=texts, y_scale="linear")
        )
    return lines.panels(panels, path)


def table(runs: Sequence[Run], resolved: Sequence[float] = (0.001, 0.003, 0.01)) -> str:
    """The gaps with the deviation of a seed, and the seeds that resolve differences of these sizes.

    Args:
      runs: of the sweep.
      resolved: differences, as shares of the loss.
    """
    heads = ["text", "reversed", "gap, %", "less the counter's", "seeds", "sd of a seed, %",
             "error of the windows, %"]  # fmt: skip
    heads += [f"seeds for {100 * share:g} %" for share in resolved]
    rows = []
    for text in TEXTS:
        for way, words in DIRECTIONS.items():
            if way == "forward":
                continue
            found = gap(runs, text, way, LEARNER)
            gaps = (found.estimate, excess(runs, text, way))
            values = list(found.by_seed.values())
            deviation = float(np.std(values, ddof=1)) if len(values) > 1 else math.nan
            needed = [power.seeds_to_resolve(deviation, share) for share in resolved]
            rows.append(
                [text, words, *(f"{100 * mean:.2f} ± {100 * half:.2f}" for mean, half in gaps),
                 len(values),
                 f"{100 * deviation:.2f}", f"{100 * found.held_out_error:.2f}",
                 *(n or "more than 10,000" for n in needed)]
            )  # fmt: skip
    printed = tabulate(rows, heads, "simple", disable_numparse=True)
    return f"{printed}\n{AFTERWARDS}"
