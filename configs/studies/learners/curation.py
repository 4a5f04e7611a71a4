"""Curation: five operations on a corpus of known concepts, alone and together, against raw data.

    python -m experiments.sweep --sweep=curation --workdir=runs/curation

The corpus has three Markov languages over the same eight letters, with contexts of one, two and
three letters: the simplest is the commonest. Three quarters of their pages are verbose: every
second token is filler. A third of all pages are noise, and another third are 64 pages of the
simplest language, again and again. Scored is the loss on new dense pages of all three, each as
much. The operations (arXiv 2508.10975):

- filter: no noise and no copies;
- rebalance: as many pages of each language;
- sequence: the same pages, the simple languages first;
- rephrase: every page is dense;
- batch: every batch has the same shares of all parts.

Claims 231 to 235.
"""

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from configs import base
from epx.analysis import curation
from epx.analysis.measurement import Estimate
from epx.report import evidence, parts
from epx.report.claims import Check
from epx.report.figures import lines
from epx.report.summary import Run
from epx.sweeps.grid import product, vary

CLAIMS = {
    231: "Each operation alone reaches an early and the last loss of raw data in fewer tokens",
    232: "All together need fewer tokens to both than the best operation alone",
    233: "Without any one of them the others need more tokens to both than all together",
    234: "The largest speed-up of all together is more than twice the median over targets",
    235: "Clusters of pages that are found without labels are the parts of the corpus, and order "
    "their redundancy",
}
SEEDS = range(5)
LENGTH, BATCH, STEPS, EVERY, STAGES = 32, 32, 1800, 20, 3
# Steps at which the best loss of raw data so far is a target; claims are on an early and the last.
TARGETS = (80, 160, 320, 640, 1200, STEPS)
CLAIMED = {"early": 1, "last": -1}
LR = 0.2  # of 0.05 to 0.8, two seeds, raw data and all five together
OPERATIONS = ("filter", "rebalance", "sequence", "rephrase", "batch")
FILTER, REBALANCE, SEQUENCE, REPHRASE, BATCHES = OPERATIONS
RAW, ALL = "raw data", "all five"
_LANGUAGE = "story letters=8 successors=2 order={} length={}"
ORDERS = (1, 2, 3)
DENSE = [_LANGUAGE.format(order, LENGTH) for order in ORDERS]
VERBOSE = [f'verbose of="{_LANGUAGE.format(order, LENGTH // 2)}"' for order in ORDERS]
PARTS = {
    **{f"order {order}": text for order, text in zip(ORDERS, DENSE)},
    **{f"order {order}, verbose": text for order, text in zip(ORDERS, VERBOSE)},
    "copies": f'duplicated of="{DENSE[0]}" distinct=64',
    "noise": f"iid law=uniform vocab=8 length={LENGTH}",
}
# Shares of the pages: of each language, of its pages that are dense, and of the rest.
LANGUAGES, DENSE_SHARE, REST = (4 / 21, 2 / 21, 1 / 21), 1 / 4, 1 / 3
# How the pages of a language are spread over the stages of `sequence`, the simplest language first.
SPREAD = ((3, 2, 1), (2, 2, 2), (1, 2, 3))
ARMS: dict[str, tuple[str, ...]] = {
    RAW: (),
    **{operation: (operation,) for operation in OPERATIONS},
    ALL: OPERATIONS,
    **{f"without {left}": tuple(o for o in OPERATIONS if o != left) for left in OPERATIONS},
}


def get_config(size: str = "cpu") -> base.ConfigDict:
    """The config shared by all runs."""
    config = base.get_config(size)
    config.figure = dict(name="curation", size=size)
    config.generator.update(
        name="mixture",
        parts="; ".join(PARTS.values()),
        held_out=_text([1, 1, 1, 0, 0, 0, 0, 0]),
        size=2**24,  # never reached
    )
    config.observer.update(depth=2, width=32, head_dim=16)
    config.optim.update(lr=LR, warmup_steps=50, ema_steps=30)
    config.run.update(batch=BATCH, steps=STEPS, chunk=EVERY)
    config.eval.update(examples=900, every=EVERY)
    config.checkpoint.update(every=600, keep=1)
    config.label = dict(generator="languages, copies and noise")
    return config


def sweep() -> list[dict[str, Any]]:
    """The arms."""
    arms = [_overrides(on) | {"label.observer": name} for name, on in ARMS.items()]
    return product(arms, vary("run.seed", SEEDS))


def _overrides(on: Collection[str]) -> dict[str, Any]:
    """The data of an arm with these operations."""
    weights_P = _weights(on)
    keys: dict[str, Any] = {"generator.weights": _text(weights_P)}
    if BATCHES in on:
        keys["generator.even"] = True
    if SEQUENCE in on:
        share_PxS = np.ones((len(weights_P), STAGES))
        for n in range(2 * len(ORDERS)):
            share_PxS[n] = SPREAD[n % len(ORDERS)]
        stages_PxS = weights_P[:, None] * share_PxS / share_PxS.sum(1, keepdims=True)
        steps = [EVERY * round(STEPS * share / EVERY) for share in stages_PxS.sum(0)[:-1]]
        keys |= {
            "policy.name": "stages",
            "policy.stages": "; ".join(_text(stage_P) for stage_P in stages_PxS.T),
            "policy.steps": " ".join(map(str, [*steps, STEPS - sum(steps)])),
        }
    return keys


