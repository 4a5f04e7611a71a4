"""Quantities and checks of ciphers by the round, on the runs of a network by their rounds."""

import itertools

import numpy as np

from epx.analysis.measurement import Estimate, widened
from epx.report import evidence
from epx.report.claims import Check
from epx.report.summary import Run

# The accuracy of a network like Gohr's after the first pass over 10^7 pairs, as published with the
# AutoND pipeline; from 6 rounds on it started from the weights of one round less.
FIRST_PASS = {5: 0.886, 6: 0.783, 7: 0.609}
# The accuracy of Gohr's network after all passes; that of 8 rounds was trained in stages.
ALL_PASSES = {5: 0.929, 6: 0.788, 7: 0.616, 8: 0.514}
# A structure below all that the published network knows of a label at 8 rounds, 1 - h2(0.514), is
# called none; an accuracy so near to a half is called chance.
NO_BITS, CHANCE = 5.7e-4, 0.005


def structure_bits(run: Run, reading: evidence.Reading = evidence.DEFAULT) -> dict[int, float]:
    """S of a pair in bits, by seed.

    Of uniform bits all tokens are coded. The network prices those that are no label at 1 bit each
    from the start: they have no structure.
    """
    of_token = evidence.by_seed(run, evidence.structure_bits_per_tok, reading)
    coded = run.record.evals[max(run.record.evals)]["coded_tok"][run.members].mean()
    return {seed: bits * float(coded) for seed, bits in of_token.items()}


def excess_bits(run: Run) -> dict[int, float]:
    """EDL of a pair in bits, by seed."""
    return structure_bits(run, evidence.Reading(code="excess", anchor="ema"))


def known_bits(run: Run) -> dict[int, float]:
    """What is known of a label, 1 - H in bits, by seed."""
    loss = evidence.by_seed(run, evidence.entropy_bits_per_tok)
    return {seed: 1 - bits for seed, bits in loss.items()}


def label_bits(accuracy: float) -> float:
    """1 - h2(accuracy): the bits that a guess with this accuracy tells of a label."""
    chances = np.array([accuracy, 1 - accuracy])
    return float(1 + (chances * np.log2(chances)).sum())


def falls(found: dict[int, Run], uniform: Run) -> list[Check]:
    """S falls from each number of rounds to the next; at the last, and of uniform bits, it is none.

    The fall to the last number is left out: where nothing is learned before it there is none.
    """
    s = {n: structure_bits(run) for n, run in found.items()}
    *learned, official = found
    return [
        *(
            Check(f"S({a}) - S({b} rounds), bit per pair", evidence.difference(s[a], s[b]), 0)
            for a, b in itertools.pairwise(learned)
        ),
        *_noise(found[official], f"{official} rounds"),
        Check("S of uniform bits, bit per pair", evidence.mean(structure_bits(uniform)), -NO_BITS,
              NO_BITS),
    ]  # fmt: skip


def _noise(run: Run, name: str) -> list[Check]:
    accuracy, s = evidence.mean(evidence.accuracy(run)), evidence.mean(structure_bits(run))
    return [
        Check(f"accuracy at {name}", accuracy, 0.5 - CHANCE, 0.5 + CHANCE),
        Check(f"S at {name}, bit per pair", s, -NO_BITS, NO_BITS),
    ]


def larger_sees_further(small: dict[int, Run], large: dict[int, Run]) -> list[Check]:
    """Both networks at the first rounds at which the small one may be at chance."""

    def accuracy(run: Run) -> Estimate:
        shares = evidence.accuracy(run)
        return widened(evidence.mean(shares), len(shares), comparisons=len(small))

    of_small = {n: accuracy(run) for n, run in small.items()}
    blind = [n for n, (mean, half) in of_small.items() if mean - half <= 0.5]
    first = min(blind, default=max(small))
    return [
        Check(f"accuracy of the smallest network at {first} rounds", of_small[first], 0.5 - CHANCE,
              0.5 + CHANCE),
        Check("accuracy of the largest one there", accuracy(large[first]), 0.5),
    ]  # fmt: skip


def as_published(found: dict[int, Run]) -> list[Check]:
    """The accuracy of the largest network is within 0.01 of the published one."""
    accuracy = {n: evidence.mean(evidence.accuracy(found[n])) for n in FIRST_PASS}
    return [
        Check(f"accuracy at {n} rounds", accuracy[n], published - 0.01, published + 0.01)
        for n, published in FIRST_PASS.items()
    ]


def to_noise(cipher: str, found: dict[int, Run]) -> list[Check]:
    """The fewest rounds are told for certain, with structure; all rounds are noise without."""
    first, *_, official = found
    certain = evidence.mean(evidence.accuracy(found[first]))
    s = evidence.difference(structure_bits(found[first]), structure_bits(found[official]))
    return [
        Check(f"{cipher}: accuracy at {first} round", certain, 0.99),
        Check(f"{cipher}: S({first}) - S({official} rounds), bit per pair", s, 0),
        *_noise(found[official], f"{official} rounds of {cipher}"),
    ]
