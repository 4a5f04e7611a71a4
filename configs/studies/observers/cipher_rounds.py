"""Ciphers by the round: how far a distinguisher sees, in bits.

    python -m experiments.sweep --sweep=cipher_rounds:rates --tune --workdir=runs/rounds_rates
    python -m experiments.sweep --sweep=cipher_rounds --workdir=runs/rounds

Two blocks are encrypted under one random key; either their plaintexts differ by a fixed difference
or the second is random, and the label says which (Gohr, CRYPTO 2019). Three sizes of his network
see every pair once: 10^7 of Speck at each number of rounds, and 10^6 of Threefry and ChaCha. There
are two controls by the same pipeline: all rounds of a cipher, and uniform bits in place of pairs.
Of ChaCha the first row of the blocks is shown: the constants that are added to it are known, so
that nothing secret hides the state there. The size `paper` has the batches of the published
training, and Speck alone.

Every pair is new, so that EDL and S are the same sum of charges; S is above the end of the charges,
and EDL is above the held-out loss of the averaged weights.

The rates are still to be chosen, by the first command. Claims 111 to 114, not measured yet.
"""

import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from matplotlib.figure import Figure

from configs import base
from configs.studies.observers import _rounds_claims as claimed
from epx.report import evidence
from epx.report.claims import Check
from epx.report.figures import lines
from epx.report.summary import Run
from epx.sweeps.grid import product, vary

CLAIMS = {
    111: "Speck's pairs have less structure with every round from 3 to 8, and at 22 rounds none",
    112: "A larger network tells pairs apart where a smaller one does not any more",
    113: "The accuracy for Speck is that of the published network in its first pass",
    114: "One round of ChaCha or of Threefry is told for certain, and all rounds are noise",
}


class Pairs(NamedTuple):
    """Pairs of a cipher.

    Attributes:
      rounds: that are measured; the last is that of the cipher itself.
      length: tokens of a pair and its label.
      words: of a pair.
      count: pairs that a network sees.
    """

    rounds: tuple[int, ...]
    length: int
    words: int
    count: int


SPECK, THREEFRY, CHACHA = "speck32_64", "threefry2x32", "chacha"
CIPHERS = {
    SPECK: Pairs((3, 4, 5, 6, 7, 8, 22), 65, 4, 10**7),
    THREEFRY: Pairs((1, 2, 3, 4, 5, 6, 7, 8, 20), 129, 4, 10**6),
    CHACHA: Pairs((1, 2, 3, 4, 20), 257, 8, 10**6),
}
UNIFORM = "uniform bits"
NETWORKS: dict[str, dict[str, int]] = {
    "4 filters": dict(filters=4, dense=8),
    "16 filters": dict(filters=16, dense=80),
    "32 filters": dict(filters=32, dense=64),
}
SMALLEST, *_, LARGEST = NETWORKS
SEEDS = 5
BATCH = {"cpu": 1000, "rates": 1000, "paper": 5000}
RATES = (0.05, 0.1, 0.2, 0.4, 0.8)
# Each network has for a cipher the rate that is best at so many rounds.
TUNED_AT = {SPECK: 6, THREEFRY: 4, CHACHA: 3}
LR = {cipher: dict.fromkeys(NETWORKS, 0.3) for cipher in CIPHERS}  # to be chosen


def get_config(size: str = "cpu") -> base.ConfigDict:
    """The config shared by all runs.

    Raises:
      SizeError: a size that is not cpu, paper or rates.
    """
    base.require_size(size, tuple(BATCH))
    paper = size == "paper"
    config = base.get_config("paper" if paper else "cpu")
    config.figure = dict(name="cipher_rounds", size=size)
    config.generator.update(name="cipher", mode="pairs")
    config.observer.name = "residual"
    config.optim.update(warmup_steps=100, ema_steps=200)
    config.run.update(batch=BATCH[size], chunk=100)
    config.run.microbatch = None if paper else 125
    config.run.require_accelerator = paper
    config.eval.examples = 200_000 if paper else 50_000
    config.checkpoint.update(every=500, keep=1)
    config.label = dict(generator="{algorithm}, {rounds} rounds")
    config.tuning = dict(rates=RATES, seed=1000, chosen_by="smallest S + H")
    return config


