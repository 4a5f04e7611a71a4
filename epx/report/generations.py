"""What changes over generations of learners that learn from each other, by seed.

A chain has the run of each generation, from the first on. A run is of a mixture whose last part is
the real data, and whose other parts are the data of the generation.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from statistics import fmean
from typing import NamedTuple

from epx.analysis.exact import collapse
from epx.report import evidence, parts
from epx.report.figures import lines
from epx.report.figures.lines import Panel
from epx.report.summary import Run

Quantity = Callable[[Run], dict[int, float]]  # of a run, by seed
Chain = Sequence[Run]


class Measured(NamedTuple):
    """A quantity with its title and unit."""

    title: str
    unit: str
    of: Quantity


LOSS = Measured("loss on real examples", "bit per token", parts.real_loss)
ENTROPY = Measured("H", "bit per token", parts.own_loss)
SUPPORT, TAIL, RIGHT = (
    Measured(f"{name} of the data", "share", partial(parts.compared, name=name))
    for name in ("support", "tail", "right")
)


def structure(examples: int) -> Measured:
    """S of the data of a generation, of so many examples, which all arms have."""
    return Measured("S", "bit", partial(parts.own_structure, examples=examples))


def taught(examples: int) -> Measured:
    """EDL of these examples against real ones: what they teach of these."""
    of = partial(parts.real_excess, examples=examples)
    return Measured("EDL against real examples", "bit", of)


def values(chain: Chain, quantity: Quantity) -> dict[int, list[float]]:
    """A quantity of each generation, for every seed that all of them have."""
    found = [quantity(run) for run in chain]
    seeds = sorted(set.intersection(*map(set, found)))
    return {seed: [of_seed[seed] for of_seed in found] for seed in seeds}


def mean(chain: Chain, quantity: Quantity) -> dict[int, float]:
    """The mean of a quantity over generations."""
    return {seed: fmean(found) for seed, found in values(chain, quantity).items()}


def lost_from(chain: Chain, quantity: Quantity) -> dict[int, float]:
    """The generation from which on a tenth of a quantity is lost (`collapse.lost_from`)."""
    found = values(chain, quantity)
    return {seed: float(collapse.lost_from(of_seed, 0.1)) for seed, of_seed in found.items()}


def panel(name: str, chains: Mapping[str, Chain], measured: Measured) -> Panel:
    """A quantity over generations, a line for each chain, with 95 % intervals over seeds."""
    series = {
        line: [(float(n), evidence.mean(measured.of(run))) for n, run in enumerate(chain, 1)]
        for line, chain in chains.items()
    }
    title = f"{name}: {measured.title}"
    return lines.Panel(title, "generation", measured.unit, series, y_scale="linear")
