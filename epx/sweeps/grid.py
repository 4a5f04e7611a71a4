"""Sweeps as lists of overrides, made by `vary`, `product`, `zipped` and `chain`."""

import functools
import itertools
from collections.abc import Iterable, Sequence
from typing import Any

from epx.run.config.keys import Overrides
from epx.types import require

# The seed on which learning rates are chosen, different from the measured seeds.
TUNING_SEED = 1000


def vary(key: str, values: Iterable[Any]) -> list[Overrides]:
    """One override for each value of a key.

    >>> vary("run.seed", range(2))
    [{'run.seed': 0}, {'run.seed': 1}]
    """
    return [{key: value} for value in values]


def product(*sweeps: Sequence[Overrides]) -> list[Overrides]:
    """All combinations of sweeps, the last varying fastest.

    >>> product(vary("optim.lr", [0.1, 0.2]), vary("run.seed", [7]))
    [{'optim.lr': 0.1, 'run.seed': 7}, {'optim.lr': 0.2, 'run.seed': 7}]
    """
    return [functools.reduce(dict.__or__, parts, {}) for parts in itertools.product(*sweeps)]


def zipped(*sweeps: Sequence[Overrides]) -> list[Overrides]:
    """Sweeps of equal length, joined element by element.

    >>> zipped(vary("run.steps", [50, 100]), vary("run.batch", [8, 4]))
    [{'run.steps': 50, 'run.batch': 8}, {'run.steps': 100, 'run.batch': 4}]

    Raises:
      ValueError: their lengths differ.
    """
    lengths = [len(sweep) for sweep in sweeps]
    require("zipped", lengths, len(set(lengths)) <= 1, "sweeps of equal length")
    return [functools.reduce(dict.__or__, parts, {}) for parts in zip(*sweeps)]


def chain(*sweeps: Sequence[Overrides]) -> list[Overrides]:
    """The concatenation of sweeps.

    >>> chain(vary("run.seed", [1]), vary("run.batch", [8]))
    [{'run.seed': 1}, {'run.batch': 8}]
    """
    return list(itertools.chain(*sweeps))


def tuning(sweep: Sequence[Overrides], rates: Iterable[float]) -> list[Overrides]:
    """The tuning of a sweep: each of its runs at every learning rate, on TUNING_SEED.

    >>> tuning([{"run.seed": 0, "optim.lr": 9}, {"run.seed": 1, "optim.lr": 9}], [0.1])
    [{'optim.lr': 0.1, 'run.seed': 1000}]
    """
    varied = ("run.seed", "optim.lr")
    runs = [{k: v for k, v in overrides.items() if k not in varied} for overrides in sweep]
    distinct = [run for n, run in enumerate(runs) if run not in runs[:n]]
    return product(distinct, vary("optim.lr", rates), vary("run.seed", [TUNING_SEED]))
