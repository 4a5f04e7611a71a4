"""What is read from the runs of the study of elicitation: curves, and what adapters close."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from matplotlib.figure import Figure
from tabulate import tabulate

from epx.analysis import elicitation
from epx.analysis.measurement import Estimate, interval
from epx.report import elicit, evidence
from epx.report.figures import lines
from epx.report.rounding import rounded
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
    """The runs of the task with these labels, at every number of problems."""
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


def starts_of(runs: Sequence[Run]) -> list[str]:
    """The starts of the task, in the order of the sweep."""
    labels = dict.fromkeys(evidence.config(run)["label.generator"] for run in runs)
    return [label.removeprefix("after ") for label in labels if label.startswith("after ")]


def errors(runs: Sequence[Run]) -> list[tuple[str, str, int, int]]:
    """What the rule says of each curve where the answer is known.

    Returns:
      label, right answer, seeds that have another shape, and seeds. Shuffled answers are neither
      taught nor woken: nothing but their frequencies can be learned.
    """
    right = {f"after {start}": elicitation.TAUGHT for start in starts_of(runs)}
    right |= {f"after {WOKEN}": elicitation.WOKEN, SHUFFLED: elicitation.UNDECIDED}
    found = []
    for label, shape in right.items():
        by_seed = tuning(runs, label).verdict.by_seed
        found.append((label, shape, sum(s != shape for s in by_seed.values()), len(by_seed)))
    return found


def table(runs: Sequence[Run]) -> str:
    """The rule's verdicts with its errors, and the adapters."""
    labels = [*(f"after {start}" for start in starts_of(runs)), SHUFFLED, FIXED]
    tables = [elicit.table([tuning(runs, label) for label in labels]), ""]
    known = errors(runs)
    heads = ["curves", "right answer", "seeds with another"]
    body = [(label, shape, f"{wrong} of {count}") for label, shape, wrong, count in known]
    tables += [tabulate(body, heads, "simple"), ""]
    heads = ["start", "adapter", "parameters", "EDL per parameter, bit", "gap closed"]
    body = [
        (start, adapted.label, adapted.parameters, rounded(*evidence.mean(adapted.bits)),
         rounded(*evidence.mean(adapted.closed)))
        for start in (BASE, WOKEN) for adapted in adapters(runs, start)
    ]  # fmt: skip
    return "\n".join([*tables, tabulate(body, heads, "simple", disable_numparse=True)])


def draw(runs: Sequence[Run], path: Path | None = None) -> Figure:
    """EDL/n against n from the starts and of other answers, and the gap that adapters close."""
    starts = [f"after {start}" for start in starts_of(runs)]
    had_rule = [f"after {start}" for start in (WOKEN, *OTHER.values())]
    shown = {
        "no rule learned before": [label for label in starts if label not in had_rule],
        "a rule learned before": [label for label in starts if label in had_rule],
        "other answers": [SHUFFLED, FIXED],
    }
    closed = {
        f"after {start}": [
            (adapted.parameters, evidence.mean(adapted.closed)) for adapted in adapters(runs, start)
        ]
        for start in (BASE, WOKEN)
    }
    curves = [
        lines.Panel(title, "problems n", "EDL(n) / n, bit",
                    {label: _per_problem(runs, label) for label in labels}, scale="log",
                    y_scale="linear")
        for title, labels in shown.items()
    ]  # fmt: skip
    gap = lines.Panel("adapters", "parameters that learn", "share of the gap closed", closed,
                      scale="log", y_scale="linear")  # fmt: skip
    return lines.panels([*curves, gap], path)


def _per_problem(runs: Sequence[Run], label: str) -> list[tuple[float, Estimate]]:
    """EDL(n)/n in bits at each n."""
    curves = list(tuning(runs, label).curves.values())
    values_SxN = np.array([curve.bits_per_example for curve in curves])
    return [(n, interval(column)) for n, column in zip(curves[0].examples, values_SxN.T)]
