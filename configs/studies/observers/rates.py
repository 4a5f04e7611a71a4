"""The learning rates of epx-7: each observer on each kind of data of the atlas, at five rates.

    python -m experiments.sweep --sweep=rates --tune --workdir=runs/rates

writes `rates.json`, whose copy beside this file the atlas reads. The seed is for tuning only.
"""

from typing import Any

from configs import base, observers
from configs.studies.observers import _data

RATES = (0.02, 0.07, 0.25, 0.8, 2.5)


def get_config(size: str = "cpu") -> base.ConfigDict:
    """The config shared by all runs."""
    config = base.get_config(size)
    config.generator.name = "iid"
    config.checkpoint.update(every=250, keep=1)
    chosen_by = "smallest S + H"
    config.tuning = dict(rates=RATES, seed=1000, chosen_by=chosen_by, observers=observers.TAG)
    return config


def sweep() -> list[dict[str, Any]]:
    """Each learner at two sizes on the first data of each kind."""
    first = {data.kind: data for data in reversed(_data.DATA)}
    return [
        _data.overrides(data)
        | observers.overrides(family, size)
        | {"label.generator": kind, "run.seed": 0}
        for kind, data in first.items()
        for size in ("small", "larger")
        for family in observers.SIZES[size]
    ]
