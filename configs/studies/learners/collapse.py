"""Collapse: what is left of real data after generations of learners that learn from each other.

    python -m experiments.sweep --sweep=collapse --workdir=runs/collapse

A fresh learner of the same kind learns in every generation, in eight passes over 2048 examples.
Those of generation 1 are real. Later ones are drawn by the learner of the generation before, alone
(`replace`), with a tenth (`kept`) or a half (`half kept`) of real ones, together with all earlier
ones in as many steps (`accumulate`), as many as before drawn from all kinds (`subsample`), as it
goes on from the first half of real ones (`continue`), or as a verifier keeps them: one that knows
the law (`verified`), or one that errs, below and above the share of wrong examples that it can
bear.

Half of the held-out examples are real, and half of the kind of the data: S and H are of the data,
and the excess above the loss on real examples says what the data teach of these; both are of the
first 2048 examples, which cost most where little was learned before. Both halves are
compared in trigrams: the support and the tail of the real ones that the data cover, and by the law
where it is known: the share of right examples.

Letters of a Markov language and states of rule 54, whose laws are known, and English have each some
of the arms. The cells that an example of rule 54 begins with are real in every arm, so that none
draws it from nothing. The toys in closed form are in `epx/analysis/exact/collapse.py`.

Claims 211 to 220, not measured yet.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from configs import base
from epx.report import evidence, generations
from epx.report.claims import Check
from epx.report.figures import lines
from epx.report.generations import ENTROPY, LOSS, RIGHT, SUPPORT, TAIL, Chain
from epx.report.summary import Run
from epx.sweeps.grid import product, vary

CLAIMS = {
    211: "Replaced generation after generation, data make learners worse on real examples",
    212: "Where real data are kept, or all data, also if no more are learned from, learners stay "
    "better than with replaced data",
    213: "The structure and the entropy of replaced data both fall",
    214: "Late replaced data teach falsehoods: their EDL against real examples is negative",
    215: "What a verifier of the law keeps does not get worse",
    216: "A verifier that can bear the share of wrong examples leaves fewer of them and better "
    "learners than one that cannot",
    217: "Of replaced data the entropy and the tail are lost in earlier generations than structure",
    218: "With replaced data the loss on real examples goes on to rise: no spike and plateau",
    219: "Learners that go on from real beginnings stay better than those that draw from nothing",
    220: "They stay better also than with as many real tokens in whole examples",
}
Chains = Mapping[str, Chain]  # by arm
Checker = Callable[[Chains, str], list[Check]]
SEEDS = range(5)
GENERATIONS = 8
EXAMPLES, PASSES, BATCH, LENGTH = 2048, 8, 8, 32
LETTERS, RULE, ENGLISH = "letters", "rule 54", "English"
REAL = {
    LETTERS: f"story length={LENGTH} letters=8 successors=3",
    RULE: "eca rule=54 width=16 steps=1",
    ENGLISH: f"text length={LENGTH}",
}
# Of 0.05, 0.1, 0.2 and 0.4 those with the least loss of generation 1, seeds 100 to 102.
LR = {LETTERS: 0.1, RULE: 0.05, ENGLISH: 0.1}
REPLACE, KEPT, HALF_KEPT, CONTINUE = "replace", "kept", "half kept", "continue"
ACCUMULATE, SUBSAMPLE = "accumulate", "subsample"
VERIFIED, BELOW, ABOVE = "verified", "below", "above"
# Probabilities that a right and a wrong example is kept: the share of wrong ones that can be borne
# is keeps / (keeps + errs) (arXiv 2406.07515).
VERIFIERS = {VERIFIED: (1.0, 0.0), BELOW: (0.9, 0.1), ABOVE: (0.1, 0.9)}
_COMMON = (REPLACE, KEPT, ACCUMULATE, SUBSAMPLE)
ARMS = {
    LETTERS: (*_COMMON, CONTINUE, HALF_KEPT, *VERIFIERS),
    RULE: (*_COMMON, *VERIFIERS),
    ENGLISH: (*_COMMON, CONTINUE, HALF_KEPT),
}
REAL_SHARE = {KEPT: 0.1, HALF_KEPT: 0.5}
HALF = LENGTH // 2  # tokens that learners go on from
PLATEAU = 0.1  # of the first rise: a later one that is less is a plateau
MARGIN = 0.02  # bit per token: less is no loss of what a verifier keeps
STRUCTURE, TAUGHT = generations.structure(EXAMPLES), generations.taught(EXAMPLES)
SHARED = (LOSS, ENTROPY, STRUCTURE, TAUGHT)
MEASURED = {  # trigrams of cells are few, and the law of English is unknown
    LETTERS: (*SHARED, SUPPORT, TAIL, RIGHT),
    RULE: (*SHARED, RIGHT),
    ENGLISH: (*SHARED, SUPPORT, TAIL),
}


def get_config(size: str = "cpu") -> base.ConfigDict:
    """The config shared by all runs."""
    config = base.get_config(size)
    config.figure = dict(name="collapse", size=size)
    config.generator.update(name="mixture", size=2**20)
    config.observer.update(depth=2, width=32, head_dim=16)
    config.optim.update(warmup_steps=20, ema_steps=50)
    steps = EXAMPLES * PASSES // BATCH
    config.run.update(batch=BATCH, steps=steps, examples=EXAMPLES, repeats=PASSES, chunk=64)
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
    run = {
        "ensemble": _name(data, arm, generation),
        "generator.parts": "; ".join([*texts, REAL[data]]),
        "generator.weights": " ".join(f"{weight:g}" for weight in [*weights, 0]),
        "generator.held_out": " ".join(f"{weight:g}" for weight in [*weights, sum(weights)]),
        "generator.size": 0 if data == ENGLISH else 2**20,
        "eval.against": count,
        "optim.lr": LR[data],
        "label.generator": f"{data}, {arm or 'real'} {generation}",
        "label.observer": "the next learner",
    }
    if arm == ACCUMULATE:
        # The same examples as in earlier generations, one of each in turn.
        run |= {"generator.block": EXAMPLES, "run.examples": count * EXAMPLES, "run.turns": count}
    return run


def _data(data: str, arm: str, generation: int) -> tuple[list[str], list[float]]:
    """The generators of a generation's data, as texts, and their weights."""
    real = REAL[data]
    if generation == 1:
        return [real], [1.0]

    def drawn(number: int) -> str:
        """What the learner of a generation draws."""
        name = _name(data, arm if number > 1 else "", number)
        given = HALF if arm == CONTINUE else 0
        return f'sampled record=ensemble:{name} like="{real}" stream={number} given={given}'

    last = drawn(generation - 1)
    if arm in REAL_SHARE:
        return [last, real], [1 - REAL_SHARE[arm], REAL_SHARE[arm]]
    if arm in (ACCUMULATE, SUBSAMPLE):
        all_drawn = [drawn(number) for number in range(1, generation)]
        return [real, *all_drawn], [1.0] * generation
    if arm in VERIFIERS:
        keeps, errs = VERIFIERS[arm]
        quoted = last.replace('"', "'")
        return [f'filtered of="{quoted}" law="{real}" keeps={keeps:g} errs={errs:g}'], [1.0]
    return [last], [1.0]