def sweep(size: str = "cpu") -> list[dict[str, Any]]:
    """Every network on every number of rounds, and the largest one on uniform bits."""
    ciphers = [SPECK] if size == "paper" else list(CIPHERS)
    arms = [
        _network(network, cipher, size) | {"generator.algorithm": cipher, "generator.rounds": n}
        for network, cipher in itertools.product(NETWORKS, ciphers)
        for n in ([TUNED_AT[cipher]] if size == "rates" else CIPHERS[cipher].rounds)
    ]
    uniform = {"generator.name": "iid", "generator.law": "uniform", "label.generator": UNIFORM}
    if size != "rates":
        arms.append(_network(LARGEST, SPECK, size) | uniform)
    return product(arms, vary("run.seed", range(SEEDS)))


def _network(network: str, cipher: str, size: str) -> dict[str, Any]:
    """A network that reads examples of the form of a cipher's pairs."""
    pairs = CIPHERS[cipher]
    steps = pairs.count // BATCH[size]
    return {
        "generator.length": pairs.length, "observer.words": pairs.words, "run.steps": steps,
        "eval.every": steps // 2, "optim.lr": LR[cipher][network], "label.observer": network,
        **{f"observer.{key}": value for key, value in NETWORKS[network].items()},
    }  # fmt: skip


def check(number: int, runs: Sequence[Run]) -> list[Check]:
    """The checks of a claim; differences are paired by seed."""
    if number == 114:
        return [
            one
            for name in (THREEFRY, CHACHA)
            for one in claimed.to_noise(name, by_rounds(runs, name))
        ]
    if number == 111:
        return claimed.falls(by_rounds(runs, SPECK), evidence.pick(runs, label__generator=UNIFORM))
    if number == 112:
        small, large = (by_rounds(runs, SPECK, network) for network in (SMALLEST, LARGEST))
        return claimed.larger_sees_further(small, large)
    return claimed.as_published(by_rounds(runs, SPECK))


def by_rounds(runs: Sequence[Run], cipher: str, network: str = LARGEST) -> dict[int, Run]:
    """The run of a network at every number of rounds of a cipher; RecordError if one lacks."""
    chosen = evidence.select(runs, generator__algorithm=cipher, label__observer=network)
    return evidence.by_value(chosen, "generator.rounds", CIPHERS[cipher].rounds)


def draw(runs: Sequence[Run], path: Path | None = None) -> Figure:
    """Accuracy, S and EDL above those of all rounds, and what is known of a label, by rounds."""
    quantities = (
        ("accuracy", "share of labels", evidence.accuracy, False),
        ("S above that of all rounds", "bit per pair", claimed.structure_bits, True),
        ("EDL above that of all rounds", "bit per pair", claimed.excess_bits, True),
        ("1 - H", "bit per pair", claimed.known_bits, False),
    )
    panels = []
    shown = {evidence.config(run).get("generator.algorithm") for run in runs}
    for cipher in filter(shown.__contains__, CIPHERS):
        rounds = CIPHERS[cipher].rounds
        for title, unit, quantity, above in quantities:
            series = {}
            for name in NETWORKS:
                found = [quantity(run) for run in by_rounds(runs, cipher, name).values()]
                if above:
                    found = [evidence.minus(values, found[-1]) for values in found]
                series[name] = [(n, evidence.mean(values)) for n, values in enumerate(found)]
            panels.append(
                lines.Panel(
                    f"{cipher}: {title}", "rounds", unit, series,
                    _references(title, rounds) if cipher == SPECK else {},
                    names=[str(n) for n in rounds],
                )
            )  # fmt: skip
    return lines.panels(panels, path)


def _references(title: str, rounds: Sequence[int]) -> dict[str, list[tuple[float, float]]]:
    """The published accuracies, and the bits that they tell of a label."""
    of_title = {
        "accuracy": ("published, first pass", claimed.FIRST_PASS),
        "1 - H": (
            "1 - h2 of the published accuracy, all passes",
            {n: claimed.label_bits(accuracy) for n, accuracy in claimed.ALL_PASSES.items()},
        ),
    }
    if title not in of_title:
        return {}
    name, values = of_title[title]
    return {name: [(rounds.index(n), value) for n, value in values.items()]}
