"""Claims of the paper that need no training: exact facts, floors and scaling laws.

    python -m experiments.report --claims --records=runs          a quarter of a minute

The numbers are of arXiv 2601.03220 where it gives them, and otherwise of enumerations.
"""

from collections.abc import Sequence

import numpy as np

from epx.analysis import floors, scaling
from epx.analysis.measurement import LN2, Estimate
from epx.report.claims import Check, exact
from epx.report.summary import Run

CLAIMS = {
    1: "Automata are those of the paper: four states by hand; Y = X for rules 4, 15, 41 at t = 128",
    2: "Rule 54 after 48 steps: 46 % of the states are copies, 82 % of the cells agree, h8 = 0.47",
    3: "h hidden cells of rule 30 leave exactly h bits of its state after 4 steps unknown",
    4: "The exact predictor pays 1267, 1286 and 1347 bits for 512 states of chains of 8 states",
    5: "The scaling laws of language and images have the published constants, S and H",
    6: "MDL never rises with compute; N* and D* rise with it, and training : coding tends to 3",
}
_STATES = {  # of the ring 0100110000000001, by rule and steps
    (15, 1): "0101100111111111", (15, 4): "0001010011000000",
    (30, 1): "0111101000000011", (30, 4): "0001110011011001",
    (54, 1): "1111001000000011", (54, 4): "0011100111010001",
    (110, 1): "1101110000000011", (110, 4): "1111010000011011",
}  # fmt: skip
# Table 1 and appendix C.9: alpha, beta, D0, E, and S and H in bits of 1e12 tokens at 1e25 FLOPs.
_LAWS = {
    "language": (0.339, 0.285, 1.49e9, 1.69, 7.95e10, 2.73e12),
    "image VQ 32x32": (0.287, 0.560, 1.63e8, 3.32, 1.242e10, 4.81e12),
    "image VQ 16x16": (0.322, 0.441, 4.44e7, 4.23, 1.264e10, 6.13e12),
    "image 32x32": (0.258, 0.399, 1.95e6, 2.30, 4.48e9, 3.32e12),
    "image 8x8": (0.331, 0.566, 2.66e6, 3.14, 1.19e9, 4.53e12),
}
_TEST_TOKENS, _FLOPS = 1e12, 1e25


def check(number: int, runs: Sequence[Run]) -> list[Check]:
    """The checks of a claim; `runs` are not used."""
    return {1: _automata, 2: _rule_54, 3: _hidden, 4: _markov, 5: _laws, 6: _budgets}[number]()


def _estimate(fact: floors.Fact) -> Estimate:
    return Estimate(fact.value, 1.96 * fact.error)


def _automata() -> list[Check]:
    start = np.array([[int(cell) for cell in "0100110000000001"]])
    right = [
        "".join(map(str, floors.evolve(start, rule, steps)[0])) == state
        for (rule, steps), state in _STATES.items()
    ]
    copied = {rule: floors.automaton(rule, 64, 128, burnin=1000).copied for rule in (4, 15, 41)}
    return [
        Check("share of the eight states", exact(np.mean(right)), low=1),
        Check("rule 4, share of Y = X", _estimate(copied[4]), low=1),
        Check("rule 15, share of Y = X", _estimate(copied[15]), low=1),
        Check("rule 41, share of Y = X", _estimate(copied[41]), low=0.99),
    ]


def _rule_54() -> list[Check]:
    facts = floors.automaton(54, 64, 48, burnin=1000, samples=40_000)
    return [
        Check("share of Y = X", _estimate(facts.copied), 0.455, 0.475),
        Check("share of equal cells", _estimate(facts.agreement), 0.81, 0.83),
        Check("h8, bit per cell", _estimate(facts.next_cell_bits), 0.465, 0.485),
    ]


def _hidden() -> list[Check]:
    return [
        Check(f"h = {h}: H - h, bit", exact(floors.hidden_bits(30, 32, 4, h).value - h), 0, 0)
        for h in range(1, 6)
    ]


def _markov() -> list[Check]:
    """To 0.3 %. The table is of 512 states, of which 511 are coded."""
    published = {0: 1266.9, 2: 1286.0, 8: 1347.0}
    found = {h: floors.markov_bits(8, h, 512) for h in published}
    checks = []
    for h, fact in found.items():
        ratio = Estimate(*(512 / 511 * np.array(_estimate(fact)) / published[h]))
        checks.append(Check(f"h = {h}: ratio", ratio, 0.997, 1.003))
    return checks


def _laws() -> list[Check]:
    checks = []
    for name, (*constants, structure, entropy) in _LAWS.items():
        law = scaling.convert(scaling.PUBLISHED[name])
        ratios = np.array([law.alpha, law.beta, law.D0, law.E]) / constants
        split = scaling.split(law, _FLOPS, _TEST_TOKENS)
        bits = np.array([split.structure_nats, split.entropy_nats]) / LN2 / (structure, entropy)
        for what, values, within in (("constants", ratios, 0.005), ("S and H", bits, 0.01)):
            furthest = values[np.argmax(np.abs(values - 1))]
            check = Check(f"{name}: {what}, worst ratio", exact(furthest), 1 - within, 1 + within)
            checks.append(check)
    return checks


def _budgets() -> list[Check]:
    law = scaling.convert(scaling.PUBLISHED["language"])
    splits = [scaling.split(law, flops, _TEST_TOKENS) for flops in np.geomspace(1e16, 1e30, 57)]
    columns = np.array(splits)
    _, parameters, tokens, structure, entropy = columns.T
    last = splits[-1]
    ratio = 6 * last.parameters * last.tokens / (2 * last.parameters * _TEST_TOKENS)
    return [
        Check("largest rise of MDL, nats", exact(np.diff(structure + entropy).max()), high=0),
        Check("least rise of N*", exact(np.diff(parameters).min()), low=0),
        Check("least rise of D*", exact(np.diff(tokens).min()), low=0),
        Check("training : coding at 1e30 FLOP", exact(ratio), 2.9, 3.0),
    ]
