"""Ciphers by the round: how far a distinguisher sees, in bits.

    python -m experiments.sweep --sweep=cipher_rounds --workdir=runs/rounds

Two blocks are encrypted under one random key; either their plaintexts differ by a fixed difference
or the second is random, and the label says which (Gohr, CRYPTO 2019). Three sizes of his network
see every pair once. All rounds of a cipher are the control: noise by the same pipeline.

The rate is not tuned yet. Claims 111 to 113, not measured yet.
"""

import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from configs import base
from epx.analysis.measurement import LN2
from epx.report import evidence
from epx.report.claims import Check
from epx.report.figures import lines
from epx.report.summary import Run
from epx.sweeps.grid import chain, product, vary

CLAIMS = {
    111: "The structure of Speck's pairs falls with every round, and at 22 rounds there is none",
    112: "A larger network tells pairs apart where a smaller one does not any more",
    113: "The accuracy for Speck is that of the published network in its first pass",
}
# The accuracy of a network like Gohr's after the first pass over 10^7 pairs, as published with the
# AutoND pipeline; from 6 rounds on it started from the weights of one round less.
FIRST_PASS = {5: 0.886, 6: 0.783, 7: 0.609}
SPECK = (3, 4, 5, 6, 7, 8, 22)
# The rounds of each cipher, the tokens of a pair and its label, and the words of a pair.
CIPHERS: dict[str, tuple[tuple[int, ...], int, int]] = {
    "speck32_64": (SPECK, 65, 4),
    "threefry2x32": ((1, 2, 3, 4, 5, 6, 20), 129, 4),
    "chacha": ((1, 2, 3, 4, 20), 1025, 32),
}
NETWORKS: dict[str, dict[str, int]] = {
    "4 filters": dict(filters=4, dense=8),
    "16 filters": dict(filters=16, dense=80),
    "32 filters": dict(filters=32, dense=64),
}
SEEDS = 5


def get_config(size: str = "cpu") -> base.ConfigDict:
    """The config shared by all runs.

    Raises:
      SizeError: a size that is not cpu or paper.
    """
    base.require_size(size, ("cpu", "paper"))
    config = base.get_config(size)
    paper = size == "paper"
    config.figure = dict(name="cipher_rounds", size=size)
    config.generator.update(name="cipher", mode="pairs")
    config.observer.name = "residual"
    config.optim.update(lr=0.3, warmup_steps=100, ema_steps=200)
    config.run.update(batch=5000 if paper else 1000, steps=2000, chunk=100)
    config.run.microbatch = None if paper else 250
    config.run.require_accelerator = paper
    config.eval.update(every=500, examples=1_000_000 if paper else 100_000)
    config.checkpoint.update(every=500, keep=1)
    config.label = dict(generator="{algorithm}, {rounds} rounds")
    return config


def sweep(size: str = "cpu") -> list[dict[str, Any]]:
    """Every network on every round count of every cipher."""
    networks = [
        {f"observer.{key}": value for key, value in keys.items()} | {"label.observer": name}
        for name, keys in NETWORKS.items()
    ]
    ciphers = [
        product(
            [{"generator.algorithm": name, "generator.length": length, "observer.words": words}],
            vary("generator.rounds", rounds),
        )
        for name, (rounds, length, words) in CIPHERS.items()
    ]
    return product(networks, chain(*ciphers), vary("run.seed", range(SEEDS)))


def check(number: int, runs: Sequence[Run]) -> list[Check]:
    """The checks of a claim, on Speck; differences are paired by seed."""
    found = {name: _by_rounds(runs, "speck32_64", name) for name in NETWORKS}
    return {111: _falls, 112: _larger_sees_further, 113: _published}[number](found)


def _falls(found: dict[str, dict[int, Run]]) -> list[Check]:
    (*_, largest) = found.values()
    s = {rounds: evidence.by_seed(run, _structure_per_pair) for rounds, run in largest.items()}
    learned = [rounds for rounds in SPECK if 5 <= rounds <= 8]
    falls = [
        Check(f"S({a}) - S({b} rounds), bit per pair", evidence.difference(s[a], s[b]), 0)
        for a, b in itertools.pairwise(learned)
    ]
    control = evidence.mean(evidence.accuracy(largest[SPECK[-1]]))
    return [*falls, Check("accuracy at 22 rounds", control, 0.495, 0.505)]


def _larger_sees_further(found: dict[str, dict[int, Run]]) -> list[Check]:
    small, *_, large = found.values()
    return [
        Check(
            f"accuracy at {rounds} rounds, 32 - 4 filters",
            evidence.difference(evidence.accuracy(large[rounds]), evidence.accuracy(small[rounds])),
            0,
        )
        for rounds in FIRST_PASS
    ]


def _published(found: dict[str, dict[int, Run]]) -> list[Check]:
    (*_, largest) = found.values()
    shares = {n: evidence.mean(evidence.accuracy(largest[n])) for n in FIRST_PASS}
    return [
        Check(f"accuracy at {n} rounds", shares[n], published - 0.01, published + 0.01)
        for n, published in FIRST_PASS.items()
    ]


def _structure_per_pair(measured) -> np.ndarray:
    return measured.structure_nats / LN2 / measured.coded_tok


def _by_rounds(runs: Sequence[Run], cipher: str, network: str) -> dict[int, Run]:
    chosen = evidence.select(runs, generator__algorithm=cipher, label__observer=network)
    return evidence.by_value(chosen, "generator.rounds", CIPHERS[cipher][0])


def draw(runs: Sequence[Run], path: Path | None = None) -> Figure:
    """Accuracy, S and what is known of a label against rounds, for each cipher."""
    quantities = (
        ("accuracy", "share of labels", evidence.accuracy),
        ("structure S", "bit per pair", lambda run: evidence.by_seed(run, _structure_per_pair)),
        ("1 - H", "bit per pair", lambda run: evidence.by_seed(run, _known)),
    )
    panels = []
    for cipher, (rounds, *_) in CIPHERS.items():
        for title, unit, quantity in quantities:
            series = {
                name: [
                    (place, evidence.mean(quantity(run)))
                    for place, run in enumerate(_by_rounds(runs, cipher, name).values())
                ]
                for name in NETWORKS
            }
            names = [str(n) for n in rounds]
            panels.append(lines.Panel(f"{cipher}: {title}", "rounds", unit, series, names=names))
    return lines.panels(panels, path)


def _known(measured) -> np.ndarray:
    return 1 - evidence.entropy_bits_per_tok(measured)