def _weights(on: Collection[str]) -> np.ndarray:
    """The shares of the pages, in the order of PARTS."""
    languages = np.array(LANGUAGES)
    if REBALANCE in on:
        languages[:] = languages.mean()
    dense = languages * (1 if REPHRASE in on else DENSE_SHARE)
    rest = 0 if FILTER in on else REST
    weights_P = np.array([*dense, *(languages - dense), rest, rest])
    return weights_P / weights_P.sum()


def _text(numbers: Sequence[float] | np.ndarray) -> str:
    return " ".join(f"{number:.6g}" for number in numbers)


def _arm(runs: Sequence[Run], name: str) -> Run:
    return evidence.pick(runs, label__observer=name)


def curves(run: Run) -> dict[int, np.ndarray]:
    """By seed the mean loss on dense pages in bits per token, at every evaluation."""
    steps = sorted(run.record.evals)
    at = [parts.losses(run, step) for step in steps]
    return {seed: np.array([loss[seed][: len(ORDERS)].mean() for loss in at]) for seed in at[0]}


def tokens_to(run: Run, targets: dict[int, float]) -> dict[int, float]:
    """By seed the tokens that a run needs to a loss; inf if it does not come to it."""
    tokens_N = np.array(sorted(run.record.evals), float) * BATCH * LENGTH
    found = curves(run)
    return {
        seed: curation.tokens_to(target, tokens_N, found[seed])
        for seed, target in targets.items()
        if seed in found
    }


def targets(run: Run) -> list[dict[int, float]]:
    """The best losses of raw data by seed, at the steps of TARGETS."""
    found, steps = curves(run), np.array(sorted(run.record.evals))
    return [
        {seed: float(loss[steps <= step].min()) for seed, loss in found.items()} for step in TARGETS
    ]


def speed_up(runs: Sequence[Run], arm: str, other: str = RAW) -> list[dict[int, float]]:
    """At each target by seed: the tokens of another arm over those of an arm.

    An arm that does not come to a target has 0; another one counts with all of its tokens.
    """
    ratios, whole = [], STEPS * BATCH * LENGTH
    for target in targets(_arm(runs, RAW)):
        slow, fast = tokens_to(_arm(runs, other), target), tokens_to(_arm(runs, arm), target)
        both = slow.keys() & fast.keys()
        ratios.append({seed: min(slow[seed], whole) / fast[seed] for seed in sorted(both)})
    return ratios


def check(number: int, runs: Sequence[Run]) -> list[Check]:
    """Ratios of tokens are paired by seed."""
    if number == 235:
        from configs.studies.learners import _clusters  # needs JAX, which reading records does not

        return _clusters.checks(PARTS, _text(_weights(())))
    if number < 234:
        return [
            check
            for which, place in CLAIMED.items()
            for check in _speed_ups(number, runs, which, place)
        ]
    by_target = speed_up(runs, ALL)
    ratio = {
        seed: max(found) / float(np.median(found))
        for seed in by_target[0]
        for found in [[of_seed[seed] for of_seed in by_target]]
    }
    return [Check("largest over median speed-up", evidence.mean(ratio), 2)]


def _speed_ups(number: int, runs: Sequence[Run], which: str, place: int) -> list[Check]:
    """Above 1, at one target."""

    def gain(arm: str, other: str) -> Estimate:
        return evidence.mean(speed_up(runs, arm, other)[place])

    if number == 231:
        return [Check(f"speed-up to the {which} loss, {a}", gain(a, RAW), 1) for a in OPERATIONS]
    if number == 232:
        best = max(OPERATIONS, key=lambda arm: gain(arm, RAW).mean)
        return [Check(f"speed-up to the {which} loss over {best}", gain(ALL, best), 1)]
    return [
        Check(f"speed-up to the {which} loss, {ALL} over those {name}", gain(ALL, name), 1)
        for name in ARMS
        if name.startswith("without")
    ]


def draw(runs: Sequence[Run], path: Path | None = None) -> Figure:
    """The loss against tokens, and the speed-up of the arms at every target."""
    changed = [*OPERATIONS, ALL]
    losses: dict[str, list[tuple[float, Estimate]]] = {}
    for arm in [RAW, *changed]:
        run, of_seed = _arm(runs, arm), curves(_arm(runs, arm))
        losses[arm] = [
            (step * BATCH * LENGTH, evidence.mean({s: loss[n] for s, loss in of_seed.items()}))
            for n, step in enumerate(sorted(run.record.evals))
        ]
    level = [evidence.mean(target).mean for target in targets(_arm(runs, RAW))]
    ratios = {
        arm: [(x, evidence.mean(ratio)) for x, ratio in zip(level, speed_up(runs, arm))]
        for arm in changed
    }
    return lines.panels(
        [
            lines.Panel("loss on dense pages", "tokens", "bit per token", losses, y_scale="linear"),
            lines.Panel(
                "tokens of raw data over those of an arm", "target, bit per token", "speed-up",
                ratios, y_scale="linear",
            ),
        ],
        path,
    )  # fmt: skip
