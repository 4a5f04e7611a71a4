"""Figure 8b: S and H of language, images and video by published scaling laws.

    python -m experiments.sweep --sweep=paper/fig8b_scaling --workdir=runs/fig8b

Claim 5. Nothing is trained; it takes three seconds. The laws are those of figure 8b and table 1.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from configs.paper import _figure
from epx.analysis import scaling
from epx.analysis.measurement import LN2
from epx.report.claims import Check, exact
from epx.report.figures import bars
from epx.report.summary import Run

TRAINED = False  # it needs no records
CLAIMS = {5: "The scaling laws of language and images have the published constants, S and H"}
# Table 1 and appendix C.9: alpha, beta, D0, E, and S and H in bits of 1e12 tokens at 1e25 FLOPs.
_PUBLISHED = {
    "language": (0.339, 0.285, 1.49e9, 1.69, 7.95e10, 2.73e12),
    "image VQ 32x32": (0.287, 0.560, 1.63e8, 3.32, 1.242e10, 4.81e12),
    "image VQ 16x16": (0.322, 0.441, 4.44e7, 4.23, 1.264e10, 6.13e12),
    "image 32x32": (0.258, 0.399, 1.95e6, 2.30, 4.48e9, 3.32e12),
    "image 8x8": (0.331, 0.566, 2.66e6, 3.14, 1.19e9, 4.53e12),
}
TEST_TOKENS, FLOPS = 1e12, 1e25


def get_config(size: str = "cpu") -> _figure.ConfigDict:
    """Not used: there are no runs."""
    return _figure.get_config("fig8b_scaling", size)


def sweep(size: str = "cpu") -> list[dict[str, Any]]:
    """No runs."""
    return []


def check(number: int, runs: Sequence[Run]) -> list[Check]:
    """Constants to half a percent, S and H to one; `runs` are not used."""
    checks = []
    for name, (*constants, structure, entropy) in _PUBLISHED.items():
        law = scaling.convert(scaling.PUBLISHED[name])
        ratios = np.array([law.alpha, law.beta, law.D0, law.E]) / constants
        split = scaling.split(law, FLOPS, TEST_TOKENS)
        bits = np.array([split.structure_nats, split.entropy_nats]) / LN2 / (structure, entropy)
        for what, values, within in (("constants", ratios, 0.005), ("S and H", bits, 0.01)):
            furthest = values[np.argmax(np.abs(values - 1))]
            check = Check(f"{name}: {what}, worst ratio", exact(furthest), 1 - within, 1 + within)
            checks.append(check)
    return checks


def draw(runs: Sequence[Run], path: Path | None = None) -> Figure:
    """S and H of each domain at one budget."""
    return bars.laws(
        {name: scaling.split(scaling.convert(law), FLOPS, TEST_TOKENS)
         for name, law in scaling.PUBLISHED.items()},
        path,
    )  # fmt: skip