def _name(data: str, arm: str, generation: int) -> str:
    return "-".join([data, arm or "real", str(generation)]).replace(" ", "")


def chain(runs: Sequence[Run], data: str, arm: str) -> list[Run]:
    """The generations of an arm; all arms share the first."""
    labels = [f"{data}, {arm if n > 1 else 'real'} {n}" for n in range(1, GENERATIONS + 1)]
    return [evidence.pick(runs, label__generator=label) for label in labels]


def check(number: int, runs: Sequence[Run]) -> list[Check]:
    """Differences between generations and between arms, paired by seed."""
    checks = []
    for data, arms in ARMS.items():
        chains = {arm: chain(runs, data, arm) for arm in arms}
        found = CHECKS[number](chains, data)
        checks += [check._replace(what=f"{data}: {check.what}") for check in found]
    return checks


def _gap(what: str, first: dict[int, float], second: dict[int, float], **bounds: float) -> Check:
    return Check(what, evidence.difference(first, second), **bounds)


def _change(arm: str, *measured: generations.Measured, **bounds: float) -> Checker:
    """The last generation of an arm against the first, where the data have the arm."""

    def checks(chains: Chains, data: str) -> list[Check]:
        if arm not in chains:
            return []
        first, *_, last = chains[arm]
        return [
            _gap(f"{title}, {arm} {GENERATIONS} - 1, {unit}", of(last), of(first), **bounds)
            for title, unit, of in measured
        ]

    return checks


