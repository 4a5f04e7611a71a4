"""What is read from the runs of the study of elicitation: curves, and what adapters close."""

import math
from collections.abc import Sequence
from typing import NamedTuple

from epx.report import elicit, evidence
from epx.report.summary import Run

BASE, WOKEN, FORMAT, MORE = "base", "the same in signs", "format alone", "more of the base"
OTHER = {
    "add": "sums in signs",
    "subtract": "differences in signs",
    "multiply": "products in signs",
}
SHUFFLED, FIXED = "shuffled answers", "permuted answers"
FULL, UNTRAINED = "all weights", "no training"
# Rank and entries of the adapters.
ADAPTERS = ((1, 10), (1, 100), (1, None), (2, None), (4, None), (8, None), (32, None))
ADAPTED = 20_000  # problems for adapters
CLOSED = 0.95  # of the gap between the start and all weights


def of(runs: Sequence[Run], label: str, observer: str = FULL) -> list[Run]:
    found = evidence.select(runs, label__generator=label, label__observer=observer)
    return [run for run in found if evidence.config(run).get("run.examples") is not None]


def tuning(runs: Sequence[Run], label: str) -> elicit.Tuning:
    """The curves of one label, of all weights."""
    (found,) = elicit.tunings(of(runs, label))
    return found


def adapter_name(rank: int, entries: int | None) -> str:
    """The label of an adapter."""
    return f"rank {rank}" if entries is None else f"{entries} of rank {rank}"


class Adapted(NamedTuple):
    """An adapter: its label, the parameters that learn, and by seed EDL per parameter in bits and
    the share of the gap that it closes."""

    label: str
    parameters: int
    bits: dict[int, float]
    closed: dict[int, float]


def adapters(runs: Sequence[Run], start: str) -> list[Adapted]:
    """The adapters from a start, by rising parameters; the gap is that to all weights."""
    label = f"after {start}"
    named = {"label__generator": label, "run__examples": ADAPTED}
    whole = evidence.pick(runs, label__observer=FULL, **named)
    untrained = evidence.pick(runs, label__generator=label, label__observer=UNTRAINED)
    full, first = elicit.floors(whole), elicit.floors(untrained)
    found = []
    for rank, entries in ADAPTERS:
        name = adapter_name(rank, entries)
        run = evidence.pick(runs, label__observer=name, **named)
        learned = run.record.config["facts"]["learned_parameters"]
        closed = {
            seed: (first[seed] - bits) / (first[seed] - full[seed])
            for seed, bits in elicit.floors(run).items()
            if seed in first and seed in full
        }
        bits = {seed: bits / learned for seed, bits in elicit.excess_bits(run).items()}
        found.append(Adapted(name, learned, bits, closed))
    return sorted(found, key=lambda adapted: adapted.parameters)


def capacity(runs: Sequence[Run], start: str) -> dict[int, tuple[float, float]]:
    """By seed the fewest parameters that close the gap, and their EDL per parameter in bits.

    The second is the threshold: with fewer parameters, each would have to hold more. Where no
    adapter closes the gap, the parameters are twice the most, a lower bound, and the threshold is
    nan, as there only an upper bound is known.
    """
    found: dict[int, tuple[float, float]] = {}
    for adapted in reversed(adapters(runs, start)):
        for seed, share in adapted.closed.items():
            most = 2.0 * adapted.parameters, math.nan
            held = found.setdefault(seed, most)
            if share >= CLOSED and adapted.parameters < held[0]:
                found[seed] = float(adapted.parameters), adapted.bits[seed]
    return found
