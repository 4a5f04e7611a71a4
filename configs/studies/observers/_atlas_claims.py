"""The checks of the atlas's claims, on a table of runs by the labels of data and observer."""

import math
from collections.abc import Callable, Sequence

from configs import observers
from configs.studies.observers import _data
from epx.analysis.measurement import widened
from epx.record import RecordError
from epx.report import evidence
from epx.report.claims import Check
from epx.report.summary import Run

WINDOWS = (2, 4, 8, 16, 32)
WINDOWED, TIED = "a window of {window}", "looped, equal FLOPs"
SIMULATED = ("Life, next frame", "automaton, rule 54", "automaton, rule 110")
DEAR = ("automaton, rule 54", "English")


class Table(dict[tuple[str, str], Run]):
    """Runs by the labels of data and observer; a claim that lacks one is not measured."""

    def __missing__(self, names: tuple[str, str]) -> Run:
        raise RecordError("no run of {1} on {0}".format(*names))


def _noise(table: Table, sizes: Sequence[str]) -> list[Check]:
    del sizes
    data = "ChaCha20"
    learners = {name: table[data, name] for name in observers.names() if (data, name) in table}
    if not learners:
        raise RecordError(f"no run of a learner on {data}")
    oracle = evidence.mean(_by_seed(table[data, "oracle"], "H"))
    h = {name: evidence.mean(_by_seed(run, "H")) for name, run in learners.items()}
    s = {name: evidence.mean(_by_seed(run, "S per token")) for name, run in learners.items()}
    lowest, most = min(h, key=lambda n: h[n].mean), max(s, key=lambda n: s[n].mean)
    return [
        Check(f"least H of a learner ({lowest}), bit per token", h[lowest], 0.99),
        Check(f"most S of a learner ({most}), bit per token", s[most], high=0.01),
        Check("H of the oracle, bit per token", oracle, 0.249, 0.251),
    ]


def _context(table: Table, sizes: Sequence[str]) -> list[Check]:
    del sizes
    clock = _data.CLOCK.label
    runs = {window: table[clock, WINDOWED.format(window=window)] for window in WINDOWS}
    h = {window: evidence.mean(_by_seed(run, "H")) for window, run in runs.items()}
    s = {window: _by_seed(run, "S") for window, run in runs.items()}
    first, last = WINDOWS[0], WINDOWS[-1]
    gap = evidence.difference(s[last], s[first])
    return [
        Check(f"H with a window of {first}, bit per token", h[first], 0.95),
        Check(f"H with a window of {last}, bit per token", h[last], high=0.5),
        Check(f"S({last} tokens) - S({first} tokens), bit", gap, 0),
    ]


def _automata(table: Table, sizes: Sequence[str]) -> list[Check]:
    learner = observers.label("transformer", sizes[-1])
    runs = {rule: table[f"automaton, rule {rule}", learner] for rule in (15, 30, 54)}
    s = {rule: _by_seed(run, "S") for rule, run in runs.items()}
    h = {rule: evidence.mean(_by_seed(run, "H")) for rule, run in runs.items()}
    share = evidence.paired(lambda noise, dear: 0.05 * dear - noise, s[30], s[54])
    return [
        Check("H(15), bit per cell", h[15], high=0.01),
        Check("S(54) - S(15), bit", evidence.difference(s[54], s[15]), 0),
        Check("S(15), bit", evidence.mean(s[15]), 0),
        Check("a twentieth of S(54) - S(30), bit", share, 0),
        Check("H(30), bit per cell", h[30], 0.99),
    ]


def _larger_sees_less(table: Table, sizes: Sequence[str]) -> list[Check]:
    """Of all families and data the clearest case, at an interval for as many comparisons."""
    cases = []
    for (data, observer), run in table.items():
        for family in observers.SIZES[sizes[0]]:
            other = table.get((data, observers.label(family, sizes[1])))
            if observer == observers.label(family, sizes[0]) and other:
                s = evidence.difference(_by_seed(run, "S"), _by_seed(other, "S"))
                h = evidence.difference(_by_seed(run, "H"), _by_seed(other, "H"))
                clear = s.mean / max(s.half_width, 1e-300)  # 0 where all seeds are equal
                cases.append((clear, f"{family} on {data}", s, h))
                seeds = len(run.members)
    if not cases:
        raise RecordError(f"no data with a learner of sizes {' and '.join(sizes)}")
    # The clearest case where the larger one predicts better, if there is any.
    _, name, s, h = max(cases, key=lambda case: (case[3].mean > 0, case[0]))
    s, h = (widened(estimate, seeds, comparisons=len(cases)) for estimate in (s, h))
    return [
        Check(f"S({sizes[0]}) - S({sizes[1]}), {name}, of {len(cases)} cases, bit", s, 0),
        Check(f"H({sizes[0]}) - H({sizes[1]}), {name}, bit per token", h, 0),
    ]


def _tied(table: Table, sizes: Sequence[str]) -> list[Check]:
    direct = observers.label("transformer", sizes[-1])
    return [
        Check(
            f"MDL direct - weight-tied, {data}, bit",
            evidence.difference(
                _by_seed(table[data, direct], "MDL"), _by_seed(table[data, TIED], "MDL")
            ),
            0,
        )
        for data in SIMULATED
    ]


def _crossing(table: Table, sizes: Sequence[str]) -> list[Check]:
    """Of each size, by seed, the shortest description by any family within a budget.

    Little compute is the least with which a learner of both sizes has been evaluated.
    """
    smaller, larger = sizes
    checks = []
    for data in DEAR:
        ladders = {size: _ladder(table, data, size) for size in sizes}
        little = max(min(flops for flops, _ in ladder) for ladder in ladders.values())
        first, last = (
            evidence.difference(*(_within(ladders[size], budget) for size in (larger, smaller)))
            for budget in (little, math.inf)
        )
        checks += [
            Check(f"MDL({larger}) - MDL({smaller}), {data}, {little:.1e} FLOP, bit", first, 0),
            Check(f"MDL({larger}) - MDL({smaller}), {data}, at the end, bit", last, high=0),
        ]
    return checks


def _ladder(table: Table, data: str, size: str) -> list[tuple[float, dict[int, float]]]:
    """FLOPs, and S + H in bits by seed, of all evaluations of all families of a size."""
    names = [observers.label(family, size) for family in observers.SIZES[size]]
    runs = [table[data, name] for name in names if (data, name) in table]
    points = [point for run in runs for point in evidence.by_compute(run, QUANTITIES["MDL"])]
    if not points:
        raise RecordError(f"no run of a {size} learner on {data}")
    return points


def _within(ladder: list[tuple[float, dict[int, float]]], budget: float) -> dict[int, float]:
    """The shortest description within a budget, by seed."""
    least: dict[int, float] = {}
    for flops, bits in ladder:
        if flops <= budget:
            least |= {seed: min(value, least.get(seed, value)) for seed, value in bits.items()}
    return least


CHECKS: dict[int, Callable[[Table, Sequence[str]], list[Check]]] = {
    101: _noise,
    102: _context,
    103: _automata,
    104: _larger_sees_less,
    105: _tied,
    106: _crossing,
}
QUANTITIES = {
    "S": evidence.structure_bits,
    "H": evidence.entropy_bits_per_tok,
    "MDL": evidence.description_bits,
    "S per token": evidence.structure_bits_per_tok,
}


def _by_seed(run: Run, quantity: str) -> dict[int, float]:
    return evidence.by_seed(run, QUANTITIES[quantity])
