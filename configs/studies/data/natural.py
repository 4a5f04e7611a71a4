"""Text, games, photographs and noise at equal tokens: how much of them is structure.

    python -m experiments.data prepare gnubook
    python -m experiments.sweep --sweep=natural --workdir=runs/natural

1.8 million tokens of each, in examples of 64 characters: English, code, the moves of chess games
and their boards, photographs in patches of 8x8 pixels and 16 levels of grey, and noise of as many
symbols. Three transformers of rising size, so that S and H are seen against compute. After figure
8a of arXiv 2601.03220, at the size of a laptop. Rates are chosen from RATES for each observer and
data, on a seed of their own, by the shortest description.

Claims 18, 161 and 162; 9 minutes on 2 cores, and 3 to prepare the games. All hold for the largest
observer. With less than 10¹¹ FLOP a larger share of chess than of English is structure.
"""

import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from configs import base
from epx.analysis.measurement import Measurement
from epx.report import evidence
from epx.report.claims import Check
from epx.report.figures import lines
from epx.report.summary import Run
from epx.sweeps.grid import product, vary

CLAIMS = {
    18: "Text has more structure than chess, and chess more than images (figure 8a)",
    161: "A token of text has more structure than one of photographs, and that more than noise",
    162: "Of text a larger share of S + H is structure than of photographs, and of those than of "
    "noise",
}
RATES = (0.05, 0.2, 0.8, 1.6)
TEXT, CHESS, PHOTOGRAPHS, NOISE = "English", "chess", "photographs", "noise"
DATA: dict[str, dict[str, Any]] = {
    TEXT: {"generator.name": "text", "generator.corpus": "pydoc"},
    "code": {"generator.name": "text", "generator.corpus": "code"},
    CHESS: {"generator.name": "chess", "generator.corpus": "gnubook", "generator.rows": "stream"},
    PHOTOGRAPHS: {"generator.name": "text", "generator.corpus": "photographs"},
    NOISE: {"generator.name": "iid", "generator.law": "uniform", "generator.vocab": 16},
}
# Depth and width, and the rates that were chosen, in the order of DATA.
OBSERVERS = {"1 layer of 16": (1, 16), "2 layers of 32": (2, 32), "2 layers of 64": (2, 64)}
LARGEST = "2 layers of 64"
CHOSEN = {
    "1 layer of 16": (1.6, 0.2, 1.6, 0.8, 0.05),
    "2 layers of 32": (0.2, 0.2, 0.8, 1.6, 0.05),
    "2 layers of 64": (0.2, 0.8, 0.8, 1.6, 0.05),
}


def get_config(size: str = "cpu") -> base.ConfigDict:
    """The config shared by all runs."""
    config = base.get_config(size)
    config.figure = dict(name="natural", size=size)
    config.generator.name = "iid"
    config.observer.head_dim = 16
    config.optim.update(warmup_steps=50, ema_steps=50)
    config.run.update(batch=32, steps=900)
    config.eval.update(examples=2048, every=100)
    config.checkpoint.update(every=None, keep=1)
    config.tuning = dict(rates=RATES, seed=1000, chosen_by="smallest S + H")
    return config


def sweep() -> list[dict[str, Any]]:
    """All data under three transformers."""
    return product(
        [
            keys | {
                "generator.length": 64, "observer.depth": depth, "observer.width": width,
                "optim.lr": rate, "label.generator": name,
                "label.observer": observer,
            }
            for observer, (depth, width) in OBSERVERS.items()
            for (name, keys), rate in zip(DATA.items(), CHOSEN[observer])
        ],
        vary("run.seed", range(5)),
    )  # fmt: skip


def _share(measured: Measurement):
    """S / (S + H) of each member."""
    s = measured.structure_nats / measured.test_tok
    return s / (s + measured.anchor_nats)


def check(number: int, runs: Sequence[Run]) -> list[Check]:
    """Neighbours in the order of the claim, for the largest observer."""
    quantity = _share if number == 162 else evidence.structure_bits_per_tok
    what = "S / (S + H)" if number == 162 else "S, bit per token"
    order = (TEXT, CHESS, PHOTOGRAPHS) if number == 18 else (TEXT, PHOTOGRAPHS, NOISE)
    found = {
        name: evidence.by_seed(
            evidence.pick(runs, label__generator=name, label__observer=LARGEST), quantity
        )
        for name in order
    }
    return [
        Check(f"{what}, {more} - {less}", evidence.difference(found[more], found[less]), 0)
        for more, less in itertools.pairwise(order)
    ]


def draw(runs: Sequence[Run], path: Path | None = None) -> Figure:
    """S, H and the share of S where the description of the data is shortest for its compute."""
    quantities = {
        "structure S, bit per token": evidence.structure_bits_per_tok,
        "entropy H, bit per token": evidence.entropy_bits_per_tok,
        "S / (S + H)": _share,
    }
    panels = []
    for title, quantity in quantities.items():
        series = {
            name: evidence.shortest(of_data, quantity)
            for name in DATA
            if (of_data := evidence.select(runs, label__generator=name))
        }
        panels.append(lines.Panel(title, "FLOP", "", series, scale="log", y_scale="linear"))
    return lines.panels(panels, path)