def _is_better(arms: tuple[str, ...], than: str) -> Checker:
    """Arms against another one after all generations, where the data have both."""

    def checks(chains: Chains, data: str) -> list[Check]:
        loss = {arm: LOSS.of(of_arm[-1]) for arm, of_arm in chains.items()}
        return [
            _gap(f"loss, {arm} - {than}, bit per token", loss[arm], loss[than], high=0)
            for arm in arms
            if {arm, than} <= loss.keys()
        ]

    return checks


def _is_false(chains: Chains, data: str) -> list[Check]:
    taught = evidence.mean(TAUGHT.of(chains[REPLACE][-1]))
    return [Check(f"{TAUGHT.title}, {TAUGHT.unit}", taught, high=0)]


def _bears(chains: Chains, data: str) -> list[Check]:
    """The share of wrong examples lies between what both verifiers can bear, and they differ."""
    if ABOVE not in chains:
        return []
    right = evidence.mean(RIGHT.of(chains[REPLACE][1]))
    worst = [keeps / (keeps + errs) for keeps, errs in (VERIFIERS[BELOW], VERIFIERS[ABOVE])]
    last = {arm: RIGHT.of(chains[arm][-1]) for arm in (BELOW, ABOVE)}
    return [
        Check("right among replaced data 2, share", right, 1 - worst[0], 1 - worst[1]),
        _gap(f"right, {BELOW} - {ABOVE}, share", last[BELOW], last[ABOVE], low=0),
        *_is_better((BELOW,), than=ABOVE)(chains, data),
    ]


def _is_last(chains: Chains, data: str) -> list[Check]:
    earlier = [measured for measured in (ENTROPY, TAIL) if measured in MEASURED[data]]
    structure, *lost = (
        generations.lost_from(chains[REPLACE], measured.of) for measured in (STRUCTURE, *earlier)
    )
    return [
        _gap(f"first generation without a tenth, S - {measured.title}", structure, of, low=0)
        for measured, of in zip(earlier, lost)
    ]


def _rises(chains: Chains, data: str) -> list[Check]:
    """After a spike the loss falls; on a plateau the late rise is little of the early one."""
    first, second, early, late = (
        generations.mean(chains[REPLACE][of], LOSS.of)
        for of in (slice(0, 1), slice(1, 2), slice(1, 4), slice(4, None))
    )
    share = evidence.paired(lambda a, b, c: (c - b) / (b - a), first, early, late)
    return [
        _gap("loss, generations 2 to 4 - 1, bit per token", early, first, low=0),
        _gap(f"loss, generation 2 - 5 to {GENERATIONS}, bit per token", second, late, high=0),
        Check(f"rise to generations 5 to {GENERATIONS} / rise to 2 to 4", share, low=PLATEAU),
    ]


CHECKS = {
    211: _change(REPLACE, LOSS, low=0),
    212: _is_better((KEPT, ACCUMULATE, SUBSAMPLE), than=REPLACE),
    213: _change(REPLACE, STRUCTURE, ENTROPY, high=0),
    214: _is_false,
    215: _change(VERIFIED, LOSS, high=MARGIN),
    216: _bears,
    217: _is_last,
    218: _rises,
    219: _is_better((CONTINUE,), than=REPLACE),
    220: _is_better((CONTINUE,), than=HALF_KEPT),
}


def draw(runs: Sequence[Run], path: Path | None = None) -> Figure:
    """The loss on real examples, S, H and the coverage over generations, an arm a line."""
    panels = []
    for data, arms in ARMS.items():
        chains = {arm: chain(runs, data, arm) for arm in arms}
        panels += [generations.panel(data, chains, measured) for measured in MEASURED[data]]
    return lines.panels(panels, path)
