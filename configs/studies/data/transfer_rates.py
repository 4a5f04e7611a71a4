"""The learning rate of the transfer laboratory: seven of its data, from nothing, at five rates.

    python -m experiments.sweep --sweep=transfer_rates --tune --workdir=runs/transfer_rates

writes the rate of the shortest description of each to `rates.json`. The laboratory has one rate for
all data, so that what a source saves is no matter of rates: the median of the seven. The seed is
for tuning only.
"""

from typing import Any

from configs import base
from configs.studies.data import transfer

RATES = (0.05, 0.1, 0.2, 0.4, 0.8)
DATA = ("rule 54", "many networks", "hidden chains", "letters", "sums", "English", "chess")


def get_config(size: str = "cpu") -> base.ConfigDict:
    """The config of the laboratory."""
    config = transfer.get_config(size)
    config.figure.name = "transfer_rates"
    config.tuning = dict(rates=RATES, seed=1000, chosen_by="smallest S + H")
    return config


def sweep() -> list[dict[str, Any]]:
    """Each of DATA, as many steps as in the laboratory."""
    return [
        run
        for run in transfer.sweep()
        if run["label.generator"] in DATA
        and "run.start" not in run
        and run.get("code.name") != "requential"
        and run["run.seed"] == 0
    ]
