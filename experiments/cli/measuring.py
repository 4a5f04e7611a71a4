"""What `experiments.measure` runs, in the minutes that it has.

Learners of two families choose their rate on a part of the data, on a seed of its own; the seconds
that this takes say how many tokens fit the time.
"""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from configs import base, observers
from epx.record import Record
from epx.report import evidence, summary
from epx.run.config.keys import Config, Overrides
from epx.sweeps.grid import product, vary
from experiments.cli.own_data import CHUNK, EVALUATIONS, Data, held_out, variants, whole_steps

RATES = (0.05, 0.2, 0.8)
TUNING_SEED = 1000
SEEDS, LONGER_SEEDS = 3, 5
TUNING_TOKENS = 400_000
COUNTS = 2**22  # entries of the table of the exact counter
LONG_MINUTES = 30
TRAINING = 0.8  # of the time that is left; the rest is for evaluations and for states
COUNTER = "exact counter"
MOST_SCORED = 512  # different tokens, for the reservoir score


def get_config() -> Config:
    """What all runs share."""
    config = base.get_config("cpu")
    config.generator.name = "tokens"
    config.run.chunk = CHUNK
    config.checkpoint.update(every=None, keep=1)
    config.tuning = dict(rates=RATES, seed=TUNING_SEED, chosen_by="smallest S + H")
    return config.to_dict()


def families(data: Data) -> tuple[str, str]:
    """Two families of learners: with inputs those that read them."""
    return ("transformer", "convolution" if data.inputs_NxR is None else "looped")


def sizes(minutes: float) -> tuple[str, str]:
    """A small and a larger size of each family."""
    return ("larger", "paper") if minutes >= LONG_MINUTES else ("small", "larger")


def learners(data: Data, minutes: float) -> list[Overrides]:
    """The learners of the data, without their rates."""
    return [
        observers.overrides(family, size) for size in sizes(minutes) for family in families(data)
    ]


def counter(data: Data) -> list[Overrides]:
    """The exact counter, of the order whose table is small; none where inputs are given."""
    if data.inputs_NxR is not None:
        return []
    order = max(0, min(8, int(math.log(COUNTS) / math.log(data.vocab + 1)) - 1))
    keys = {"observer.name": "counts", "observer.order": order, "label.observer": COUNTER}
    return [keys]


def _training(data: Data, steps: int) -> Overrides:
    return {
        "generator.vocab": data.vocab,
        "run.batch": data.batch,
        "run.steps": steps,
        "optim.warmup_steps": min(50, steps // 10),
        "optim.ema_steps": min(50, max(1, steps // 10)),
        "eval.every": steps // EVALUATIONS,
        "eval.examples": min(held_out(data), max(64, 2**18 // data.tokens_NxT.shape[1])),
    }


def tuning(found: Sequence[Data], paths: dict[str, Path], minutes: float) -> list[Overrides]:
    """The runs that choose the rates."""
    runs = []
    for data in found:
        tokens = data.batch * data.coded
        steps = min(data.steps, whole_steps(TUNING_TOKENS / tokens))
        file = {"generator.path": str(paths[data.name]), "label.generator": data.name}
        runs += product(
            learners(data, minutes), [file | _training(data, steps)],
            vary("optim.lr", RATES), vary("run.seed", [TUNING_SEED]),
        )  # fmt: skip
    return runs


class Speed(NamedTuple):
    """What the choice of the rates took.

    Attributes:
      seconds_per_step: of a member, by generator and observer.
      seconds: of training, all runs together.
    """

    seconds_per_step: dict[tuple[str, str], float]
    seconds: float


def speed(records: Sequence[Record]) -> Speed:
    """The speed of the learners, from the second half of their steps."""
    per_step = {}
    for run in summary.runs(records):
        names = evidence.config(run)
        members, steps = run.record.rows["seconds"].shape
        late = run.record.rows["seconds"][0, steps // 2 :]
        per_step[names["label.generator"], names["label.observer"]] = float(late.mean()) / members
    return Speed(per_step, sum(float(record.rows["seconds"][0].sum()) for record in records))


def fitting_steps(
    found: Sequence[Data], measured: Speed, minutes: float, elapsed_seconds: float
) -> int:
    """Steps of each run, as many as fit the minutes, at most one pass.

    Args:
      found: the data.
      measured: of the choice of the rates.
      minutes: for everything.
      elapsed_seconds: so far. What was no training, above all compilation, comes once more.
    """
    members = 4 * SEEDS  # the data and three controls
    again = max(elapsed_seconds - measured.seconds, 0.0)
    left = max(60 * minutes - elapsed_seconds - again, 60 * minutes / 5)
    steps = TRAINING * left / (members * sum(measured.seconds_per_step.values()))
    return whole_steps(min(steps, *(data.steps for data in found)))


def sweep(
    found: Sequence[Data],
    paths: dict[str, Path],
    rates: dict[str, dict[str, float]],
    steps: int,
    minutes: float,
    seeds: int = SEEDS,
) -> list[Overrides]:
    """The runs: every observer on the data and on their controls, the counter first."""
    runs = []
    for data in found:
        files = [
            {"generator.path": str(paths[name]), "label.generator": name} for name in variants(data)
        ]
        for observer in counter(data) + learners(data, minutes):
            rate = rates.get(data.name, {}).get(observer["label.observer"])
            chosen = {} if rate is None else {"optim.lr": rate}
            runs += product(
                [observer | chosen | _training(data, steps)], files, vary("run.seed", range(seeds))
            )
    return runs
